import { describe, expect, test } from 'vitest';

import { inspectStoreWith, type StoreInspection } from '../../src/recovery/inspect.ts';
import { systemRandom } from '../../src/std/random.ts';
import { openLogWith } from '../../src/wal/log.ts';
import { open, worldOn } from '../engine/engine-fixture.ts';
import { dir, fill, smallSegments, TestStore } from './reader-store.ts';

const inspect = (store: TestStore): Promise<StoreInspection> =>
  inspectStoreWith({ dir }, store.components);

async function filled(): Promise<TestStore> {
  const store = new TestStore();
  for (let opening = 0; opening < 2; opening++) {
    const engine = await store.open(smallSegments);
    await fill(engine, 20);
    await engine.checkpoint({ savepoint: `after ${opening}`, metadata: { opening } });
    await engine.close();
  }
  return store;
}

describe('inspecting beside a writer', () => {
  test('commits come between its readings: the log is of one moment, the state says of which', async () => {
    const world = worldOn();
    const engine = await open(world, { checkpointing: false });
    const state = engine.operator('op').value('v');
    for (let n = 1; n <= 3; n++) {
      state.set('k', n);
      await engine.commit();
    }
    let logReads = 0;
    world.fs.before = async ({ call, path }) => {
      // The second look at the directory is that of reading the state: the log has been read.
      if (call !== 'stat' || !path.endsWith('/store')) return;
      if (++logReads !== 2) return;
      state.set('k', 4);
      await engine.commit();
    };
    const found = await inspectStoreWith({ dir: '/store' }, world);
    world.fs.before = () => {};
    expect(engine.sealedLsn).toBe(4);
    expect(found.faults).toEqual([]);
    expect([found.lsn, found.log.segments.at(-1)!.lastLsn]).toEqual([3, 3]);
    expect(found.state!.lsn).toBe(4);
    await engine.close();
    const later = await inspectStoreWith({ dir: '/store' }, world);
    expect([later.lsn, later.log.segments.at(-1)!.lastLsn, later.state!.lsn]).toEqual([4, 4, 4]);
  });

  test('a collection takes a segment whose header was just read: it is of the log still, as long as it was', async () => {
    const world = worldOn();
    for (let opening = 0; opening < 2; opening++) {
      const engine = await open(world, { checkpointing: false });
      await fill(engine, 20);
      await engine.checkpoint();
      await engine.close();
    }
    const before = await inspectStoreWith({ dir: '/store' }, world);
    const first = before.log.segments[0]!;
    expect(before.log.segments.length).toBeGreaterThan(1);
    const path = `/store/wal/${first.name}`;
    world.fs.before = async (call) => {
      if (call.call !== 'close' || call.path !== path) return;
      world.fs.before = () => {};
      await world.fs.unlink(path);
    };
    const found = await inspectStoreWith({ dir: '/store' }, world);
    expect(await world.fs.stat(path)).toBeUndefined();
    expect(found.faults).toEqual([]);
    expect(found.log.segments).toEqual(before.log.segments);
  });
});

