/*
 * Openings that know a checkpoint's position, as the engine's do: `planOpening`, `applyOpening` and
 * the writer, without the engine.
 */
import { describe, expect, test } from 'vitest';
import { planOpening, type OpeningPlan } from '../../src/wal/log-opening.ts';
import { resolveLogOptions } from '../../src/wal/log-options.ts';
import type { LogPosition } from '../../src/wal/log-position.ts';
import { readRecords } from '../../src/wal/log-records.ts';
import { LogSegments } from '../../src/wal/log-segments.ts';
import { LogWriter } from '../../src/wal/log-writer.ts';
import { applyOpening } from '../../src/wal/opening-segment.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  collect,
  crashed,
  errorOf,
  gate,
  record,
  recordsOf,
  segmentPaths,
  settle,
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';

const storeId = new Uint8Array(16).fill(9);

interface Opened {
  readonly plan: OpeningPlan;
  /** Records behind the checkpoint. */
  readonly replayed: string[];
  readonly writer: LogWriter;
  readonly segments: LogSegments;
  append(n: number): Promise<void>;
}

async function openAt(world: World, checkpoint?: LogPosition): Promise<Opened> {
  const { fs, clock, random } = world;
  await fs.makeDirectory(walDirectory);
  const storeDirectory = '/log';
  const at = { storeDirectory, storeId, checkpoint };
  const input = { ...at, lowWater: undefined, roomBytes: 4096 };
  const plan = await planOpening(fs, walDirectory, input);
  // As the engine does: read before anything is changed.
  const replayed = await collect(readRecords(fs, plan.ranges, 1));
  const opened = await applyOpening(fs, walDirectory, plan, input, { clock, random });
  const segments = new LogSegments(plan.segments, opened);
  const options = resolveLogOptions({ segmentBytesMax: 4096 });
  const numberMax = opened.header.number;
  const directory = walDirectory;
  const writer = new LogWriter({ fs, directory, options, clock, random, opened, numberMax });
  writer.onRotate((sealed, next) => segments.rotated(sealed, next));
  const append = (n: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const lsn = writer.seal([record(n)], 'disk', { resolve, reject });
      expect(lsn).toBe(n);
    });
  return { plan, replayed, writer, segments, append };
}

