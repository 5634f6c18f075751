/*
 * Totals of blobs: exact whatever is set, deleted, undone, merged and opened again, and chunks that
 * nothing refers to gone with the next base.
 */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkEnds } from '../../src/codec/chunking.ts';
import type { BlobTotals, Engine } from '../../src/engine/index.ts';
import { reservedTables } from '../../src/snapshot/entry-format.ts';
import { SnapshotReader } from '../../src/snapshot/snapshot-reader.ts';
import { noise, open, worldOn, type World } from '../engine/engine-fixture.ts';

const seed = 7_777;

/** Contents with equal ones, and large ones that share chunks. */
const large = noise(600_000, 1);
const contents: Uint8Array[] = [
  new Uint8Array(0),
  noise(1, 2),
  noise(5000, 3),
  noise(5000, 4),
  large,
  Buffer.concat([large.subarray(0, 400_000), noise(50_000, 5)]),
  Buffer.concat([noise(10, 6), large]),
];

type Step =
  | { readonly do: 'set'; readonly state: number; readonly key: number; readonly content: number }
  | { readonly do: 'delete'; readonly state: number; readonly key: number }
  | { readonly do: 'commit' | 'rollback' | 'checkpoint' | 'base' | 'merge' | 'close' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      state: fc.nat(1),
      key: fc.nat(3),
      content: fc.nat(contents.length - 1),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('delete' as const), state: fc.nat(1), key: fc.nat(3) }),
  },
  {
    weight: 8,
    arbitrary: fc
      .constantFrom(
        ...(['commit', 'commit', 'rollback', 'checkpoint', 'base', 'merge', 'close'] as const),
      )
      .map((act) => ({ do: act })),
  },
);

/** What the totals of these blobs are. */
function totalsOf(blobs: Iterable<Uint8Array>): BlobTotals {
  const chunks = new Map<string, number>();
  let bytes = 0;
  for (const blob of blobs) {
    bytes += blob.length;
    let start = 0;
    for (const end of chunkEnds(blob)) {
      const digest = createHash('sha256').update(blob.subarray(start, end)).digest('hex');
      chunks.set(digest, end - start);
      start = end;
    }
  }
  const chunkBytes = [...chunks.values()].reduce((sum, size) => sum + size, 0);
  return { bytes, chunkCount: chunks.size, chunkBytes };
}

/** Chunks that the newest file holds. */
async function chunksStored(world: World, engine: Engine): Promise<number> {
  const record = (await engine.checkpoints()).at(-1)!;
  const path = `/store/${record.chain.at(-1)!.name}`;
  const handle = await world.fs.open(path, 'read');
  const { footer } = await SnapshotReader.open(handle, path);
  await handle.close();
  const chunks = footer.tables.find(({ table }) => table === reservedTables.chunks);
  return chunks?.entryCount ?? 0;
}

describe('totals of blobs', () => {
  test('any sets, deletes, checkpoints, merges and openings: those of a model', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
        const world = worldOn();
        let engine = await open(world, { checkpointing: false });
        let committed = new Map<string, Uint8Array>();
        let openOnes = new Map(committed);
        for (const one of steps) {
          if (one.do === 'set') {
            engine.operator('op').blob(`b${one.state}`).set(one.key, contents[one.content]!);
            openOnes.set(`${one.state} ${one.key}`, contents[one.content]!);
          } else if (one.do === 'delete') {
            engine.operator('op').blob(`b${one.state}`).delete(one.key);
            openOnes.delete(`${one.state} ${one.key}`);
          } else if (one.do === 'commit') {
            await engine.commit();
            committed = new Map(openOnes);
          } else if (one.do === 'rollback') {
            engine.rollback();
            openOnes = new Map(committed);
          } else if (one.do === 'merge') {
            await engine.merge();
          } else if (one.do === 'close') {
            await engine.close();
            engine = await open(world, { checkpointing: false });
            openOnes = new Map(committed);
          } else {
            const record = await engine.checkpoint(one.do === 'base' ? { kind: 'base' } : {});
            expect(record.blobs).toEqual(totalsOf(committed.values()));
            if (record.chain.length === 1 && record.chain[0]!.kind === 'base') {
              expect(await chunksStored(world, engine)).toBe(record.blobs.chunkCount);
            }
          }
        }
        engine.rollback();
        await engine.checkpoint();
        const expected = totalsOf(committed.values());
        const { storage } = engine.stats();
        expect(storage.blobs).toEqual(expected);
        expect(storage.logicalBytes - storage.entryBytes).toBe(expected.bytes);
        expect(storage.uniqueBytes - storage.entryBytes).toBe(expected.chunkBytes);
        await engine.close();
      }),
      { seed, numRuns: 40 },
    );
  });

  test('stored bytes are those of the files; entries are counted as the chain holds them', async () => {
    const world = worldOn();
    const engine = await open(world, { checkpointing: false });
    expect(engine.stats().storage).toMatchObject({
      logicalBytes: 0,
      uniqueBytes: 0,
      storedBytes: 0,
    });
    engine.operator('op').blob('b').set(1, large);
    engine.operator('op').blob('other').set('same', large);
    engine.operator('op').value('v').set('k', 'x'.repeat(1000));
    await engine.commit();
    const { chain } = await engine.checkpoint();
    const first = engine.stats().storage;
    expect(first.storedBytes).toBe(chain[0]!.bytes);
    expect(first.blobs.bytes).toBe(1_200_000);
    expect(first.blobs.chunkBytes).toBe(600_000);
    expect(first.entryBytes).toBeGreaterThan(1000);
    engine.operator('op').value('v').set('k', 'y'.repeat(1000));
    await engine.commit();
    await engine.checkpoint();
    const second = engine.stats().storage;
    expect(second.entryBytes - first.entryBytes).toBeGreaterThan(1000);
    expect(second.blobs).toEqual(first.blobs);
    await engine.checkpoint({ kind: 'base' });
    expect(engine.stats().storage.entryBytes).toBe(first.entryBytes);
    await engine.close();
  });

  test('a crash before the checkpoint: the opening counts what the log tail did', async () => {
    const world = worldOn();
    const engine = await open(world, { checkpointing: false });
    const blobs = engine.operator('op').blob('b');
    blobs.set(1, contents[4]!);
    blobs.set(2, contents[2]!);
    await engine.commit();
    await engine.checkpoint();
    blobs.set(1, contents[5]!);
    blobs.set(3, contents[3]!);
    blobs.delete(2);
    await engine.commit();
    const crashed = worldOn(await world.fs.crash('dropped'), world.clock, 7);
    const again = await open(crashed, { checkpointing: false });
    const { blobs: totals } = await again.checkpoint();
    expect(totals).toEqual(totalsOf([contents[5]!, contents[3]!]));
    await again.close();
  });
});
