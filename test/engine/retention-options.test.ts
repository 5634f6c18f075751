/*
 * Options of retention: what each of them changes, and what is refused.
 */
import { describe, expect, test } from 'vitest';
import type { EngineOptions } from '../../src/engine/index.ts';
import { codeOf, errorOf, open, settle, worldOn } from './engine-fixture.ts';
import {
  collected,
  expectSound,
  fill,
  idsOf,
  opened,
  threeBases,
  write,
} from './retention-world.ts';

describe('options of retention', () => {
  /** Ids that stay of the same history under other options. */
  async function kept(options: Partial<EngineOptions>, msBetween = 0): Promise<number[]> {
    const world = worldOn();
    world.clock.advance(Date.UTC(2026, 10, 18, 12));
    const engine = await opened(world, { ...options });
    for (const kind of threeBases) {
      await fill(engine, [kind]);
      world.clock.advance(msBetween);
    }
    await engine.collect();
    const ids = await idsOf(engine);
    await engine.close();
    await expectSound(world);
    return ids;
  }

  test('retention.checkpoints: more of them stay', async () => {
    expect(await kept({ retention: { checkpoints: 1 } })).toEqual([8, 9, 10, 11].slice(-4));
    expect((await kept({ retention: { checkpoints: 6 } })).length).toBeGreaterThan(5);
    expect(await kept({})).toEqual(await kept({ retention: { checkpoints: 5 } }));
  });

  test('retention: false keeps everything', async () => {
    expect(await kept({ retention: false })).toHaveLength(11);
  });

  test('retention.ageMs: younger ones stay', async () => {
    const few = await kept({ retention: { checkpoints: 1, ageMs: 1 } }, 1000);
    const more = await kept({ retention: { checkpoints: 1, ageMs: 7000 } }, 1000);
    expect(more.length).toBeGreaterThan(few.length);
    expect(more).toEqual(expect.arrayContaining(few));
  });

  test('retention.schedule: the newest of each hour stays', async () => {
    const half = 30 * 60_000;
    const few = await kept({ retention: { checkpoints: 1 } }, half);
    const more = await kept({ retention: { checkpoints: 1, schedule: { hourly: 4 } } }, half);
    expect(more.length).toBeGreaterThan(few.length);
  });

  test('retention.windowMs: the log from the start of the window stays', async () => {
    const logFrom = async (windowMs: number): Promise<number> => {
      const world = worldOn();
      const engine = await opened(world, { retention: { checkpoints: 1, windowMs } });
      for (const kind of ['delta', 'delta', 'delta', ...threeBases] as const) {
        await fill(engine, [kind]);
        world.clock.advance(1000);
      }
      const { plan } = await engine.collect();
      await engine.close();
      await expectSound(world);
      return plan.retained.logFromLsn;
    };
    const without = await logFrom(0);
    const some = await logFrom(7500);
    expect(some).toBeLessThan(without);
    expect(some).toBeGreaterThan(1);
    expect(await logFrom(60_000)).toBe(1);
  });

  test('cleanupMs: collects by time, and not when it is false', async () => {
    for (const cleanupMs of [5000, false] as const) {
      const world = worldOn();
      const engine = await opened(world, { cleanupMs });
      await fill(engine, threeBases);
      await collected(engine);
      const { collections } = engine.stats().retention;
      for (let i = 1; i <= 3; i++) {
        world.clock.advance(5000);
        await collected(engine);
        const more = cleanupMs === false ? 0 : i;
        expect(engine.stats().retention.collections).toBe(collections + more);
      }
      await engine.close();
      world.clock.advance(5000);
      await settle();
      expect(world.clock.timerCount).toBe(0);
    }
  });

  test('the settings in force are in the record', async () => {
    const world = worldOn();
    const retention = { checkpoints: 3, ageMs: 5, windowMs: 7, schedule: { daily: 2 } };
    const engine = await opened(world, { retention });
    await write(engine);
    const { retention: stored } = await engine.checkpoint();
    expect(stored).toEqual({
      ...retention,
      schedule: { hourly: 0, daily: 2, weekly: 0, monthly: 0 },
    });
    await engine.close();
    const off = await opened(world, { retention: false });
    await write(off);
    expect((await off.checkpoint()).retention).toBeUndefined();
    await off.close();
  });

  const bad: [string, Partial<EngineOptions>][] = [
    ['retention', { retention: true as unknown as false }],
    ['retention', { retention: null as unknown as false }],
    ['retention.keep', { retention: { keep: 1 } as object }],
    ['retention.checkpoints', { retention: { checkpoints: 0 } }],
    ['retention.checkpoints', { retention: { checkpoints: 1.5 } }],
    ['retention.ageMs', { retention: { ageMs: -1 } }],
    ['retention.windowMs', { retention: { windowMs: Number.POSITIVE_INFINITY } }],
    ['retention.schedule', { retention: { schedule: null as unknown as object } }],
    ['retention.schedule.yearly', { retention: { schedule: { yearly: 1 } as object } }],
    ['retention.schedule.daily', { retention: { schedule: { daily: -1 } } }],
    ['cleanupMs', { cleanupMs: 0 }],
    ['cleanupMs', { cleanupMs: 2 ** 31 }],
    ['cleanupMs', { cleanupMs: true as unknown as false }],
    ['cleanupMs', { cleanupMs: 1000, retention: false }],
  ];
  test.each(bad)('a bad %s: INVALID_OPTION names it', async (option, options) => {
    const error = await errorOf(open(worldOn(), options));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
  });

  test('collect with bad options: INVALID_OPTION', async () => {
    const engine = await opened(worldOn());
    expect(await codeOf(engine.collect({ dry: true } as object))).toBe('INVALID_OPTION');
    expect(await codeOf(engine.collect({ dryRun: 1 as unknown as boolean }))).toBe(
      'INVALID_OPTION',
    );
    await engine.close();
    expect(await codeOf(engine.collect())).toBe('CLOSED');
  });
});
