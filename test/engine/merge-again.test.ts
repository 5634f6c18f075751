/*
 * A merge that was asked for, with checkpoints taken while it runs.
 */
import { expect, test } from 'vitest';
import type { CheckpointRecord, Engine } from '../../src/engine/index.ts';
import { gate, open, settle, worldOn } from './engine-fixture.ts';

async function step(engine: Engine, key: number): Promise<void> {
  engine.operator('op').value('v').set(key, 'x'.repeat(200));
  await engine.commit();
  await engine.checkpoint();
  await settle();
}

test('checkpoints that come meanwhile make another one due: it starts when the first has ended', async () => {
  const world = worldOn();
  const engine = await open(world, { checkpointing: false, maxChainLength: 3 });
  const merges: CheckpointRecord[] = [];
  engine.on('merge', (record) => merges.push(record));
  await step(engine, 0);
  await step(engine, 10);
  const held = gate();
  const reached = gate();
  world.fs.before = ({ call, path }) => {
    if (call !== 'write' || !path.includes('merge')) return undefined;
    world.fs.before = () => {};
    reached.open();
    return held.passed;
  };
  const merging = engine.merge();
  await reached.passed;
  for (let n = 2; n < 5; n++) await step(engine, n * 10);
  expect(engine.stats().chainLength).toBe(5);
  held.open();
  await merging;
  while (engine.stats().chainLength > 2) await settle(1);
  expect(merges.length).toBeGreaterThan(1);
  await engine.close();
});
