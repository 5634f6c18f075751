/*
 * The course of an opening: one that is given up at any moment leaves no file, handle, lock, timer or
 * thread behind, and what it found can be opened again; who listens hears how far it is.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { openEngine, type EngineOptions, type OpeningProgress } from '../../src/engine/index.ts';
import { digests, errorOf, noise, open, worldOn, type World } from './engine-fixture.ts';
import { countHandles, giveUp, type GivenUp, type HowToEnd } from './giving-up.ts';

const options: Partial<EngineOptions> = {
  compression: 'none',
  checkpointing: false,
  prefetch: 'aggressive',
};

/** A closed store: a base, a delta, and commits behind them; and a state that stays in its files. */
async function closedStore(large = 0): Promise<World> {
  const world = worldOn();
  const engine = await open(world, options);
  const state = engine.operator('op').value('v');
  for (let n = 0; n < 3; n++) {
    for (let i = 0; i < 50; i++) state.set(`k${n} ${i}`, noise(300, i));
    for (let i = 0; i < large; i++) {
      engine.operator('op').value('large', { resident: false }).set(`${n} ${i}`, noise(300, i));
    }
    await engine.commit();
    if (n < 2) await engine.checkpoint();
  }
  await engine.close();
  return world;
}

/** Opens a copy of a store, and gives up at a call of the file system. */
function endedAt(
  from: World,
  at: number,
  how: HowToEnd,
  prefetch: EngineOptions['prefetch'] = 'aggressive',
): Promise<GivenUp> {
  return giveUp(from, { at, how }, async (world, limits) => {
    const engine = await open(world, { ...options, ...limits, prefetch });
    await engine.close();
  });
}

