/*
 * `engine.verify` and scrubbing: what they find, when they run, how fast they read, and that closing ends
 * them.
 */
import { describe, expect, test } from 'vitest';
import type { EngineOptions, EngineWarning, ScrubReport } from '../../src/engine/index.ts';
import { pinsOf } from '../../src/checkpoint/retention/retention-pins.ts';
import {
  codeOf,
  errorOf,
  gate,
  open,
  pathsIn,
  settle,
  worldOn,
  type World,
} from './engine-fixture.ts';
import { flipMiddle } from '../recovery/damaged-worlds.ts';
import { fill, opened } from './retention-world.ts';

/** An open engine with some checkpoints, and what it told. */
async function running(options: Partial<EngineOptions> = {}): Promise<{
  world: World;
  engine: Awaited<ReturnType<typeof open>>;
  scrubs: ScrubReport[];
  warnings: EngineWarning[];
}> {
  const world = worldOn();
  const engine = await open(world, { checkpointing: false, compression: 'none', ...options });
  const scrubs: ScrubReport[] = [];
  const warnings: EngineWarning[] = [];
  engine.on('scrub', (report) => scrubs.push(report));
  engine.on('warning', (warning) => warnings.push(warning));
  for (let i = 0; i < 3; i++) {
    engine.operator('op').value('v').set(i, `value ${i} `.repeat(200));
    await engine.commit();
    await engine.checkpoint();
  }
  return { world, engine, scrubs, warnings };
}

describe('engine.verify', () => {
  test('sound, then damaged: by level and checkpoint, as verifyStore', async () => {
    const { world, engine } = await running();
    expect(await engine.verify()).toMatchObject({ faults: [], level: 'full', checkpointCount: 3 });
    const [first] = await engine.checkpoints();
    const path = `/store/${first!.chain[0]!.name}`;
    await flipMiddle(world, path);
    expect((await engine.verify({ level: 'basic' })).faults).toEqual([]);
    expect((await engine.verify({ level: 'standard' })).faults).toMatchObject([{ path }]);
    const one = await engine.verify({ checkpoint: first!.id });
    expect([one.checkpointCount, one.faults.length]).toEqual([1, 1]);
    expect(await codeOf(engine.verify({ checkpoint: 99 }))).toBe('CHECKPOINT_NOT_FOUND');
    const { details } = await errorOf(engine.verify({ level: 'most' as 'full' }));
    expect(details['option']).toBe('level');
    await engine.close();
  });

  test('a collection meanwhile: what there was when it began stays until it ends', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await fill(engine, ['delta', 'delta', 'base', 'delta', 'base', 'delta'], 1);
    await engine.collect();
    const before = await pathsIn(world.fs, 'snapshots');
    const held = gate();
    const reached = gate();
    // The snapshots have been checked then, and the log is next.
    world.fs.before = async ({ path }) => {
      if (!path.endsWith('/log-mark.json')) return;
      reached.open();
      await held.passed;
    };
    const verified = engine.verify();
    await reached.passed;
    expect(pinsOf(world.fs, '/store').size).toBeGreaterThan(0);
    await fill(engine, ['base', 'delta', 'base', 'delta'], 1);
    await engine.collect();
    for (const path of before) expect(await world.fs.stat(path)).toBeDefined();
    held.open();
    world.fs.before = () => {};
    expect((await verified).faults).toEqual([]);
    expect(pinsOf(world.fs, '/store').size).toBe(0);
    await engine.collect();
    const gone = await Promise.all(before.map((path) => world.fs.stat(path)));
    expect(gone).toContain(undefined);
    await engine.close();
  });

  test('the engine closes: CLOSED, and the lock is free', async () => {
    const { world, engine } = await running();
    const held = gate();
    world.fs.before = async ({ call, path }) => {
      if (call === 'open' && path.includes('/snapshots/')) await held.passed;
    };
    const code = codeOf(engine.verify());
    await settle(3);
    const closed = engine.close();
    held.open();
    expect(await code).toBe('CLOSED');
    await closed;
    expect(await codeOf(engine.verify())).toBe('CLOSED');
    await (await open(world)).close();
  });
});

