import { describe, expect, test } from 'vitest';
import { ClosedError } from '../../src/errors.ts';
import { listLog } from '../../src/wal/log-directory.ts';
import { planOpening } from '../../src/wal/log-opening.ts';
import { LogSegments } from '../../src/wal/log-segments.ts';
import { LogTrimmer } from '../../src/wal/log-trimmer.ts';
import { readLowWater } from '../../src/wal/low-water.ts';
import { applyOpening } from '../../src/wal/opening-segment.ts';
import { applyTrim, planTrim, type TrimHooks } from '../../src/wal/trim-segments.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import { changes, injected } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  appendMany,
  codeOf,
  crashed,
  errorOf,
  open,
  readAll,
  recordsOf,
  segmentPaths,
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';

const timeline = 1;
const noHooks: TrimHooks = { assertWritable: () => {}, forget: () => {} };

/** A closed log of several segments, and their numbers. */
async function closedLog(): Promise<{ world: World; numbers: number[] }> {
  const world = worldOn();
  const log = await open(world);
  await appendMany(log, 1, 25);
  await log.close();
  const { segments } = await listLog(world.fs, walDirectory);
  return { world, numbers: segments.map(({ number }) => number) };
}

describe('a trim to a segment', () => {
  test('the plan: all that is below, where the log then starts, and nothing is changed', async () => {
    const { world, numbers } = await closedLog();
    world.fs.calls.length = 0;
    const plan = await planTrim(world.fs, walDirectory, { segment: numbers[2]!, timeline });
    expect(world.fs.calls.filter(changes)).toEqual([]);
    expect(plan.segments.map(({ number }) => number)).toEqual(numbers.slice(0, 2));
    expect(plan.segments.every(({ fileBytes }) => fileBytes > 2000)).toBe(true);
    expect(plan.lowWater).toMatchObject({ timeline, segment: numbers[2]! });
    let forgotten = 0;
    const forget = (below: number): void => void (forgotten = below);
    await applyTrim(world.fs, walDirectory, plan, { ...noHooks, forget });
    expect(forgotten).toBe(numbers[2]);
    const log = await open(world);
    expect(log.stats().firstLsn).toBe(plan.lowWater.lsn);
    expect(await readAll(log)).toEqual(recordsOf(plan.lowWater.lsn, 25));
    await log.close();
  });

  test('that segment is not there: OUT_OF_RETENTION; it is the first: nothing is written', async () => {
    const { world, numbers } = await closedLog();
    const keep = { segment: numbers.at(-1)! + 7, timeline };
    const error = await errorOf(planTrim(world.fs, walDirectory, keep));
    expect(error).toMatchObject({ code: 'OUT_OF_RETENTION', details: { segment: keep.segment } });
    const first = await planTrim(world.fs, walDirectory, { segment: numbers[0]!, timeline });
    world.fs.calls.length = 0;
    await applyTrim(world.fs, walDirectory, first, noHooks);
    expect(world.fs.calls).toEqual([]);
  });

  test('a trim was cut off behind its record: the next one, to there or below, takes what is left', async () => {
    const { world, numbers } = await closedLog();
    const to = { segment: numbers[3]!, timeline };
    world.fs.before = ({ call }) => {
      if (call === 'unlink') throw injected('EIO');
    };
    const plan = await planTrim(world.fs, walDirectory, to);
    expect(await codeOf(applyTrim(world.fs, walDirectory, plan, noHooks))).toBe('IO');
    world.fs.before = () => {};
    const again = await planTrim(world.fs, walDirectory, { segment: numbers[1]!, timeline });
    expect(again).toEqual(plan);
    await applyTrim(world.fs, walDirectory, again, noHooks);
    expect(await segmentPaths(world.fs)).toHaveLength(numbers.length - 3);
  });

  test('R2 power is lost before any call: every record above the low-water record is there', async () => {
    for (const seed of [1, 2, 3]) {
      const { world, numbers } = await closedLog();
      const plan = await planTrim(world.fs, walDirectory, { segment: numbers[4]!, timeline });
      let checked = 0;
      world.fs.before = async () => {
        checked++;
        const after = await crashed(world, new SeededRandom(seed * 50 + checked));
        const log = await open(after);
        const { firstLsn } = log.stats();
        expect([1, plan.lowWater.lsn]).toContain(firstLsn);
        expect(await readAll(log)).toEqual(recordsOf(firstLsn, 25));
        await log.close();
      };
      await applyTrim(world.fs, walDirectory, plan, noHooks);
      world.fs.before = () => {};
      expect(checked).toBeGreaterThan(10);
    }
  });
});

describe('trims of an open log', () => {
  async function opened(): Promise<{
    world: World;
    numbers: number[];
    segments: LogSegments;
    trimmer: (assertOpen?: () => void) => LogTrimmer;
  }> {
    const { world, numbers } = await closedLog();
    const { fs } = world;
    const { storeId } = (await readIdentity(fs, '/log'))!;
    const at = { storeDirectory: '/log', storeId, checkpoint: undefined };
    const input = { ...at, lowWater: undefined, roomBytes: 4096 };
    const plan = await planOpening(fs, walDirectory, input);
    const segment = await applyOpening(fs, walDirectory, plan, input, world);
    // As an engine does, whose walk ends at its newest checkpoint.
    const segments = new LogSegments(plan.segments.slice(-2), segment);
    const trimmer = (assertOpen = () => {}): LogTrimmer =>
      new LogTrimmer({ fs, directory: walDirectory, writer: { assertOpen }, segments });
    return { world, numbers, segments, trimmer };
  }

  test('segments that the opening did not walk: they go as well, and those that are known are forgotten', async () => {
    const { world, numbers, segments, trimmer } = await opened();
    const known = segments.all.length;
    const plan = await trimmer().trim(() => ({ segment: numbers.at(-1)!, timeline }));
    expect(plan!.segments.map(({ number }) => number)).toEqual(numbers.slice(0, -1));
    expect(segments.all).toHaveLength(known - 1);
    expect(await segmentPaths(world.fs)).toHaveLength(2);
  });

  test('a segment above the newest is asked for: the newest stays', async () => {
    const { world, segments, trimmer } = await opened();
    await trimmer().trim(() => ({ segment: Number.MAX_SAFE_INTEGER, timeline }));
    expect(segments.all).toHaveLength(1);
    expect(await segmentPaths(world.fs)).toEqual([segments.newest.path]);
    expect(await readLowWater(world.fs, walDirectory)).toMatchObject({ lsn: 26 });
  });

  test('nothing is to be kept from: nothing goes', async () => {
    const { world, trimmer } = await opened();
    world.fs.calls.length = 0;
    expect(await trimmer().trim(() => undefined)).toBeUndefined();
    expect(world.fs.calls).toEqual([]);
  });

  test('L11 the writer stops between two unlinks: nothing more is removed', async () => {
    const { world, numbers, trimmer } = await opened();
    let calls = 0;
    const stopping = trimmer(() => {
      if (++calls > 3) throw new ClosedError('POISONED', 'stopped');
    });
    const before = (await segmentPaths(world.fs)).length;
    const trim = stopping.trim(() => ({ segment: numbers.at(-1)!, timeline }));
    expect(await codeOf(trim)).toBe('POISONED');
    await stopping.settled();
    expect(await segmentPaths(world.fs)).toHaveLength(before - 1);
  });
});