describe('inspecting', () => {
  test('a store: identity, checkpoints, segments, tables, positions and sizes agree', async () => {
    const store = await filled();
    const found = await inspect(store);
    expect(found).toMatchObject({
      dir,
      kind: 'engine',
      format: 1,
      keyGroups: 128,
      timelines: [1],
      lsn: 40,
      provedLsn: 40,
      tornTail: undefined,
      damagedHistory: false,
      faults: [],
    });
    expect(found.checkpoints.at(-1)).toMatchObject({
      lsn: 40,
      savepoint: 'after 1',
      dropped: false,
      metadata: { opening: 1 },
    });
    const { segments } = found.log;
    expect(segments[0]).toMatchObject({ firstLsn: 1, lastLsn: 20, status: 'log', epoch: 1 });
    expect(segments.at(-1)!.lastLsn).toBe(40);
    for (const [i, segment] of segments.entries()) {
      expect(segment.usedBytes).toBeLessThanOrEqual(segment.fileBytes);
      if (i > 0) expect(segment.firstLsn).toBe(segments[i - 1]!.lastLsn + 1);
    }
    expect(found.state!.positions).toEqual({ flights: 19 });
    const counts = found.state!.tables.map(({ state, entryCount }) => [state, entryCount]);
    expect(counts).toEqual([
      ['stats', 20],
      ['days', 20],
      ['recent', 3],
      ['flights', 1],
      ['model', 1],
    ]);
    expect(found.state!.chunks).toEqual({ entryCount: 1, bytes: expect.any(Number) });
    const files = await store.files();
    const sum = (part: string): number =>
      files.filter(({ path }) => path.includes(part)).reduce((all, { bytes }) => all + bytes, 0);
    expect(found.totals).toMatchObject({
      logBytes: sum('/wal/'),
      snapshotBytes: sum('/snapshots/'),
      recordBytes: sum('/checkpoints/'),
    });
  });

  test('a dropped savepoint: says so', async () => {
    const store = await filled();
    const engine = await store.open(smallSegments);
    await engine.dropSavepoint('after 0');
    await engine.close();
    const { checkpoints } = await inspect(store);
    const savepoints = checkpoints.filter(({ savepoint }) => savepoint !== undefined);
    expect(savepoints.map(({ savepoint, dropped }) => [savepoint, dropped])).toEqual([
      ['after 0', true],
      ['after 1', false],
    ]);
  });

  test('a log: its segments, and no state', async () => {
    const store = new TestStore();
    const on = { fs: store.fs, clock: store.clock, random: systemRandom };
    const log = await openLogWith({ dir }, on);
    await log.append(new Uint8Array(10));
    await log.close();
    const found = await inspect(store);
    expect(found).toMatchObject({ kind: 'log', lsn: 1, state: undefined, checkpoints: [] });
    expect(found.log.segments).toMatchObject([{ firstLsn: 1, lastLsn: 1 }]);
  });

  test('a torn tail: where it is', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 3);
    const [segment] = await store.files(`${dir}/wal`);
    const content = await store.read(segment!.path);
    await store.flip(
      segment!.path,
      content.findLastIndex((byte) => byte !== 0),
    );
    expect((await inspect(store)).tornTail).toMatchObject({ path: segment!.path, lsn: 3 });
    await engine.close();
  });

  test('a damaged snapshot: a fault, and everything else', async () => {
    const store = await filled();
    const [snapshot] = await store.files(`${dir}/snapshots`);
    for (const { path } of await store.files(`${dir}/snapshots`)) await store.flip(path, 140);
    const found = await inspect(store);
    expect(snapshot).toBeDefined();
    expect(found.faults[0]).toMatchObject({ code: 'CORRUPT_SNAPSHOT' });
    // Made from the log, which is all there.
    expect(found.state).toBeDefined();
    expect(found.log.segments.length).toBeGreaterThan(0);
    expect(found.checkpoints.length).toBeGreaterThan(0);
  });

  test('a damaged record: the others', async () => {
    const store = await filled();
    const records = await store.files(`${dir}/checkpoints`);
    await store.flip(records[0]!.path, 30);
    const found = await inspect(store);
    expect(found.faults).toMatchObject([{ code: 'CORRUPT_RECORD' }]);
    expect(found.checkpoints).toHaveLength(records.length - 1);
    expect(found.state).toBeDefined();
  });

  test('a missing segment that no checkpoint covers: a fault, and the segments that are there', async () => {
    const store = new TestStore();
    for (let opening = 0; opening < 2; opening++) {
      const engine = await store.open(smallSegments);
      await fill(engine, 3);
      await engine.close();
    }
    const segments = (await store.files(`${dir}/wal`)).filter(({ path }) => path.endsWith('.wal'));
    await store.fs.unlink(segments.at(-1)!.path);
    const found = await inspect(store);
    expect(found.faults).toMatchObject([{ code: 'LOG_HOLE' }]);
    expect(found.lsn).toBeUndefined();
    expect(found.log.segments).toHaveLength(1);
  });

  test('a log that ends before the newest checkpoint: damaged history, and the state', async () => {
    const store = await filled();
    for (const { path } of await store.files(`${dir}/wal`)) await store.fs.unlink(path);
    const found = await inspect(store);
    expect(found).toMatchObject({ damagedHistory: true, lsn: 40, provedLsn: 40 });
    expect(found.state!.positions).toEqual({ flights: 19 });
  });

  test('no store: NOT_A_STORE', async () => {
    await expect(inspect(new TestStore())).rejects.toMatchObject({ code: 'NOT_A_STORE' });
  });
});