describe('scrubbing', () => {
  test('off by default: no timer, none by itself; on demand: the event, and figures', async () => {
    const { world, engine, scrubs, warnings } = await running();
    world.clock.advance(1e12);
    await settle();
    expect(scrubs).toEqual([]);
    const report = await engine.scrub();
    expect(scrubs).toEqual([report]);
    expect(report).toMatchObject({ faults: [], level: 'standard', checkpointCount: 3 });
    expect(engine.stats().scrub).toEqual({ running: false, scrubs: 1, faults: 0 });
    expect(warnings).toEqual([]);
    await engine.close();
  });

  test('damage of a block that nothing reads: the event and a warning name it', async () => {
    const { world, engine, scrubs, warnings } = await running();
    const [first] = await pathsIn(world.fs, 'snapshots');
    await flipMiddle(world, first!);
    await engine.scrub();
    expect(scrubs[0]!.faults).toMatchObject([{ path: first }]);
    expect(warnings).toMatchObject([
      { code: 'SNAPSHOT_DAMAGED' },
      { code: 'DAMAGE_FOUND', details: { faults: [{ path: first }] } },
    ]);
    expect(engine.stats().scrub.faults).toBe(1);
    await engine.close();
  });

  test('intervalMs: after the opening, and again after each', async () => {
    const { world, engine, scrubs } = await running({
      scrub: { intervalMs: 5000, bytesPerSecond: 1e12 },
    });
    for (let round = 1; round <= 3; round++) {
      world.clock.advance(4999);
      await settle();
      expect(scrubs).toHaveLength(round - 1);
      world.clock.advance(2);
      await settle(200);
      expect(scrubs).toHaveLength(round);
    }
    await engine.close();
    expect(world.clock.timerCount).toBe(0);
  });

  test('bytesPerSecond: it reads so many and waits', async () => {
    const { world, engine, scrubs } = await running({
      scrub: { intervalMs: 1, bytesPerSecond: 1024 },
    });
    world.clock.advance(1);
    await settle(200);
    let seconds = 0;
    while (scrubs.length === 0 && seconds < 1000) {
      expect(engine.stats().scrub.running).toBe(true);
      world.clock.advance(1000);
      seconds++;
      await settle(20);
    }
    const { snapshotBytes, milliseconds } = scrubs[0]!;
    expect(milliseconds).toBeGreaterThan((snapshotBytes / 1024) * 900);
    expect(seconds).toBeGreaterThan(2);
    await engine.close();
  });

  test('on demand with bytesPerSecond and a signal: waits, and ends with ABORTED', async () => {
    const { engine } = await running();
    const controller = new AbortController();
    const bytes: number[] = [];
    const code = codeOf(
      engine.scrub({
        bytesPerSecond: 1024,
        signal: controller.signal,
        onProgress: (progress) => bytes.push(progress.bytes),
      }),
    );
    await settle(200);
    expect(bytes.length).toBeGreaterThan(1);
    controller.abort();
    expect(await code).toBe('ABORTED');
    expect(engine.stats().scrub).toMatchObject({ running: false, scrubs: 0 });
    // The next one is not held up by it.
    expect((await engine.scrub()).faults).toEqual([]);
    await engine.close();
  });

  test('the engine closes while it waits: it ends, quietly', async () => {
    const failures: unknown[] = [];
    const { world, engine } = await running({ scrub: { intervalMs: 1, bytesPerSecond: 1024 } });
    engine.on('failure', (error) => failures.push(error));
    world.clock.advance(1);
    await settle(200);
    expect(engine.stats().scrub.running).toBe(true);
    await engine.close();
    expect([failures, world.clock.timerCount]).toEqual([[], 0]);
  });

  test('a scrub that cannot read its disk: a failure in the background, and the next one comes', async () => {
    const { world, engine, scrubs } = await running({
      scrub: { intervalMs: 10, bytesPerSecond: 1e12 },
      retention: false,
    });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    world.fs.before = ({ call, path }) => {
      if (call === 'list' && path.endsWith('/checkpoints')) throw new Error('broken');
    };
    world.clock.advance(10);
    await settle(200);
    expect(failures.map(String)).toEqual([expect.stringContaining('broken')]);
    world.fs.before = () => {};
    world.clock.advance(10);
    await settle(200);
    expect(scrubs).toHaveLength(1);
    await engine.close();
  });

  test.each([
    ['scrub', { scrub: 1 }],
    ['scrub.intervalMs', { scrub: { intervalMs: 0 } }],
    ['scrub.bytesPerSecond', { scrub: { bytesPerSecond: 1 } }],
    ['scrub.often', { scrub: { often: true } }],
  ])('%s of a bad value: INVALID_OPTION', async (name, options) => {
    const { code, details } = await errorOf(open(worldOn(), options as never));
    expect([code, details['option']]).toEqual(['INVALID_OPTION', name]);
  });

  test('a call with bad options: INVALID_OPTION', async () => {
    const { engine } = await running();
    const options: [string, object][] = [
      ['bytesPerSecond', { bytesPerSecond: 0 }],
      ['signal', { signal: 1 }],
      ['onProgress', { onProgress: 1 }],
      ['level', { level: 'full' }],
    ];
    for (const [name, given] of options) {
      expect((await errorOf(engine.scrub(given))).details['option']).toBe(name);
    }
    await engine.close();
  });
});
