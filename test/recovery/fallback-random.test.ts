/*
 * Default retention over random chains: deltas, bases, merges by the policy, openings and collections.
 * Damage to any one snapshot or record loses nothing (R3).
 */
import { expect, test } from 'vitest';
import { open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { flipMiddle, shortLog } from './damaged-worlds.ts';

const options = { ...shortLog, maxChainLength: 3, cleanupMs: false } as const;

/** A closed store that was written and collected at random; how many commits it holds. */
async function made(random: SeededRandom): Promise<{ world: World; commits: number }> {
  const world = worldOn();
  let commits = 0;
  for (let opening = 0; opening < 3; opening++) {
    const engine = await open(world, options);
    const state = engine.operator('op').value('v');
    for (let step = 0; step < 6; step++) {
      for (let i = random.below(3); i >= 0; i--) {
        state.set('last', ++commits);
        state.set(random.below(5), commits);
        await engine.commit();
      }
      const what = random.below(6);
      if (what < 4) await engine.checkpoint({ kind: what === 0 ? 'base' : 'auto' });
      if (what === 4) await engine.merge();
      if (what === 5) await engine.collect();
    }
    await engine.close();
  }
  return { world, commits };
}

test.each([1, 2, 3, 4, 5])('seed %i: each snapshot and record in turn', async (seed) => {
  const { world, commits } = await made(new SeededRandom(seed));
  const files = [
    ...(await pathsIn(world.fs, 'snapshots')),
    ...(await pathsIn(world.fs, 'checkpoints')),
  ];
  expect(files.length).toBeGreaterThan(3);
  let passedOver = 0;
  for (const path of files) {
    const copy = worldOn(await world.fs.crash('kept'), world.clock, 9);
    await flipMiddle(copy, path);
    // Everything is read before it is served; what is found later is another story.
    const engine = await open(copy, { ...options, prefetch: 'aggressive' });
    expect([path, engine.recovery.lsn]).toEqual([path, commits]);
    expect(engine.operator('op').value('v').get('last')).toBe(commits);
    passedOver += engine.recovery.skipped.length;
    await engine.close();
  }
  expect(passedOver).toBeGreaterThan(0);
});
