/*
 * Going back where the log is compressed, so that a timeline begins inside a compressed group, and where
 * snapshots and records are in an object store of their own.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { repairStoreWith } from '../../src/engine/repair-store.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { decodeGroupHeader, groupBytes, groupKinds } from '../../src/wal/group-format.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import { flipMiddle } from '../recovery/damaged-worlds.ts';
import { codeOf, open, pathsIn, worldOn, type World } from './engine-fixture.ts';

const dir = '/store';
const quiet = { checkpointing: false, retention: false } as const;

function reopened(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  world.clock.advance(1000);
  return open(world, { ...quiet, ...options });
}

/** Commits of one group, whose values are compressible. */
async function commit(engine: Engine, mark: string, count: number): Promise<number> {
  const value = engine.operator('op').value<string>('v');
  const waiting: Promise<{ lsn: number }>[] = [];
  for (let i = 0; i < count; i++) {
    const text = `${mark}${engine.stats().log.sealedLsn + 1}`;
    value.set('last', text);
    value.set(text, 'compressible '.repeat(40));
    waiting.push(engine.commit());
  }
  return (await Promise.all(waiting)).at(-1)!.lsn;
}

function last(engine: Engine): unknown {
  return engine.operator('op').value('v').get('last');
}

async function lastAt(
  world: World,
  at: Parameters<typeof openReaderWith>[0]['at'],
  store?: MemoryObjectStore,
): Promise<unknown> {
  const reader = await openReaderWith({ dir, ...(at && { at }), ...(store && { store }) }, world);
  const found = reader.get('op', 'v', 'last')?.value;
  await reader.close();
  return found;
}

/** LSNs that stand inside a compressed group: not at its end. */
async function insideCompressed(world: World): Promise<number[]> {
  const found: number[] = [];
  for (const path of await pathsIn(world.fs, 'wal')) {
    const bytes = await world.fs.read(path);
    const { salt } = decodeSegmentHeader(bytes.subarray(0, segmentHeaderBytes), path);
    for (let at = segmentHeaderBytes; ;) {
      const header = decodeGroupHeader(bytes, at, salt, at);
      if (typeof header === 'string') break;
      const { kind, codec, firstLsn, recordCount, bodyBytes } = header;
      if (kind === groupKinds.frames && codec !== 0) {
        for (let lsn = firstLsn; lsn < firstLsn + recordCount - 1; lsn++) found.push(lsn);
      }
      at += groupBytes(bodyBytes);
    }
  }
  return found;
}

describe('a log that is compressed', () => {
  const codecs = ['lz4', 'zstd'] as const;

  async function compressed(logCompression: (typeof codecs)[number]): Promise<World> {
    const world = worldOn();
    const engine = await reopened(world, { logCompression });
    await commit(engine, 'a', 4);
    await engine.checkpoint();
    await commit(engine, 'a', 6);
    await commit(engine, 'a', 6);
    await engine.close();
    return world;
  }

  test.each(codecs)(
    '%s: a timeline that begins inside a compressed group has its first part',
    async (codec) => {
      const inside = await insideCompressed(await compressed(codec));
      expect(inside.length).toBeGreaterThan(4);
      for (const lsn of inside.filter((_, i) => i % 3 === 0)) {
        const world = await compressed(codec);
        const engine = await reopened(world, { recoverTo: { lsn }, logCompression: codec });
        expect(engine.recovery).toMatchObject({ timeline: 2, lsn });
        expect(last(engine)).toBe(`a${lsn}`);
        expect(
          engine
            .operator('op')
            .value('v')
            .get(`a${lsn + 1}`),
        ).toBeUndefined();
        const next = await commit(engine, 'b', 3);
        expect(next).toBe(lsn + 3);
        await engine.close();
        const again = await reopened(world, { logCompression: codec });
        expect(last(again)).toBe(`b${next}`);
        await again.close();
        expect(await lastAt(world, { timeline: 1 })).toBe('a16');
        expect(await lastAt(world, { lsn })).toBe(`a${lsn}`);
        expect((await verifyStoreWith({ dir, level: 'full' }, world)).faults).toEqual([]);
      }
    },
  );

  test('and the first segment of that timeline is lost, or its record: what both have is still found', async () => {
    const [lsn] = await insideCompressed(await compressed('lz4'));
    const begun = async (): Promise<World> => {
      const world = await compressed('lz4');
      const engine = await reopened(world, { recoverTo: { lsn: lsn! }, logCompression: 'lz4' });
      await commit(engine, 'b', 3);
      await engine.close();
      return world;
    };
    const world = await begun();
    const path = (await pathsIn(world.fs, 'timelines'))[0]!;
    await flipMiddle(world, path);
    await repairStoreWith({ dir }, world);
    expect(await lastAt(world, undefined)).toBe(`b${lsn! + 3}`);
    const other = await begun();
    const own = (await pathsIn(other.fs, 'wal')).filter((name) => name.includes('-00000002'));
    for (const name of own) await other.fs.remove(name);
    const engine = await reopened(other, { acceptLoss: true });
    expect(engine.recovery.loss).toMatchObject({ reachedLsn: lsn });
    expect(last(engine)).toBe(`a${lsn}`);
    await engine.close();
  });
});

