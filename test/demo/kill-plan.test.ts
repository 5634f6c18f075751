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

  test('many kills: every one lies in its own part of the run', () => {
    const kills = planKills(1000, 10, 3);
    expect(kills).toHaveLength(10);
    for (const [index, { row }] of kills.entries()) {
      expect(row).toBeGreaterThanOrEqual(index * 100);
      expect(row).toBeLessThan((index + 1) * 100);
    }
  });

  test('five kills of a long run: in commits, in a checkpoint, in the opening behind it', () => {
    const kills = planKills(3_000_000, 5, 3);
    expect(kills.map(({ phase }) => phase)).toEqual([
      'committing',
      'checkpointing',
      'opening',
      'committing',
      'committing',
    ]);
    expect(kills[1]!.row).toBe(750_000);
  });

  test('a part of the run in which no checkpoint starts: in commits', () => {
    expect(planKills(100_000, 5, 3)[1]!.phase).toBe('committing');
    expect(planKills(600_000, 2, 3)[1]).toMatchObject({ phase: 'checkpointing', row: 500_000 });
    expect(planKills(500_000, 2, 3)[1]!.phase).toBe('committing');
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
