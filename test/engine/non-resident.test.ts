import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { errorOf, open, settle, worldOn, type World } from './engine-fixture.ts';

const count = 1500;
const textOf = (i: number, round: number): string => `${i} in ${round} `.padEnd(400, 'x');

/** One state that stays in files and one that does not, in a base and deltas. */
async function filled(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  const engine = await open(world, { checkpointing: false, ...options });
  const large = engine.operator('o').value<string>('large', { resident: false });
  const small = engine.operator('o').value<string>('small');
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < count; i += round) large.set(i, textOf(i, round));
    for (let i = 0; i < 300; i += round) small.set(i, textOf(i, round));
    await engine.commit();
    await engine.checkpoint();
  }
  return engine;
}

const roundOf = (i: number): number => (i % 3 === 0 ? 3 : i % 2 === 0 ? 2 : 1);

function expectWhole(engine: Engine): void {
  const large = engine.operator('o').value<string>('large', { resident: false });
  for (let i = 0; i < count; i++) expect(large.get(i)).toBe(textOf(i, roundOf(i)));
  expect(large.get(count)).toBeUndefined();
  expect(large.count()).toBe(count);
  const small = engine.operator('o').value<string>('small');
  for (let i = 0; i < 300; i++) expect(small.get(i)).toBe(textOf(i, roundOf(i)));
}

const largeBytes = count * 400;
const smallBytes = 300 * 400;

describe('a state with resident: false', () => {
  test('its checkpoints: what they made stays in files, the rest in memory', async () => {
    const world = worldOn();
    const engine = await filled(world);
    const { imageBytes, residency } = engine.stats();
    expect(residency.coldBytes).toBeGreaterThan(largeBytes);
    expect(imageBytes).toBeGreaterThan(smallBytes);
    expect(imageBytes).toBeLessThan(largeBytes);
    expectWhole(engine);
    await settle();
    expect(engine.stats().residency.coldBytes).toBe(residency.coldBytes);
    await engine.close();
  });

  test.each(['none', 'sequential', 'adaptive', 'aggressive'] as const)(
    'an opening with prefetch %s: it is never loaded',
    async (prefetch) => {
      const world = worldOn();
      await (await filled(world)).close();
      const engine = await open(world, { prefetch, checkpointing: false });
      if (prefetch === 'aggressive') {
        expect(engine.stats().imageBytes).toBeGreaterThan(smallBytes);
      }
      expectWhole(engine);
      await settle();
      const { imageBytes, residency } = engine.stats();
      expect(residency.coldBytes).toBeGreaterThan(largeBytes);
      expect(imageBytes).toBeGreaterThan(smallBytes);
      expect(imageBytes).toBeLessThan(largeBytes);
      const view = await engine.viewAt('latest');
      expect(view.operator('o').value('large').get(9)).toBe(textOf(9, 3));
      await view.close();
      await engine.close();
    },
  );

  test('merges: nothing of what they made of it is in memory', async () => {
    const world = worldOn();
    const engine = await filled(world);
    await engine.merge();
    await engine.checkpoint({ kind: 'base' });
    expect(engine.stats().chainLength).toBe(1);
    expect(engine.stats().residency.coldBytes).toBeGreaterThan(largeBytes);
    expect(engine.stats().imageBytes).toBeLessThan(largeBytes);
    expectWhole(engine);
    const { chain } = (await engine.checkpoints()).at(-1)!;
    await engine.close();

    const again = await open(world, { prefetch: 'aggressive' });
    expectWhole(again);
    await again.close();
    expect(chain[0]!.entryCount).toBeGreaterThan(count);
  });

  test('resident again: it is loaded at the next opening', async () => {
    const world = worldOn();
    const engine = await filled(world);
    engine.operator('o').value('large');
    engine.operator('o').value('small').set('more', 'text');
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
    const again = await open(world, { prefetch: 'aggressive', checkpointing: false });
    expect(again.stats().residency.coldBytes).toBe(0);
    expect(again.stats().imageBytes).toBeGreaterThan(largeBytes);
    await again.close();
  });

  test('the file of a checkpoint cannot be opened again: it stays in memory, and that is told', async () => {
    const world = worldOn();
    const engine = await open(world, { checkpointing: false });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    engine.operator('o').value('large', { resident: false }).set(1, textOf(1, 1));
    await engine.commit();
    world.fs.before = ({ call, path }) => {
      if (call === 'open' && path.includes('/snapshots/')) {
        throw Object.assign(new Error('EMFILE: injected'), { code: 'EMFILE' });
      }
    };
    await engine.checkpoint();
    world.fs.before = () => {};
    expect(failures).toMatchObject([{ code: 'IO' }]);
    expect(engine.stats().residency.coldBytes).toBe(0);
    expect(engine.operator('o').value('large', { resident: false }).get(1)).toBe(textOf(1, 1));
    await engine.close();
  });

  test('another word: INVALID_OPTION', async () => {
    const engine = await open(worldOn());
    const options = { resident: 'no' as unknown as boolean };
    const error = await errorOf(() => engine.operator('o').value('v', options));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'resident']);
    await engine.close();
  });
});