describe('snapshots and records in an object store of their own', () => {
  /** Another opening finds it as it was. */
  class LastingStore extends MemoryObjectStore {
    override close(): Promise<void> {
      return Promise.resolve();
    }
  }

  async function elsewhere(): Promise<{ world: World; store: LastingStore }> {
    const world = worldOn();
    const store = new LastingStore();
    const engine = await reopened(world, { store });
    await commit(engine, 'a', 4);
    await engine.checkpoint({ savepoint: 'four' });
    await commit(engine, 'a', 4);
    await engine.close();
    return { world, store };
  }

  test.each([2, 4, 6])(
    'to LSN %i: as with files; the records of timelines are there too',
    async (lsn) => {
      const { world, store } = await elsewhere();
      const engine = await reopened(world, { store, recoverTo: { lsn } });
      expect(engine.recovery).toMatchObject({ timeline: 2, lsn });
      expect(last(engine)).toBe(`a${lsn}`);
      const next = await commit(engine, 'b', 2);
      await engine.checkpoint();
      await engine.close();
      expect((await store.list('timelines/')).map(({ name }) => name)).toHaveLength(1);
      expect(await pathsIn(world.fs, 'timelines')).toEqual([]);
      const again = await reopened(world, { store });
      expect(last(again)).toBe(`b${next}`);
      await again.close();
      expect(await lastAt(world, { timeline: 1 }, store)).toBe('a8');
      const back = await reopened(world, { store, recoverTo: { timeline: 1 } });
      expect([last(back), back.recovery.timeline]).toEqual(['a8', 3]);
      await back.close();
      expect((await verifyStoreWith({ dir, store, level: 'full' }, world)).faults).toEqual([]);
    },
  );

  test('to what is damaged there: refused, and the present goes on', async () => {
    const { world, store } = await elsewhere();
    // The log from before is not kept: the snapshot is the only way.
    const later = await reopened(world, { store, retention: { checkpoints: 1 } });
    for (const text of ['x', 'y', 'z']) {
      await commit(later, text, 1);
      await later.checkpoint({ kind: 'base' });
    }
    await later.collect();
    await later.close();
    const kept = await reopened(world, { store });
    const four = (await kept.checkpoints()).find(({ savepoint }) => savepoint === 'four')!;
    await kept.close();
    const { name } = four.chain[0]!;
    const bytes = (await store.get(name))!;
    bytes[100]! ^= 1;
    await store.delete(name);
    await store.put(name, bytes);
    const back = reopened(world, { store, recoverTo: { savepoint: 'four' } });
    expect(await codeOf(back)).toBe('CORRUPT_SNAPSHOT');
    expect(await store.list('timelines/')).toEqual([]);
    const engine = await reopened(world, { store });
    expect([last(engine), engine.recovery.timeline]).toEqual(['z11', 1]);
    await engine.close();
  });
});
