/*
 * Levels of verification of an opening: each finds a fault that the level below does not.
 */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import type { Verification } from '../../src/engine/index.ts';
import { snapshotName } from '../../src/checkpoint/checkpoint-record.ts';
import { readerContext } from '../../src/recovery/reader-moment.ts';
import { firstUserTable } from '../../src/snapshot/entry-format.ts';
import { SnapshotWriter } from '../../src/snapshot/snapshot-writer.ts';
import { Turns } from '../../src/snapshot/task-context.ts';
import { loadSnapshot } from '../../src/snapshot/tasks.ts';
import { errorOf, onlyPath, open, worldOn, type World } from '../engine/engine-fixture.ts';

const levels: readonly Verification[] = ['none', 'basic', 'standard', 'full'];

/** A closed store with one checkpoint, of blocks that are stored as they are. */
async function closedStore(resident = true): Promise<World> {
  const world = worldOn();
  const engine = await open(world, { compression: 'none' });
  engine.operator('op').value('v', { resident }).set('k', 'the value');
  await engine.commit();
  await engine.checkpoint();
  await engine.close();
  return world;
}

/** Codes of the faults for which an opening at each level passes the checkpoint over. */
async function codesByLevel(world: World): Promise<(string | undefined)[]> {
  const codes: (string | undefined)[] = [];
  for (const verification of levels) {
    const copy = worldOn(await world.fs.crash('kept'), world.clock, 3);
    const engine = await open(copy, { verification, prefetch: 'aggressive' });
    codes.push(engine.recovery.skipped[0]?.faults[0]?.code);
    await engine.close();
  }
  return codes;
}

async function flip({ fs }: World, path: string, at: number): Promise<void> {
  const bytes = (await fs.read(path)).slice();
  bytes[at]! ^= 1;
  await fs.put(path, bytes);
}

/** Changes what the record says of its snapshot, and the name that goes with the digest. */
async function renameSnapshot(
  { fs }: World,
  { sha256, ...link }: { readonly sha256: string; readonly bytes?: number },
): Promise<void> {
  const path = await onlyPath(fs, 'checkpoints');
  const body = decodeSealedJson(await fs.read(path)) as { chain: object[] };
  const name = snapshotName(sha256, 1);
  body.chain[0] = { ...body.chain[0], ...link, sha256, name };
  await fs.put(path, encodeSealedJson({ ...body }));
  await fs.rename(await onlyPath(fs, 'snapshots'), `/store/${name}`);
}

/** Writes the snapshot again with another hash of the user's entry; everything else fits. */
async function disorder(world: World): Promise<void> {
  const { fs } = world;
  const path = await onlyPath(fs, 'snapshots');
  const { slices, header, parents } = await loadSnapshot(fs, { path }, readerContext);
  const slice = slices.find(({ table }) => table >= firstUserTable)!;
  const text = Buffer.from(new Uint8Array(slice.buffer)).indexOf('the value');
  new Uint8Array(slice.buffer)[text - 2]! ^= 1;
  const handle = await fs.open('/store/again', 'create');
  const options = {
    path: '/store/again',
    header,
    parents,
    compression: { codec: 'none' },
  } as const;
  const writer = new SnapshotWriter(handle, options, new Turns(readerContext));
  for (const one of slices) await writer.writeSlice(one);
  const { sha256, bytes } = await writer.finish();
  await handle.close();
  await fs.rename('/store/again', path);
  await renameSnapshot(world, { sha256, bytes });
}

describe('verification of an opening', () => {
  test('the header, which the footer repeats: from basic on', async () => {
    const world = await closedStore();
    await flip(world, await onlyPath(world.fs, 'snapshots'), 20);
    const found = 'CORRUPT_SNAPSHOT';
    expect(await codesByLevel(world)).toEqual([undefined, found, found, found]);
  });

  test('a byte of a block: from standard on, which is the default', async () => {
    const world = await closedStore();
    const path = await onlyPath(world.fs, 'snapshots');
    await flip(world, path, Buffer.from(await world.fs.read(path)).indexOf('the value'));
    const found = 'CORRUPT_SNAPSHOT';
    expect(await codesByLevel(world)).toEqual([undefined, undefined, found, found]);
    const engine = await open(world, { prefetch: 'aggressive' });
    expect(engine.recovery.skipped).toHaveLength(1);
    expect(engine.operator('op').value('v').get('k')).toBe('the value');
    await engine.close();
  });

  test('a digest that is not the one of the record: only full', async () => {
    const world = await closedStore();
    await renameSnapshot(world, { sha256: '0'.repeat(64) });
    const found = 'CORRUPT_SNAPSHOT';
    expect(await codesByLevel(world)).toEqual([undefined, undefined, undefined, found]);
  });

  describe('of a state that stays in its files', () => {
    const onlyFull = [undefined, undefined, undefined, 'CORRUPT_SNAPSHOT'];

    test('a digest that is not the one of the record: only full', async () => {
      const world = await closedStore(false);
      await renameSnapshot(world, { sha256: '0'.repeat(64) });
      expect(await codesByLevel(world)).toEqual(onlyFull);
    });

    test('a byte of a block, which an opening does not load: only full', async () => {
      const world = await closedStore(false);
      const path = await onlyPath(world.fs, 'snapshots');
      await flip(world, path, Buffer.from(await world.fs.read(path)).indexOf('the value'));
      // The digest is not what finds it.
      const sha256 = createHash('sha256')
        .update(await world.fs.read(path))
        .digest('hex');
      await renameSnapshot(world, { sha256 });
      expect(await codesByLevel(world)).toEqual(onlyFull);
    });

    test('an entry that is not where its hash belongs, behind sound checksums: only full', async () => {
      const world = await closedStore(false);
      await disorder(world);
      expect(await codesByLevel(world)).toEqual(onlyFull);
    });

    test('sound: at every level', async () => {
      const world = await closedStore(false);
      expect(await codesByLevel(world)).toEqual(levels.map(() => undefined));
      const engine = await open(world, { verification: 'full' });
      expect(engine.recovery.path).toBe('newest');
      expect(engine.stats().residency.coldBytes).toBeGreaterThan(0);
      await engine.close();
    });
  });

  test('another word: INVALID_OPTION', async () => {
    const verification = 'most' as Verification;
    const error = await errorOf(open(worldOn(), { verification }));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'verification']);
  });
});
