/*
 * When the demo's job is killed: spread over the run, and decided by the seed alone.
 */
import { describe, expect, test } from 'vitest';

import { planKills } from '../../src/demo/kill-plan.ts';
import { seededRandom } from '../../src/demo/random.ts';

describe('planning kills', () => {
  test('the same seed: the same kills', () => {
    expect(planKills(3_000_000, 20, 7)).toEqual(planKills(3_000_000, 20, 7));
  });

  test('another seed: other kills', () => {
    expect(planKills(3_000_000, 5, 7)).not.toEqual(planKills(3_000_000, 5, 8));
  });

  test('many kills: every working one lies in its own part of the run', () => {
    const kills = planKills(1000, 10, 3);
    expect(kills).toHaveLength(10);
    for (const [index, kill] of kills.entries()) {
      if (kill.phase === 'opening') continue;
      expect(kill.row).toBeGreaterThanOrEqual(index * 100);
      expect(kill.row).toBeLessThan((index + 1) * 100);
    }
  });

  test('many kills: every fourth from the third strikes while opening', () => {
    const phases = planKills(1000, 8, 3).map(({ phase }) => phase);
    const four = ['working', 'working', 'opening', 'working'];
    expect(phases).toEqual([...four, ...four]);
  });

  test('more kills than events: every row is one of the run', () => {
    for (const { row } of planKills(3, 50, 1)) expect([0, 1, 2]).toContain(row);
  });

  test('no kills: an empty plan', () => {
    expect(planKills(1000, 0, 1)).toEqual([]);
  });
});

describe('random numbers of a seed', () => {
  test('many numbers: from 0 up to but not 1, and in every tenth of that range', () => {
    const next = seededRandom(42);
    const numbers = Array.from({ length: 1000 }, () => next());
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(new Set(numbers.map((number) => Math.floor(number * 10))).size).toBe(10);
  });

  test('neighbouring seeds: different first numbers', () => {
    const firsts = Array.from({ length: 100 }, (_, seed) => seededRandom(seed)());
    expect(new Set(firsts).size).toBe(100);
  });
});
