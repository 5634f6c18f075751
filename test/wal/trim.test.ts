import { describe, expect, test } from 'vitest';
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
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';
import type { Log } from '../../src/wal/log.ts';

async function rotated(): Promise<{ world: World; log: Log }> {
  const world = worldOn();
  const log = await open(world);
  await appendMany(log, 1, 25);
  return { world, log };
}

describe('trim', () => {
  test('R2 segments below an LSN go: the low-water record is durable before the first unlink', async () => {
    const { world, log } = await rotated();
    const dropped = (await segmentPaths(world.fs)).slice(0, 2);
    const start = world.fs.calls.length;
    const second = log.stats().segments;
    await log.trim(14);
    expect(log.stats().segments).toBe(second - 2);
    const done = changesOf(world.fs.calls.slice(start));
    expect(done).toEqual([
      'write low-water.json.tmp',
      'sync low-water.json.tmp',
      'rename low-water.json',
      'syncDirectory wal',
      ...dropped.map((path) => `unlink ${path.slice(path.lastIndexOf('/') + 1)}`),
      'syncDirectory wal',
    ]);
    const { firstLsn } = log.stats();
    expect(firstLsn).toBeLessThanOrEqual(14);
    expect(await readAll(log)).toEqual(recordsOf(firstLsn, 25));
    await log.close();
    const again = await open(world);
    expect(again.stats().firstLsn).toBe(firstLsn);
    expect(await readAll(again)).toEqual(recordsOf(firstLsn, 25));
    expect(await again.append(record(26))).toBe(26);
    await again.close();
  });

  test('R2 power is lost before any call of a trim: the log opens with everything that was kept', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const { world, log } = await rotated();
      const { firstLsn: before } = log.stats();
      let checked = 0;
      const check = async (): Promise<void> => {
        checked++;
        const after = await crashed(world, new SeededRandom(seed * 100 + checked));
        const again = await open(after);
        const { firstLsn } = again.stats();
        expect(firstLsn).toBeGreaterThanOrEqual(before);
        expect(firstLsn).toBeLessThanOrEqual(20);
        expect(await readAll(again)).toEqual(recordsOf(firstLsn, 25));
        await again.close();
        // What was trimmed is gone from the disk as well.
        expect((await segmentPaths(after.fs)).length).toBeLessThanOrEqual(again.stats().segments);
      };
      world.fs.before = check;
      await log.trim(20);
      await check();
      expect(checked).toBeGreaterThan(8);
      world.fs.before = () => {};
      await log.close();
    }
  });

  test('R2 everything is to go: the newest segment stays, and LSNs go on across crashes', async () => {
    let { world, log } = await rotated();
    await log.trim(Number.MAX_SAFE_INTEGER);
    expect(await segmentPaths(world.fs)).toHaveLength(1);
    let { tail } = log;
    for (let round = 0; round < 5; round++) {
      // Opened, trimmed and lost without a record: nothing but headers carries the LSN.
      world = await crashed(world, new SeededRandom(round));
      log = await open(world);
      expect(log.tail).toBe(tail);
      await log.trim(Number.MAX_SAFE_INTEGER);
      if (round === 3) expect(await log.append(record(tail + 1))).toBe(++tail);
    }
    await log.close();
  });

  test('R2 a trimmed log has lost its newest segment: LOG_HOLE, never a new log at LSN 1', async () => {
    const { world, log } = await rotated();
    await log.trim(Number.MAX_SAFE_INTEGER);
    const old = await segmentPaths(world.fs);
    await log.close();
    for (const path of await segmentPaths(world.fs)) await world.fs.remove(path);
    expect(old).toHaveLength(1);
    const error = await errorOf(open(world));
    expect(error).toMatchObject({ code: 'LOG_HOLE', details: { path: walDirectory, actual: 0 } });
  });

  test('R2 only segments below the low-water record are left: LOG_HOLE', async () => {
    const { world, log } = await rotated();
    const [first] = await segmentPaths(world.fs);
    const old = await world.fs.read(first!);
    await log.trim(Number.MAX_SAFE_INTEGER);
    await log.close();
    for (const path of await segmentPaths(world.fs)) await world.fs.remove(path);
    await world.fs.put(first!, old);
    expect(await codeOf(open(world))).toBe('LOG_HOLE');
  });

  test('a trim fails at any of its calls: a typed error, the log goes on, and a second one does it', async () => {
    for (let at = 1; at <= 12; at++) {
      const { world, log } = await rotated();
      let count = 0;
      world.fs.before = (call) => {
        if (changes(call) && ++count === at) throw injected('EIO');
      };
      const error = await log.trim(14).catch((reason: unknown) => reason);
      world.fs.before = () => {};
      if (count >= at) expect(error).toMatchObject({ code: 'IO' });
      expect(await log.append(record(26))).toBe(26);
      await log.trim(20);
      const { firstLsn } = log.stats();
      expect(await readAll(log)).toEqual(recordsOf(firstLsn, 26));
      await log.close();
      const again = await open(world);
      expect(await readAll(again)).toEqual(recordsOf(firstLsn, 26));
      await again.close();
    }
  });

  test('several trims at once: they run one after the other, and close waits for them', async () => {
    const { world, log } = await rotated();
    const trims = [8, 20, 3, 14].map((lsn) => log.trim(lsn));
    await Promise.all([...trims, log.close()]);
    const again = await open(world);
    const { firstLsn } = again.stats();
    expect(firstLsn).toBeGreaterThan(14);
    expect(await readAll(again)).toEqual(recordsOf(firstLsn, 25));
    await again.close();
  });

  test('reading what was trimmed: OUT_OF_RETENTION names what is kept', async () => {
    const { log } = await rotated();
    const reader = log.read();
    expect((await reader.next()).value).toMatchObject({ lsn: 1 });
    await log.trim(20);
    const { firstLsn, ...details } = { firstLsn: log.stats().firstLsn, tail: 25 };
    const error = await errorOf(readAll(log, { from: firstLsn - 1 }));
    expect(error).toMatchObject({ kind: 'missing', code: 'OUT_OF_RETENTION' });
    expect(error.details).toMatchObject({ from: firstLsn - 1, firstLsn, ...details });
    expect(await readAll(log, { from: firstLsn })).toEqual(recordsOf(firstLsn, 25));
    const rest = (async () => {
      for await (const { lsn } of { [Symbol.asyncIterator]: () => reader })
        expect(lsn).toBeLessThan(20);
    })();
    expect(await codeOf(rest)).toBe('OUT_OF_RETENTION');
    await log.close();
  });
});
