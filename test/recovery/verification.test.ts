/*
 * Levels of verification of an opening: each finds a fault that the level below does not.
 */
import { describe, expect, test } from 'vitest';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import type { Verification } from '../../src/engine/index.ts';
import { errorOf, onlyPath, open, worldOn, type World } from '../engine/engine-fixture.ts';

const levels: readonly Verification[] = ['none', 'basic', 'standard', 'full'];

/** A closed store with one checkpoint, of blocks that are stored as they are. */
async function closedStore(): Promise<World> {
  const world = worldOn();
  const engine = await open(world, { compression: 'none' });
  engine.operator('op').value('v').set('k', 'the value');
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
    const path = await onlyPath(world.fs, 'checkpoints');
    const body = decodeSealedJson(await world.fs.read(path)) as { chain: { sha256: string }[] };
    body.chain[0]!.sha256 = '0'.repeat(64);
    await world.fs.put(path, encodeSealedJson({ ...body }));
    const found = 'CORRUPT_SNAPSHOT';
    expect(await codesByLevel(world)).toEqual([undefined, undefined, undefined, found]);
  });

  test('another word: INVALID_OPTION', async () => {
    const verification = 'most' as Verification;
    const error = await errorOf(open(worldOn(), { verification }));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'verification']);
  });
});
