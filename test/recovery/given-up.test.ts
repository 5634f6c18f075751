/*
 * Long calls on stores that are given up at any moment, by a signal or by their time: no handle, no
 * timer and no half of anything is left, the source is as it was, and the same call works afterwards.
 */
import { describe, expect, test } from 'vitest';
import { backupWith } from '../../src/engine/backup-store.ts';
import { repairStoreWith, salvageStoreWith } from '../../src/engine/repair-store.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { diffStoreWith } from '../../src/recovery/diff.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { openReaderWith, type ReaderOptions } from '../../src/recovery/reader.ts';
import { tuneStoreWith } from '../../src/recovery/tune-store.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { digests, errorOf, noise, open, worldOn, type World } from '../engine/engine-fixture.ts';
import { changes } from '../tools/faulty-file-system.ts';
import { giveUp, type EndingLimits, type HowToEnd } from '../engine/giving-up.ts';

const dir = '/store';
const to = '/copy';

/** A closed store: a base, a delta, and commits behind them. */
async function closedStore(): Promise<World> {
  const world = worldOn();
  const engine = await open(world, { checkpointing: false });
  const state = engine.operator('op').value('v');
  for (let n = 0; n < 3; n++) {
    for (let i = 0; i < 30; i++) state.set(`k${n} ${i}`, noise(200, i));
    await engine.commit();
    if (n < 2) await engine.checkpoint();
  }
  await engine.close();
  return world;
}

type Call = (world: World, limits: EndingLimits) => Promise<unknown>;

const calls: Record<string, Call> = {
  restore: (world, limits) => restoreWith({ from: { dir }, to, ...limits }, world),
  backup: (world, limits) => backupWith({ from: { dir }, to, ...limits }, world),
  verify: (world, limits) => verifyStoreWith({ dir, ...limits }, world),
  inspect: (world, limits) => inspectStoreWith({ dir, ...limits }, world),
  plan: (world, limits) => planStoreRestoreWith({ dir, at: { lsn: 3 }, ...limits }, world),
  tune: (world, limits) => tuneStoreWith({ dir, ...limits }, world),
  'repair of what is sound': (world, limits) => repairStoreWith({ dir, ...limits }, world),
  salvage: (world, limits) => salvageStoreWith({ dir, to, ...limits }, world),
  async diff(world, limits) {
    let count = 0;
    for await (const _ of diffStoreWith({ dir, from: { lsn: 1 }, ...limits }, world)) count++;
    expect(count).toBe(60);
  },
  async reader(world, limits) {
    const reader = await openReaderWith({ dir, ...limits }, world);
    expect(reader.get('op', 'v', 'k2 29')?.value).toEqual(noise(200, 29));
    await reader.close();
  },
};

async function filesOf(world: World, directory: string): Promise<string[]> {
  const paths = [...(await world.fs.contents()).keys()];
  return paths.filter((path) => path.startsWith(`${directory}/`) && !path.endsWith('/LOCK'));
}

const cases = Object.keys(calls).flatMap((name) =>
  (['signal', 'time'] as const).map((how) => [name, how] as const),
);

describe('a call that is given up', () => {
  test.each(cases)('%s, by %s: nothing is left, and it works afterwards', async (name, how) => {
    const call = calls[name]!;
    const store = await closedStore();
    const before = await digests(store.fs);
    const whole = await giveUp(store, { at: 0, how }, call);
    expect(whole).toMatchObject({ code: undefined, handles: 0 });
    const step = Math.max(1, Math.floor(whole.calls / 12));
    let ended = 0;
    for (let at = 1; at <= whole.calls; at += step) {
      const given = await giveUp(store, { at, how }, call);
      const { world, code } = given;
      expect(given.handles).toBe(0);
      expect(world.clock.timerCount).toBe(0);
      expect(await digests(world.fs)).toMatchObject(before);
      expect([expectedCode(how), undefined]).toContain(code);
      if (code === undefined) continue;
      ended++;
      // Of a restore that has not ended nothing is there; a backup keeps what it has copied.
      if (name === 'restore' || name === 'salvage') expect(await filesOf(world, to)).toEqual([]);
      const unlimited = { signal: new AbortController().signal, timeoutMs: 1000 };
      await call(world, unlimited);
    }
    expect(ended).toBeGreaterThan(5);
  });

  test.each(Object.keys(calls))(
    '%s, before it begins: ABORTED, and nothing is written',
    async (name) => {
      const store = await closedStore();
      store.fs.calls.length = 0;
      const signal = AbortSignal.abort(new Error('no'));
      const error = await errorOf(calls[name]!(store, { signal, timeoutMs: 1000 }));
      expect(error.code).toBe('ABORTED');
      expect(store.fs.calls.filter(changes)).toEqual([]);
    },
  );
});

function expectedCode(how: HowToEnd): string {
  return how === 'signal' ? 'ABORTED' : 'TIMEOUT';
}

describe('a reader', () => {
  test('its progress: what is read, up to all of it', async () => {
    const store = await closedStore();
    const seen: { phase: string; bytes: number; bytesTotal: number; entries: number }[] = [];
    const reader = await openReaderWith({ dir, onProgress: (one) => void seen.push(one) }, store);
    expect([...new Set(seen.map(({ phase }) => phase))]).toEqual(['plan', 'load', 'replay']);
    for (const phase of ['load', 'replay']) {
      const last = seen.findLast((one) => one.phase === phase)!;
      expect(last.bytes).toBe(last.bytesTotal);
      expect(last.bytes).toBeGreaterThan(0);
      expect(last.entries).toBeGreaterThan(0);
    }
    await reader.close();
  });

  test.each([
    ['timeoutMs', { timeoutMs: -1 }],
    ['signal', { signal: 1 }],
    ['onProgress', { onProgress: 'x' }],
  ])('a bad %s: INVALID_OPTION with its name', async (option, given) => {
    const options = { dir, ...given } as ReaderOptions;
    const error = await errorOf(openReaderWith(options, await closedStore()));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
  });
});
