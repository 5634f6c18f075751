/*
 * Futures that were left: how they are listed, read, kept and collected, and what a feed says of them.
 */
import { describe, expect, test } from 'vitest';
import type { ChangedCommit, Engine, EngineOptions } from '../../src/engine/index.ts';
import { collectStoreWith } from '../../src/engine/retention-store.ts';
import { followStoreWith } from '../../src/recovery/follow-store.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { listTimelinesWith } from '../../src/recovery/list-timelines.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import {
  codeOf,
  errorOf,
  noise,
  open,
  pathsIn,
  settle,
  worldOn,
  type World,
} from './engine-fixture.ts';

const dir = '/store';
const still = { checkpointing: false, retention: false } as const;

/** Commits that each set `last` to the mark and their LSN, and are `bytes` large. */
async function commit(engine: Engine, mark: string, count = 1, bytes = 0): Promise<void> {
  const op = engine.operator('op');
  for (let i = 0; i < count; i++) {
    const lsn = engine.stats().log.sealedLsn + 1;
    op.value('v').set('last', `${mark}${lsn}`);
    if (bytes > 0) op.value('v').set(`filler ${lsn % 3}`, noise(bytes, lsn));
    await engine.commit();
  }
}

async function opened(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  world.clock.advance(1000);
  return open(world, { ...still, ...options });
}

/** Ten commits, of which the first five are the past of five others. */
async function forked(): Promise<World> {
  const world = worldOn();
  const engine = await opened(world);
  await commit(engine, 'a', 4);
  await engine.checkpoint({ savepoint: 'four' });
  await commit(engine, 'a', 4);
  await engine.checkpoint({ savepoint: 'eight' });
  await commit(engine, 'a', 2);
  await engine.close();
  const rewound = await opened(world, { recoverTo: { lsn: 5 } });
  await commit(rewound, 'b', 3);
  await rewound.checkpoint();
  await commit(rewound, 'b', 1);
  await rewound.close();
  return world;
}

async function faults(world: World): Promise<readonly unknown[]> {
  return (await verifyStoreWith({ dir, level: 'full' }, world)).faults;
}

describe('timelines of a store', () => {
  test('listed: where each left the one before, its end, and what can be restored', async () => {
    const world = await forked();
    const { timelines, faults: found } = await listTimelinesWith({ dir }, world);
    expect(found).toEqual([]);
    expect(timelines).toMatchObject([
      { id: 1, current: false, parent: undefined, forkLsn: 0, lsn: 10, retained: { fromLsn: 0 } },
      { id: 2, current: true, parent: 1, forkLsn: 5, lsn: 9, retained: { fromLsn: 0 } },
    ]);
    expect(timelines[1]!.forkTimestamp).toBeGreaterThan(0);
    const engine = await opened(world);
    expect((await engine.timelines()).timelines.map(({ id }) => id)).toEqual([1, 2]);
    await engine.close();
    const shown = await inspectStoreWith({ dir }, world);
    expect(shown).toMatchObject({ timeline: 2, timelines: [1, 2], faults: [] });
    expect(new Set(shown.log.segments.map(({ status }) => status))).toEqual(
      new Set(['log', 'other']),
    );
  });

  test('read: the present by default, the future that was left by name', async () => {
    const world = await forked();
    const engine = await opened(world);
    const values = async (at: Parameters<Engine['viewAt']>[0]): Promise<unknown> => {
      const view = await engine.viewAt(at);
      const seen = view.operator('op').value('v').get('last');
      await view.close();
      return seen;
    };
    expect(await values({ lsn: 7 })).toBe('b7');
    expect(await values({ lsn: 7, timeline: 1 })).toBe('a7');
    expect(await values({ timeline: 1 })).toBe('a10');
    expect(await values({ savepoint: 'four' })).toBe('a4');
    expect(await values({ savepoint: 'eight', timeline: 1 })).toBe('a8');
    const error = await errorOf(engine.viewAt({ savepoint: 'eight' }));
    expect(error).toMatchObject({ code: 'SAVEPOINT_NOT_FOUND', details: { timeline: 1 } });
    expect(await codeOf(engine.viewAt({ lsn: 10 }))).toBe('OUT_OF_RETENTION');
    const seen = async (timeline?: number): Promise<unknown[]> => {
      const at = timeline === undefined ? 'latest' : { timeline };
      const reader = await openReaderWith({ dir, at }, world);
      const found: unknown[] = [];
      for await (const { value } of reader.history('op', 'v', 'last')) found.push(value);
      for await (const { lsn, entries } of reader.commits({ from: 5 })) {
        found.push(`${lsn} ${String(entries[0]!.value)}`);
      }
      await reader.close();
      return found;
    };
    const shared = ['a1', 'a2', 'a3', 'a4', 'a5'];
    const ofLog = (lsn: number, mark: string): string => `${lsn} ${mark}${lsn}`;
    const [newer, older] = [
      [6, 7, 8, 9],
      [6, 7, 8, 9, 10],
    ];
    expect(await seen()).toEqual([
      ...shared,
      ...newer.map((lsn) => `b${lsn}`),
      '5 a5',
      ...newer.map((lsn) => ofLog(lsn, 'b')),
    ]);
    expect(await seen(1)).toEqual([
      ...shared,
      ...older.map((lsn) => `a${lsn}`),
      '5 a5',
      ...older.map((lsn) => ofLog(lsn, 'a')),
    ]);
    const changes = [];
    for await (const { oldValue, newValue } of engine.diff({ timeline: 1 }, 'latest')) {
      changes.push([oldValue, newValue]);
    }
    expect(changes).toEqual([['a10', 'b9']]);
    await engine.close();
  });

  test('a savepoint of a future that was left: its name is free, and it can be dropped', async () => {
    const world = await forked();
    const engine = await opened(world);
    await engine.checkpoint({ savepoint: 'eight' });
    expect(await codeOf(engine.checkpoint({ savepoint: 'eight' }))).toBe('SAVEPOINT_EXISTS');
    await engine.dropSavepoint('eight');
    await engine.dropSavepoint('eight');
    expect(await codeOf(engine.dropSavepoint('eight'))).toBe('SAVEPOINT_NOT_FOUND');
    await engine.close();
  });

  test('a segment, or a checkpoint, of a timeline whose record is gone: CORRUPT_RECORD', async () => {
    const world = await forked();
    await world.fs.unlink('/store/timelines/0000000002.json');
    expect(await codeOf(opened(world))).toBe('CORRUPT_RECORD');
    expect(await codeOf(openReaderWith({ dir }, world))).toBe('CORRUPT_RECORD');
    expect(await faults(world)).toMatchObject([{ what: expect.stringContaining('timeline 2') }]);
    for (const path of await pathsIn(world.fs, 'wal')) {
      if (path.includes('-00000002')) await world.fs.unlink(path);
    }
    expect(await codeOf(opened(world))).toBe('CORRUPT_RECORD');
  });

  test('a timeline whose segments are gone: LOG_HOLE, and not the moment at which it began', async () => {
    const world = worldOn();
    const engine = await opened(world);
    await commit(engine, 'a', 4);
    await engine.close();
    const rewound = await opened(world, { recoverTo: { lsn: 2 } });
    await commit(rewound, 'b', 3);
    await rewound.close();
    for (const path of await pathsIn(world.fs, 'wal')) {
      if (path.includes('-00000002')) await world.fs.unlink(path);
    }
    expect(await codeOf(opened(world))).toBe('LOG_HOLE');
  });
});

