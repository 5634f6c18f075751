/*
 * The limits of calls that read a store or mend it: what each refuses, when they count, and that a repair
 * which has begun to write is finished.
 */
import { describe, expect, test } from 'vitest';
import { repairStoreWith, salvageStoreWith } from '../../src/engine/repair-store.ts';
import { diffStoreWith } from '../../src/recovery/diff.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { listCheckpointsWith } from '../../src/recovery/list-checkpoints.ts';
import { listTimelinesWith } from '../../src/recovery/list-timelines.ts';
import { planStoreMergeWith } from '../../src/recovery/merge-plan.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { tuneStoreWith } from '../../src/recovery/tune-store.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { digests, errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';
import { giveUp } from '../engine/giving-up.ts';
import { flipInLog, fourCommits, shortLog } from './damaged-worlds.ts';

const dir = '/store';

const calls: Record<string, (world: World, options: object) => Promise<unknown>> = {
  inspectStore: (world, options) => inspectStoreWith({ dir, ...options }, world),
  planStoreRestore: (world, options) => planStoreRestoreWith({ dir, ...options }, world),
  planStoreMerge: (world, options) => planStoreMergeWith({ dir, ...options }, world),
  listCheckpoints: (world, options) => listCheckpointsWith({ dir, ...options }, world),
  listTimelines: (world, options) => listTimelinesWith({ dir, ...options }, world),
  tuneStore: (world, options) => tuneStoreWith({ dir, ...options }, world),
  repairStore: (world, options) => repairStoreWith({ dir, dryRun: true, ...options }, world),
  salvageStore: (world, options) => salvageStoreWith({ dir, to: '/saved', ...options }, world),
  diffStore: async (world, options) =>
    diffStoreWith({ dir, from: { lsn: 1 }, ...options }, world).next(),
};

describe.each(Object.entries(calls))('%s', (_, call) => {
  test.each([
    ['signal', { signal: 'stop' }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['timeoutMs', { timeoutMs: 1.5 }],
    ['timeout', { timeout: 5 }],
  ])('with a bad %s (%#): INVALID_OPTION', async (option, options) => {
    const world = await fourCommits();
    const error = await errorOf(Promise.resolve().then(() => call(world, options)));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
  });

  test('by a signal in the middle of its calls: ABORTED', async () => {
    const calls = async (at: number): Promise<[string | undefined, number]> => {
      const given = await giveUp(await fourCommits(), { at, how: 'signal' }, call);
      return [given.code, given.calls];
    };
    const [code, count] = await calls(0);
    expect([code, (await calls(Math.ceil(count / 2)))[0]]).toEqual([undefined, 'ABORTED']);
  });

  test('without limits: it takes as long as it takes, and leaves no timer', async () => {
    const world = await fourCommits();
    world.fs.before = () => world.clock.advance(3_600_000);
    await call(world, {});
    expect(world.clock.timerCount).toBe(0);
  });
});

test('objects in a store of the caller: its calls are asked before as well', async () => {
  const world = worldOn();
  const store = new MemoryObjectStore();
  const engine = await open(world, { ...shortLog, store });
  for (let i = 0; i < 3; i++) {
    engine.operator('op').value('v').set('k', i);
    await engine.commit();
    await engine.checkpoint();
  }
  let asked = 0;
  const abort = new AbortController();
  const list = store.list.bind(store);
  store.list = async (prefix) => {
    if (++asked === 2) abort.abort();
    return list(prefix);
  };
  const get = store.get.bind(store);
  let reads = 0;
  store.get = async (name, range) => {
    if (abort.signal.aborted) reads++;
    return get(name, range);
  };
  const { signal } = abort;
  const error = await errorOf(inspectStoreWith({ dir, store, signal }, world));
  expect([error.code, reads]).toEqual(['ABORTED', 0]);
  await engine.close();
});

test('a diff: its time counts from the first change that is asked for, and goes on between two', async () => {
  const world = await fourCommits();
  const changes = diffStoreWith({ dir, from: { lsn: 1 }, timeoutMs: 100 }, world);
  world.clock.advance(1000);
  expect(world.clock.timerCount).toBe(0);
  expect((await changes.next()).done).toBe(false);
  world.clock.advance(1000);
  expect((await errorOf(changes.next())).code).toBe('TIMEOUT');
  expect(world.clock.timerCount).toBe(0);
  const given = diffStoreWith({ dir, from: { lsn: 1 }, timeoutMs: 100 }, world);
  await given.next();
  await given.return(undefined);
  expect(world.clock.timerCount).toBe(0);
});

describe('a repair that is given up', () => {
  test.each(['signal', 'time'] as const)(
    'by %s: as before but for a copy, or finished',
    async (how) => {
      const damaged = await fourCommits();
      await flipInLog(damaged, 'fourth');
      const before = await digests(damaged.fs);
      const repair = (world: World, limits: object): Promise<unknown> =>
        repairStoreWith({ dir, ...limits }, world);
      const whole = await giveUp(damaged, { at: 0, how }, repair);
      expect(whole).toMatchObject({ code: undefined, handles: 0 });
      const step = Math.max(1, Math.floor(whole.calls / 12));
      const seen = { given: 0, finished: 0 };
      for (let at = 1; at <= whole.calls; at += step) {
        const { code, world, handles } = await giveUp(damaged, { at, how }, repair);
        expect([handles, world.clock.timerCount]).toEqual([0, 0]);
        if (code === undefined) {
          seen.finished++;
        } else {
          seen.given++;
          expect(code).toBe(how === 'signal' ? 'ABORTED' : 'TIMEOUT');
          expect(await digests(world.fs), `given up at ${at}`).toMatchObject(before);
          await repairStoreWith({ dir }, world);
        }
        const { faults } = await verifyStoreWith({ dir, level: 'full' }, world);
        expect(faults.filter(({ what }) => !what.includes('may be lost'))).toEqual([]);
      }
      expect(seen.given).toBeGreaterThan(2);
      expect(seen.finished).toBeGreaterThan(2);
    },
  );
});
