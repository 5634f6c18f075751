import { describe, expect, test } from 'vitest';
import { listLog } from '../../src/wal/log-directory.ts';
import { openLogWith, type Log } from '../../src/wal/log.ts';
import { decodeSegmentHeader } from '../../src/wal/segment-format.ts';
import { changes, injected } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  appendMany,
  changesOf,
  codeOf,
  crashed,
  errorOf,
  open,
  readAll,
  record,
  recordsOf,
  segmentPaths,
  settle,
  small,
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';

const hourMs = 3_600_000;

/** Appends through an LSN, an hour before each, and lets the background come to rest. */
async function appendHourly(world: World, log: Log, from: number, through: number): Promise<void> {
  for (let n = from; n <= through; n++) {
    world.clock.advance(hourMs);
    await settle();
    await appendMany(log, n, n);
  }
  await settle();
}

describe('retain.segments', () => {
  test('after each rotation: no more than that many, the newest records among them', async () => {
    for (const segments of [1, 3]) {
      const world = worldOn();
      const log = await open(world, { retain: { segments }, cleanupMs: false });
      for (let n = 1; n <= 60; n++) {
        await appendMany(log, n, n);
        await settle();
        expect(log.stats().segments).toBeLessThanOrEqual(segments);
      }
      const { firstLsn, retention } = log.stats();
      expect(firstLsn).toBeGreaterThan(60 - 8 * segments);
      expect(retention!.segmentsDropped).toBeGreaterThan(60 / 8 - segments);
      expect(retention!.failure).toBeUndefined();
      expect(await readAll(log)).toEqual(recordsOf(firstLsn, 60));
      expect(world.clock.timerCount).toBeLessThanOrEqual(1);
      await log.close();
      expect(await segmentPaths(world.fs)).toHaveLength(segments);
    }
  });

  test('an opening: it counts the segment that the opening made', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 40);
    await log.close();
    const before = await segmentPaths(world.fs);
    expect(before.length).toBeGreaterThan(4);
    const again = await open(world, { retain: { segments: 3 } });
    expect((await segmentPaths(world.fs)).slice(0, 2)).toEqual(before.slice(-2));
    expect(again.stats()).toMatchObject({ segments: 3, retention: { cleanups: 1 } });
    await again.close();
  });

  test('R2 the record is durable before the first segment goes', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 40);
    await log.close();
    world.fs.calls.length = 0;
    const again = await open(world, { retain: { segments: 2 } });
    const done = changesOf(world.fs.calls).filter((call) => /low-water|unlink .*wal$/.test(call));
    expect(done.slice(0, 4)).toEqual([
      'write low-water.json.tmp',
      'sync low-water.json.tmp',
      'rename low-water.json',
      expect.stringContaining('unlink'),
    ]);
    await again.close();
  });

  test('power is lost before any call while records are appended: what is kept is whole', async () => {
    for (const seed of [1, 2]) {
      const world = worldOn();
      const log = await open(world, { retain: { segments: 2 } });
      let checked = 0;
      let acknowledged = 0;
      world.fs.before = async (call) => {
        if (!changes(call) || checked++ % 3 !== 0) return;
        const durable = acknowledged;
        const after = await crashed(world, new SeededRandom(seed * 1000 + checked));
        const again = await open(after);
        expect(again.tail).toBeGreaterThanOrEqual(durable);
        const { firstLsn } = again.stats();
        expect(firstLsn).toBeLessThanOrEqual(durable + 1);
        expect(await readAll(again)).toEqual(recordsOf(firstLsn, again.tail));
        await again.close();
      };
      for (let n = 1; n <= 40; n++) acknowledged = await log.append(record(n));
      world.fs.before = () => {};
      expect(checked).toBeGreaterThan(100);
      await log.close();
    }
  });
});

describe('retain.ageMs', () => {
  test('records younger than that are there; older ones go with their segment', async () => {
    const world = worldOn();
    const log = await open(world, { retain: { ageMs: 24 * hourMs } });
    await appendHourly(world, log, 1, 100);
    const { firstLsn } = log.stats();
    // The last 24, and those that share a segment with the oldest of them.
    expect(firstLsn).toBeLessThanOrEqual(77);
    expect(firstLsn).toBeGreaterThan(77 - 16);
    expect(await readAll(log)).toEqual(recordsOf(firstLsn, 100));
    world.clock.advance(200 * hourMs);
    await settle();
    // The newest always stays.
    expect(log.stats().segments).toBe(1);
    expect(log.stats().firstLsn).toBeGreaterThan(90);
    await log.close();
  });

  test('the clock steps back: headers never do, and nothing young goes', async () => {
    const world = worldOn();
    world.clock.advance(1000 * hourMs);
    let log = await open(world);
    await appendMany(log, 1, 20);
    await log.close();
    const past: World = { ...world, clock: worldOn().clock };
    log = await openLogWith({ ...small, retain: { ageMs: hourMs } }, past);
    await appendMany(log, 21, 40);
    await settle();
    expect(log.stats().firstLsn).toBe(1);
    const times = [];
    for (const path of await segmentPaths(world.fs)) {
      times.push(decodeSegmentHeader(await world.fs.read(path), path).createdAt);
    }
    expect(new Set(times)).toEqual(new Set([1000 * hourMs * 1000]));
    await log.close();
  });

  test('either bound: whichever is met first', async () => {
    const world = worldOn();
    const log = await open(world, { retain: { segments: 4, ageMs: 5 * hourMs } });
    await appendHourly(world, log, 1, 40);
    expect(log.stats().segments).toBeLessThan(4);
    await appendMany(log, 41, 100);
    await settle();
    expect(log.stats().segments).toBe(4);
    await log.close();
  });
});