describe('an opening that is given up', () => {
  test.each([
    ['signal', 'ABORTED', 'aggressive'],
    ['time', 'TIMEOUT', 'aggressive'],
    ['signal', 'ABORTED', 'none'],
    ['signal', 'ABORTED', 'adaptive'],
  ] as const)('by %s, %s, %s: nothing is left', async (how, code, prefetch) => {
    const store = await closedStore();
    const before = await digests(store.fs);
    const codes: (string | undefined)[] = [];
    // All of them once; of the others some, at other places each.
    const step = how === 'signal' && prefetch === 'aggressive' ? 1 : 4;
    for (let at = 1; ; at += step) {
      const ended = await endedAt(store, at, how, prefetch);
      const { world } = ended;
      expect(ended.handles).toBe(0);
      expect(world.clock.timerCount).toBe(0);
      codes.push(ended.code);
      if (ended.code === undefined) {
        // It had begun to write, and was finished.
        if (ended.calls >= at && codes.length < 500) continue;
        break;
      }
      expect(ended.code).toBe(code);
      expect(await digests(world.fs)).toEqual(before);
      const engine = await open(world, options);
      expect(engine.operator('op').value('v').get('k2 49')).toEqual(noise(300, 49));
      await engine.close();
    }
    // Up to one moment it ends, and from there on it is finished.
    const ended = codes.filter((one) => one === code).length;
    expect(ended).toBeGreaterThan(20 / step);
    expect(codes.indexOf(undefined)).toBe(ended);
  });

  test.each([
    ['signal', 'ABORTED', 'standard'],
    ['time', 'TIMEOUT', 'standard'],
    ['signal', 'ABORTED', 'full'],
  ] as const)(
    'by %s, %s, while slices are loaded beside a state that stays in files, %s: none is loaded any more',
    async (how, code, verification) => {
      const store = await closedStore(60);
      const before = await digests(store.fs);
      const abort = new AbortController();
      let ended = false;
      let behind = 0;
      store.fs.before = ({ call, path, bytes = 0 }) => {
        if (call !== 'read' || !path.includes('/snapshots/') || bytes < 10_000) return;
        if (ended) behind++;
        ended = true;
        if (how === 'signal') abort.abort();
        else store.clock.advance(500);
      };
      const handles = countHandles(store.fs);
      const limits = { signal: abort.signal, timeoutMs: 500, verification };
      expect((await errorOf(open(store, { ...options, ...limits }))).code).toBe(code);
      expect(ended).toBe(true);
      expect([behind, handles.open, store.clock.timerCount]).toEqual([0, 0, 0]);
      store.fs.before = () => {};
      expect(await digests(store.fs)).toEqual(before);
      const engine = await open(store, { ...options, verification });
      expect(engine.operator('op').value('v').get('k1 49')).toEqual(noise(300, 49));
      await engine.close();
    },
  );

  test('of a new directory: no store is there, or a whole one', async () => {
    const seen = new Set<string>();
    for (let at = 1; at < 20; at++) {
      const { code, world, handles } = await endedAt(worldOn(), at, 'signal');
      expect(handles).toBe(0);
      const files = [...(await world.fs.contents()).keys()];
      const isThere = files.includes('/store/store.json');
      expect(isThere).toBe(code === undefined);
      if (!isThere) expect(files).toEqual([]);
      seen.add(String(code));
    }
    expect([...seen].sort()).toEqual(['ABORTED', 'undefined']);
  });

  test('before it begins: not even the directory is made', async () => {
    const world = worldOn();
    const reason = new Error('no');
    const error = await errorOf(open(world, { signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ code: 'ABORTED', cause: reason });
    expect(world.fs.calls).toEqual([]);
    expect(await world.fs.stat('/store')).toBeUndefined();
  });

  test('afterwards: neither signal nor time touches the engine', async () => {
    const world = worldOn();
    const abort = new AbortController();
    const engine = await open(world, { ...options, signal: abort.signal, timeoutMs: 100 });
    abort.abort();
    world.clock.advance(1000);
    engine.operator('op').value('v').set('k', 1);
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
  });

  test('a longer time than it takes: it opens', async () => {
    const store = await closedStore();
    const { code, calls } = await endedAt(store, 100_000, 'time');
    expect([code, calls > 20]).toEqual([undefined, true]);
  });
});

describe('progress of an opening', () => {
  test('every phase in its order, with bytes and entries up to their totals', async () => {
    const store = await closedStore();
    const seen: OpeningProgress[] = [];
    const onProgress = (progress: OpeningProgress): void => void seen.push(progress);
    // A millisecond each call: rates have something to be measured by.
    store.fs.before = () => store.clock.advance(1);
    const engine = await open(store, { ...options, onProgress });
    const phases = seen.map(({ phase }) => phase);
    expect([...new Set(phases)]).toEqual(['plan', 'load', 'replay', 'openLog']);
    expect(phases).toEqual([...phases].sort((a, b) => order.indexOf(a) - order.indexOf(b)));
    const { chainBytes, chainEntries, replayedBytes } = engine.recovery;
    const last = (phase: string): OpeningProgress | undefined =>
      seen.findLast((progress) => progress.phase === phase);
    expect(last('load')).toMatchObject({ bytesTotal: chainBytes, entries: chainEntries });
    expect(last('load')!.bytes).toBeGreaterThan(chainBytes / 2);
    expect(last('load')!.bytesPerSecond).toBeGreaterThan(0);
    const replayed = { bytes: replayedBytes, bytesTotal: replayedBytes, entries: 50 };
    expect(last('replay')).toMatchObject(replayed);
    await engine.close();
  });
});

test('progress beside a state that stays in its files: what is loaded, and with full what is checked', async () => {
  const store = await closedStore(50);
  for (const [verification, share] of [
    ['standard', [0.4, 0.6]],
    ['full', [0.9, 1]],
  ] as const) {
    const seen: OpeningProgress[] = [];
    const onProgress = (progress: OpeningProgress): void => void seen.push(progress);
    const engine = await open(store, { ...options, verification, onProgress });
    const { bytes, bytesTotal } = seen.findLast(({ phase }) => phase === 'load')!;
    expect(bytes / bytesTotal).toBeGreaterThan(share[0]);
    expect(bytes / bytesTotal).toBeLessThanOrEqual(share[1]);
    await engine.close();
  }
});

const order: readonly string[] = ['plan', 'load', 'replay', 'openLog'];

/** Workers that are started while something is done, each with the promise of its end. */
async function workersOf(act: () => Promise<void>): Promise<{ ended: Promise<unknown> }[]> {
  const started: { ended: Promise<unknown> }[] = [];
  const note = (worker: Worker): void => {
    started.push({ ended: new Promise((resolve) => worker.once('exit', resolve)) });
  };
  process.on('worker', note);
  try {
    await act();
  } finally {
    process.off('worker', note);
  }
  return started;
}

describe('threads of an opening', () => {
  test('threadsMax: so many at most; of one that is given up none is left', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tidemark-opening-'));
    try {
      const where = { dir, ...options, segmentBytesMax: 1 << 20 };
      const made = await openEngine(where);
      for (let n = 0; n < 4; n++) {
        for (let i = 0; i < 200; i++)
          made.operator('op').value('v').set(`${n} ${i}`, noise(25_000, i));
        await made.commit();
        await made.checkpoint();
      }
      await made.close();
      for (const threadsMax of [1, 3]) {
        const started = await workersOf(async () => {
          const engine = await openEngine({ ...where, threadsMax });
          await engine.close();
        });
        expect(started).toHaveLength(threadsMax);
      }
      const abort = new AbortController();
      const onProgress = ({ phase, bytes }: OpeningProgress): void => {
        // Threads have begun when a part is there.
        if (phase === 'load' && bytes > 0) abort.abort();
      };
      const started = await workersOf(async () => {
        const { signal } = abort;
        const error = await errorOf(openEngine({ ...where, threadsMax: 2, signal, onProgress }));
        expect(error.code).toBe('ABORTED');
      });
      expect(started.length).toBeGreaterThan(0);
      // Those that were idle rest before they end, and nobody has to ask them to.
      await Promise.all(started.map(({ ended }) => ended));
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  test.each([
    ['threadsMax', { threadsMax: 0 }],
    ['timeoutMs', { timeoutMs: 0.5 }],
    ['signal', { signal: 'stop' as never }],
    ['onProgress', { onProgress: true as never }],
  ])('a bad %s: INVALID_OPTION with its name', async (option, given) => {
    const error = await errorOf(open(worldOn(), given));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
  });
});
