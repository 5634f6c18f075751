import { expect, test } from 'vitest';
import { noise, open, worldOn, type World } from './engine-fixture.ts';

const operators = ['airports', 'flights', 'routes'] as const;

async function stored(): Promise<World> {
  const world = worldOn();
  const engine = await open(world);
  for (const operator of operators) {
    const state = engine.operator(operator).value('v');
    for (let i = 0; i < 300; i++) state.set(i, noise(500, i));
  }
  await engine.commit();
  await engine.checkpoint();
  await engine.close();
  return world;
}

test.each(['adaptive', 'sequential'] as const)(
  '%s, the engine closes while slices are loaded: that is no failure',
  async (prefetch) => {
    const engine = await open(await stored(), { prefetch });
    expect(engine.stats().residency.coldBytes).toBeGreaterThan(0);
    await engine.close();
    expect(engine.stats().failure).toBeUndefined();
  },
);