describe('a feed of changes', () => {
  async function rest(feed: AsyncGenerator<ChangedCommit>): Promise<string[]> {
    const all: string[] = [];
    for await (const { timeline, lsn } of feed) all.push(`${timeline}:${lsn}`);
    return all;
  }

  test('over a fork: the commits of the ancestry, with their positions', async () => {
    const world = await forked();
    const follow = { dir, follow: false };
    expect(await rest(followStoreWith({ ...follow, from: 4 }, world))).toEqual([
      '1:4',
      '1:5',
      '2:6',
      '2:7',
      '2:8',
      '2:9',
    ]);
    expect(await rest(followStoreWith({ ...follow, from: 9, timeline: 1 }, world))).toEqual([
      '1:9',
      '1:10',
    ]);
    // What was left never goes on.
    expect(await rest(followStoreWith({ dir, from: 10, timeline: 1 }, world))).toEqual(['1:10']);
  });

  test('that goes on behind a position: refused where the store was taken back to before it', async () => {
    const world = await forked();
    const behind = (timeline: number, lsn: number): Promise<string[]> =>
      rest(followStoreWith({ dir, follow: false, after: { timeline, lsn } }, world));
    expect(await behind(1, 5)).toEqual(['2:6', '2:7', '2:8', '2:9']);
    expect(await behind(2, 8)).toEqual(['2:9']);
    const error = await errorOf(behind(1, 6));
    expect(error).toMatchObject({
      code: 'TIMELINE_LEFT',
      details: { timeline: 1, lsn: 6, forkLsn: 5, current: 2 },
    });
    expect(await codeOf(behind(7, 6))).toBe('TIMELINE_LEFT');
    // A copy from before that commit, or another store: what was given is not in it.
    expect(await behind(2, 9)).toEqual([]);
    expect(await errorOf(behind(2, 10))).toMatchObject({
      code: 'TIMELINE_LEFT',
      details: { timeline: 2, lsn: 10, forkLsn: 9, current: 2 },
    });
    const engine = await opened(world);
    expect(await codeOf(engine.changes({ after: { timeline: 2, lsn: 10 } }).next())).toBe(
      'TIMELINE_LEFT',
    );
    await commit(engine, 'b', 1);
    expect(await rest(engine.changes({ follow: false, after: { timeline: 2, lsn: 9 } }))).toEqual([
      '2:10',
    ]);
    await engine.close();
    const both = { dir, from: 1, after: { timeline: 1, lsn: 1 } };
    expect(await codeOf(() => followStoreWith(both, world))).toBe('INVALID_OPTION');
  });

  test('that runs while the store is taken back: it ends where that was left behind it', async () => {
    const world = worldOn();
    let engine = await opened(world);
    await commit(engine, 'a', 6);
    await engine.close();
    const ahead = followStoreWith({ dir }, world);
    const early = followStoreWith({ dir }, world);
    for (let lsn = 1; lsn <= 6; lsn++) await ahead.next();
    for (let lsn = 1; lsn <= 2; lsn++) await early.next();
    engine = await opened(world, { recoverTo: { lsn: 4 } });
    await commit(engine, 'b', 2);
    await engine.close();
    let told = false;
    const next = ahead.next().finally(() => {
      told = true;
    });
    const failed = expect(next).rejects.toMatchObject({ code: 'TIMELINE_LEFT' });
    while (!told) {
      await settle(1);
      world.clock.advance(1000);
    }
    await failed;
    await early.return(undefined);
  });
});

