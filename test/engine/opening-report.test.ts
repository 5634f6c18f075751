/*
 * What an opening says of its work: bytes, times and rates of its phases, and how busy its threads were.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openEngine, restore, type Engine } from '../../src/engine/index.ts';
import { noise, open, worldOn } from './engine-fixture.ts';

/** Two checkpoints and commits behind them. */
async function fill(engine: Engine, valueBytes: number): Promise<void> {
  const state = engine.operator('op').value('v');
  for (let n = 0; n < 3; n++) {
    for (let i = 0; i < 40; i++) state.set(`${n} ${i}`, noise(valueBytes, i));
    await engine.commit();
    if (n < 2) await engine.checkpoint();
  }
}

describe('the report of an opening', () => {
  test('a clock that moves with each call: bytes, and the rates that follow from the times', async () => {
    const world = worldOn();
    const made = await open(world, { checkpointing: false, prefetch: 'aggressive' });
    await fill(made, 300);
    await made.close();
    world.fs.before = () => world.clock.advance(1);
    const engine = await open(world, { checkpointing: false, prefetch: 'aggressive' });
    const { phasesMs, phasesBytes, bytesPerSecond, chainBytes, replayedBytes } = engine.recovery;
    expect(phasesBytes).toMatchObject({ load: chainBytes, replay: replayedBytes });
    expect(phasesMs.load).toBeGreaterThan(0);
    expect(bytesPerSecond.load).toBeCloseTo((chainBytes * 1000) / phasesMs.load);
    expect(bytesPerSecond.replay).toBeCloseTo((replayedBytes * 1000) / phasesMs.replay);
    const { plan, load, replay, openLog, total } = phasesMs;
    expect(plan + load + replay + openLog).toBe(total);
    // There are no threads here.
    expect(engine.recovery).toMatchObject({ threads: 0, parallelEfficiency: undefined });
    await engine.close();
  });

  test('frames that nothing proves: the bytes that were copied', async () => {
    const world = worldOn();
    const made = await open(world, { checkpointing: false, prefetch: 'aggressive' });
    await fill(made, 300);
    // The last commit is written and synced; nothing behind it says so.
    const after = worldOn(await world.fs.crash('kept'), world.clock, 2);
    const engine = await open(after, { checkpointing: false, prefetch: 'aggressive' });
    expect(engine.recovery.phasesBytes.openLog).toBeGreaterThan(40 * 300);
    await engine.close();
    const again = await open(after, { checkpointing: false, prefetch: 'aggressive' });
    expect(again.recovery.phasesBytes.openLog).toBe(0);
    await again.close();
    await made.close();
  });

  test('an empty store: no bytes, no rates', async () => {
    const engine = await open(worldOn());
    expect(engine.recovery).toMatchObject({
      phasesBytes: { load: 0, replay: 0, openLog: 0 },
      bytesPerSecond: { load: 0, replay: 0 },
    });
    await engine.close();
  });

  test('threads: how many there could be, and the share of their time in which they worked', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tidemark-report-'));
    try {
      const options = {
        dir: join(dir, 'store'),
        checkpointing: false,
        prefetch: 'aggressive',
      } as const;
      const made = await openEngine(options);
      await fill(made, 100_000);
      await made.close();
      for (const threadsMax of [1, 2]) {
        const engine = await openEngine({ ...options, threadsMax });
        const { threads, parallelEfficiency } = engine.recovery;
        expect(threads).toBe(threadsMax);
        expect(parallelEfficiency).toBeGreaterThan(0);
        expect(parallelEfficiency).toBeLessThanOrEqual(1);
        await engine.close();
      }
      const to = join(dir, 'restored');
      const report = await restore({ from: { dir: options.dir }, to, threadsMax: 2 });
      const { phasesMs, phasesBytes, bytesPerSecond, milliseconds } = report;
      expect(report.threads).toBe(2);
      expect(report.parallelEfficiency).toBeGreaterThan(0);
      expect(phasesBytes.write).toBeGreaterThan(phasesBytes.replay);
      expect(bytesPerSecond).toBeCloseTo((phasesBytes.write * 1000) / phasesMs.write, 0);
      expect(phasesMs.plan + phasesMs.replay + phasesMs.write).toBeLessThanOrEqual(milliseconds);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