describe('opening with a checkpoint', () => {
  test('the range behind its position is replayed, and no byte before it', async () => {
    const world = worldOn();
    const first = await openAt(world);
    let position: LogPosition | undefined;
    for (let n = 1; n <= 20; n++) {
      await first.append(n);
      if (n === 11) position = await first.writer.cut();
    }
    expect(position?.lsn).toBe(11);
    await first.writer.close();
    // L8: what is below the checkpoint does not stop the opening.
    const [oldest] = await segmentPaths(world.fs);
    const damaged = await world.fs.read(oldest!);
    await world.fs.put(oldest!, damaged.fill(0xff, 200));
    const again = await openAt(world, position);
    expect(again.replayed).toEqual(recordsOf(12, 20));
    expect(again.plan.damagedHistory).toBe(false);
    await again.writer.close();
  });

  test('its position is at the start of a segment that holds no record: it is found by every later opening', async () => {
    const world = worldOn();
    const first = await openAt(world);
    for (let n = 1; n <= 3; n++) await first.append(n);
    await first.writer.close();
    const second = await openAt(world);
    const position = await second.writer.cut();
    expect(position.lsn).toBe(3);
    await second.writer.close();
    for (let round = 0; round < 4; round++) {
      const again = await openAt(world, position);
      expect(again.plan).toMatchObject({ lastLsn: 3, damagedHistory: false });
      expect(again.replayed).toEqual([]);
      await again.writer.close();
    }
    const last = await openAt(world, position);
    await last.append(4);
    await last.writer.close();
    const after = await openAt(world, position);
    expect(after.replayed).toEqual(recordsOf(4, 4));
    await after.writer.close();
    // O5: without that checkpoint, the log is walked and read from its first record.
    const whole = await openAt(world);
    expect(whole.replayed).toEqual(recordsOf(1, 4));
    await whole.writer.close();
  });

  test('L7 the log ends before it: damaged history, numbers go on behind it and stay, whatever follows', async () => {
    const lost = worldOn();
    const first = await openAt(lost);
    for (let n = 1; n <= 30; n++) await first.append(n);
    const position = await first.writer.cut();
    await first.writer.close();
    for (const kept of [0, 2]) {
      let world = await crashed(lost, 'kept');
      const paths = await segmentPaths(world.fs);
      for (const path of paths.slice(kept)) await world.fs.remove(path);
      const opened = await openAt(world, position);
      expect(opened.plan).toMatchObject({ damagedHistory: true, lastLsn: 30, ranges: [] });
      for (let n = 31; n <= 33; n++) await opened.append(n);
      for (let round = 0; round < 3; round++) {
        // O5: what is left of the history stays.
        const left = await segmentPaths(world.fs);
        expect(left.slice(0, kept)).toEqual(paths.slice(0, kept));
        world = await crashed(world, new SeededRandom(round));
        const again = await openAt(world, position);
        expect(again.plan).toMatchObject({ damagedHistory: false, lastLsn: 33 });
        expect(again.replayed).toEqual(recordsOf(31, 33));
      }
    }
  });

  test('L7 damaged history, and a crash before the first commit: what is left of it stays', async () => {
    const world = worldOn();
    const first = await openAt(world);
    for (let n = 1; n <= 30; n++) await first.append(n);
    const position = await first.writer.cut();
    await first.writer.close();
    const paths = await segmentPaths(world.fs);
    for (const path of paths.slice(2)) await world.fs.remove(path);
    for (let round = 0; round < 3; round++) {
      const opened = await openAt(world, position);
      expect(opened.plan.lastLsn).toBe(30);
      await opened.writer.close();
      expect((await segmentPaths(world.fs)).slice(0, 2)).toEqual(paths.slice(0, 2));
      expect(await segmentPaths(world.fs)).toHaveLength(3);
    }
  });

  test('L7 a segment above it is missing: LOG_HOLE', async () => {
    const world = worldOn();
    const first = await openAt(world);
    await first.append(1);
    const position = await first.writer.cut();
    for (let n = 2; n <= 30; n++) await first.append(n);
    await first.writer.close();
    const paths = await segmentPaths(world.fs);
    await world.fs.remove(paths[2]!);
    expect((await errorOf(openAt(world, position))).code).toBe('LOG_HOLE');
  });

  test('L2 a growing segment is cut before its position: CORRUPT_SEGMENT', async () => {
    const world = worldOn();
    const first = await openAt(world);
    const done = new Promise<void>((resolve, reject) => {
      first.writer.seal([record(1, 10_000)], 'disk', { resolve, reject });
    });
    await done;
    const position = await first.writer.cut();
    await first.writer.close();
    const newest = (await segmentPaths(world.fs)).at(-1)!;
    const bytes = await world.fs.read(newest);
    await world.fs.put(newest, bytes.subarray(0, 5000));
    const error = await errorOf(openAt(world, position));
    expect(error).toMatchObject({
      code: 'CORRUPT_SEGMENT',
      details: { path: newest, actual: 5000 },
    });
  });

  test('C1 the log is cut and written, and its sync has not returned: no checkpoint hears of the border', async () => {
    const world = worldOn();
    const { writer } = await openAt(world);
    await settle();
    const sync = gate();
    world.fs.before = ({ call, path }) =>
      call === 'sync' && path.endsWith('.wal') ? sync.passed : undefined;
    const written = new Promise<void>((resolve, reject) => {
      writer.seal([record(1)], 'os', { resolve, reject });
    });
    let border: LogPosition | undefined;
    const cut = writer.cut().then((position) => (border = position));
    await written;
    await settle();
    expect(world.fs.calls.at(-1)?.call).toBe('sync');
    expect([writer.durableLsn, border]).toEqual([0, undefined]);
    sync.open();
    await cut;
    expect([writer.durableLsn, border?.lsn]).toEqual([1, 1]);
    await writer.close();
  });

  test('C1 the log is cut while frames are sealed and written: every cut is a border behind its LSN', async () => {
    const world = worldOn();
    const { writer, segments } = await openAt(world);
    const pending: Promise<unknown>[] = [];
    const cuts: { lsn: number; position: Promise<LogPosition> }[] = [];
    for (let n = 1; n <= 120; n++) {
      pending.push(
        new Promise<void>((resolve, reject) => {
          writer.seal([record(n, 20)], 'disk', { resolve, reject });
        }),
      );
      if (n % 7 === 0) cuts.push({ lsn: writer.sealedLsn, position: writer.cut() });
      if (n % 5 === 0) await Promise.resolve();
      if (n % 20 === 0) await Promise.all(pending);
    }
    await Promise.all(pending);
    let from: LogPosition | undefined;
    for (const { lsn, position } of cuts) {
      const to = await position;
      expect(to.lsn).toBe(lsn);
      const records = await collect(readRecords(world.fs, segments.ranges(from, to), 1));
      expect(records).toEqual(recordsOf((from?.lsn ?? 0) + 1, lsn));
      from = to;
    }
    await writer.close();
  });
});