describe('retention after a store was taken back', () => {
  /** One base each, so that what is older than two of them can go. */
  async function bases(world: World, count: number): Promise<Engine> {
    const engine = await opened(world, { retention: { checkpoints: 1 }, segmentBytesMax: 65_536 });
    for (let i = 0; i < count; i++) {
      await commit(engine, 'c', 3, 30_000);
      await engine.checkpoint({ kind: 'base' });
    }
    return engine;
  }

  test('T2 while the fork is in the window: the future that was left is whole; behind it, gone whole', async () => {
    const world = await forked();
    const early = await bases(world, 1);
    const first = await early.collect();
    expect(first.plan.lines.filter(({ action }) => action === 'delete')).toEqual([]);
    await early.close();
    expect(await faults(world)).toEqual([]);
    const reader = await openReaderWith({ dir, at: { lsn: 9, timeline: 1 } }, world);
    expect(reader.get('op', 'v', 'last')?.value).toBe('a9');
    await reader.close();

    const late = await bases(world, 3);
    await late.dropSavepoint('eight');
    await late.dropSavepoint('four');
    const { plan } = await late.collect();
    expect(plan.lines.map(({ name }) => name).join()).not.toContain('-00000001.wal');
    await late.close();
    expect(await faults(world)).toEqual([]);
    expect((await pathsIn(world.fs, 'wal')).filter((path) => path.includes('-00000001'))).toEqual(
      [],
    );
    const { timelines } = await listTimelinesWith({ dir }, world);
    expect(timelines).toMatchObject([{ id: 2, current: true }]);
    expect(await codeOf(openReaderWith({ dir, at: { lsn: 9, timeline: 1 } }, world))).toBe(
      'TIMELINE_NOT_FOUND',
    );
    const again = await opened(world);
    expect(again.recovery).toMatchObject({ timeline: 2, skipped: [] });
    await again.close();
  });

  test('a future of a future: its record goes when nothing of it is left', async () => {
    const world = await forked();
    const third = await opened(world, { recoverTo: { lsn: 4 } });
    await commit(third, 'd', 2);
    await third.close();
    const engine = await bases(world, 4);
    await engine.dropSavepoint('eight');
    await engine.dropSavepoint('four');
    await engine.collect();
    await engine.close();
    expect(await pathsIn(world.fs, 'timelines')).toEqual(['/store/timelines/0000000003.json']);
    expect(await faults(world)).toEqual([]);
    const back = await opened(world, { recoverTo: 'latest' });
    expect(back.recovery.timeline).toBe(3);
    await back.close();
  });

  test('a savepoint of a future that was left: it stays, and can be restored', async () => {
    const world = await forked();
    const engine = await bases(world, 4);
    await engine.collect();
    await engine.close();
    const at = { savepoint: 'eight', timeline: 1 } as const;
    const reader = await openReaderWith({ dir, at }, world);
    expect(reader.get('op', 'v', 'last')?.value).toBe('a8');
    await reader.close();
    expect(await faults(world)).toEqual([]);
    const back = await opened(world, { recoverTo: at });
    expect(back.operator('op').value('v').get('last')).toBe('a8');
    expect(back.recovery).toMatchObject({ timeline: 3, lsn: 8 });
    await commit(back, 'e');
    await back.close();
    expect(await faults(world)).toEqual([]);
  });

  test('a reader of this process at a future that was left: it is not collected meanwhile', async () => {
    const world = await forked();
    const reader = await openReaderWith({ dir, at: { lsn: 9, timeline: 1 } }, world);
    const commits = reader.commits({ from: 6 });
    expect((await commits.next()).value).toMatchObject({ lsn: 6 });
    const engine = await bases(world, 4);
    await engine.collect();
    expect((await pathsIn(world.fs, 'wal')).some((path) => path.includes('-00000001'))).toBe(true);
    await commits.return(undefined);
    await reader.close();
    await engine.dropSavepoint('eight');
    await engine.collect();
    expect((await pathsIn(world.fs, 'wal')).some((path) => path.includes('-00000001'))).toBe(false);
    await engine.close();
  });

  test('the command that collects, right after: nothing of either future goes', async () => {
    const world = await forked();
    const report = await collectStoreWith({ dir, retention: { checkpoints: 1 } }, world);
    expect(report.deletedObjects).toBe(0);
    expect(await faults(world)).toEqual([]);
  });
});