describe('cleanupMs', () => {
  test('every so often: without an append', async () => {
    const world = worldOn();
    const retain = { ageMs: 10_000 };
    const log = await open(world, { retain, cleanupMs: 4000 });
    await appendMany(log, 1, 30);
    await settle();
    const { segments, retention } = log.stats();
    world.clock.advance(8000);
    await settle();
    expect(log.stats().segments).toBe(segments);
    expect(log.stats().retention!.cleanups).toBe(retention!.cleanups + 1);
    world.clock.advance(4000);
    await settle();
    expect(log.stats().segments).toBe(1);
    await log.close();
    expect(world.clock.timerCount).toBe(0);
  });

  test('not given: an hour; false: never by itself', async () => {
    for (const [cleanupMs, due] of [
      [undefined, 1],
      [false, 0],
    ] as const) {
      const world = worldOn();
      const options = cleanupMs === undefined ? {} : { cleanupMs };
      const log = await open(world, { retain: { ageMs: 1 }, ...options });
      const before = log.stats().retention!.cleanups;
      world.clock.advance(hourMs - 1);
      await settle();
      expect(log.stats().retention!.cleanups).toBe(before);
      world.clock.advance(1);
      await settle();
      expect(log.stats().retention!.cleanups).toBe(before + due);
      await log.close();
    }
  });
});

describe('retention of an open log', () => {
  test('a reader is behind it: OUT_OF_RETENTION says what is kept', async () => {
    const world = worldOn();
    const log = await open(world, { retain: { segments: 2 } });
    await appendMany(log, 1, 10);
    const reader = log.read();
    expect((await reader.next()).value).toMatchObject({ lsn: 1 });
    await appendMany(log, 11, 60);
    await settle();
    const rest = (async () => {
      for await (const { lsn } of { [Symbol.asyncIterator]: () => reader })
        expect(lsn).toBeLessThan(20);
    })();
    const error = await errorOf(rest);
    expect(error).toMatchObject({ code: 'OUT_OF_RETENTION', details: { tail: 60 } });
    expect(error.details['firstLsn']).toBe(log.stats().firstLsn);
    await log.close();
  });

  test('a cleanup fails: stats say why, appends go on, and a later one does it', async () => {
    const world = worldOn();
    const log = await open(world, { retain: { segments: 1 }, cleanupMs: 1000 });
    world.fs.before = ({ path }) => {
      if (path.includes('low-water')) throw injected('EIO');
    };
    await appendMany(log, 1, 20);
    await settle();
    expect(log.stats().segments).toBeGreaterThan(1);
    expect(log.stats().retention!.failure).toMatchObject({ code: 'IO' });
    world.fs.before = () => {};
    world.clock.advance(1000);
    await settle();
    expect(log.stats()).toMatchObject({ segments: 1, retention: { failure: undefined } });
    await log.close();
  });

  test('L11 the log is poisoned: nothing is removed any more', async () => {
    const world = worldOn();
    const log = await open(world, { retain: { ageMs: 1 }, cleanupMs: 1000 });
    await appendMany(log, 1, 20);
    await settle();
    world.fs.before = ({ call }) => {
      if (call === 'write') throw injected('EIO');
    };
    expect(await codeOf(log.append(record(21)))).toBe('OUTCOME_UNKNOWN');
    world.fs.before = () => {};
    const { segments } = await listLog(world.fs, walDirectory);
    expect(segments.length).toBeGreaterThan(1);
    world.clock.advance(10_000);
    await settle();
    expect(await listLog(world.fs, walDirectory)).toMatchObject({ segments });
    expect(log.stats().retention!.failure).toMatchObject({ code: 'POISONED' });
    await log.close();
  });

  test.each([
    ['retain', { retain: 5 }],
    ['retain', { retain: null }],
    ['retain', { retain: {} }],
    ['retain.days', { retain: { segments: 2, days: 3 } }],
    ['retain.segments', { retain: { segments: 0 } }],
    ['retain.ageMs', { retain: { ageMs: Number.MAX_SAFE_INTEGER } }],
    ['cleanupMs', { cleanupMs: 1000 }],
    ['cleanupMs', { cleanupMs: 2 ** 31, retain: { segments: 1 } }],
    ['cleanupMs', { cleanupMs: 0, retain: { segments: 1 } }],
  ])('option %s is wrong: INVALID_OPTION names it, nothing is made', async (option, wrong) => {
    const world = worldOn();
    const error = await errorOf(open(world, wrong as object));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
    expect(world.fs.calls).toEqual([]);
  });
});
