/*
 * The policy on paper: when a chain is merged, which part of it, and what holds it back.
 */
import { describe, expect, test } from 'vitest';
import { judgeBudget, planMerge, type ChainState } from '../../src/checkpoint/chain-policy.ts';
import type { ChainPolicy, WrittenTotals } from '../../src/checkpoint/checkpoint-record.ts';

const MIB = 1024 * 1024;
const policyDefault: ChainPolicy = {
  strategy: 'optimal',
  maxChainLength: 4,
  restoreSecondsMax: undefined,
  restoreBytesMax: undefined,
  mergeBytesPerLogByteMax: 10,
  logBytesPerBaseByteMax: 4,
};

/** Sums of a store whose base is new. */
const totalsOf = (logBytes: number, mergeBytes: number): WrittenTotals => ({
  logBytes,
  mergeBytes,
  checkpointBytes: 0,
  baseLogBytes: logBytes,
});

/** A chain of these sizes in MiB; `distinct` is the share of distinct keys of a run. */
function chainOf(
  sizes: readonly number[],
  distinct: (start: number, count: number) => number = () => 1,
): ChainState {
  return {
    links: sizes.map((size, i) => ({
      kind: i === 0 ? ('base' as const) : ('delta' as const),
      bytes: size * MIB,
      entryCount: size * 1000,
    })),
    logBytes: 0,
    rates: {
      loadBytesPerSecond: 100 * MIB,
      replayBytesPerSecond: 50 * MIB,
      overheadSeconds: 0,
    },
    totals: totalsOf(10_000 * MIB, 0),
    distinctShare: distinct,
  };
}

const runOf = (chain: ChainState, policy: Partial<ChainPolicy> = {}, asked = false): unknown => {
  const plan = planMerge(chain, { ...policyDefault, ...policy }, asked);
  return 'start' in plan ? [plan.start, plan.count, plan.cause] : plan.why;
};

describe('length', () => {
  test('below the maximum: nothing is merged; at it: a run is', () => {
    expect(runOf(chainOf([100, 1, 1]))).toBe('nothing asks for a merge');
    expect(runOf(chainOf([100, 1, 1, 1]))).toEqual([1, 3, 'length']);
    expect(runOf(chainOf([100, 1, 1, 1]), { maxChainLength: 5 })).toBe('nothing asks for a merge');
  });

  test('one snapshot: nothing to merge, whatever the maximum, even when asked', () => {
    expect(runOf(chainOf([100]), { maxChainLength: 1 }, true)).toBe('the chain is one snapshot');
  });

  test('sequential and parallel: always the whole chain', () => {
    expect(runOf(chainOf([100, 1, 1, 1]), { strategy: 'sequential' })).toEqual([0, 4, 'length']);
    expect(runOf(chainOf([100, 1, 1, 1]), { strategy: 'parallel' })).toEqual([0, 4, 'length']);
  });

  test('optimal: deltas of one size before a large one, and the base only when it pays', () => {
    expect(runOf(chainOf([1000, 64, 1, 1]))).toEqual([2, 2, 'length']);
    // Deltas that only rewrite the base and are as large as it is: merging gives back what it costs.
    const rewriting = (start: number, count: number): number =>
      start === 0 ? 100 / (100 + (count - 1) * 100) : 1;
    expect(runOf(chainOf([100, 100, 100, 100], rewriting))).toEqual([0, 4, 'length']);
  });

  test('optimal: overlapping deltas first', () => {
    const overlap = (start: number, count: number): number =>
      start === 3 && count === 2 ? 0.5 : 1;
    expect(runOf(chainOf([1000, 10, 10, 10, 10], overlap), { maxChainLength: 5 })).toEqual([
      3,
      2,
      'length',
    ]);
  });
});

describe('budget', () => {
  test('a restore near its budget in seconds: the cheapest run that brings it back within', () => {
    const halving = (start: number, count: number): number => (start === 0 ? 1 : 1 / count);
    const chain = chainOf([50, 15, 15, 15], halving);
    expect(runOf(chain, { maxChainLength: 9, restoreSecondsMax: 2 })).toBe(
      'nothing asks for a merge',
    );
    // 0.95 s of 1 s is past the margin; two deltas or three into one write the same, three save more.
    expect(runOf(chain, { maxChainLength: 9, restoreSecondsMax: 1 })).toEqual([1, 3, 'budget']);
  });

  test('a budget in bytes: as one in seconds, log included', () => {
    const chain = chainOf([50, 20, 20], (start) => (start === 0 ? 0.6 : 0.5));
    const policy = { maxChainLength: 9, restoreBytesMax: 100 * MIB };
    expect(runOf(chain, policy)).toBe('nothing asks for a merge');
    expect(runOf({ ...chain, logBytes: 10 * MIB }, policy)).toEqual([1, 2, 'budget']);
  });

  test('below the cost of one base: unreachable, with the floor, and no merge is tried for it', () => {
    const chain = chainOf([200, 1, 1]);
    const policy = { ...policyDefault, maxChainLength: 9, restoreSecondsMax: 1 };
    const { state, floor, estimate } = judgeBudget(chain, policy);
    expect([state, floor.seconds, floor.bytes]).toEqual(['unreachable', 2.02, 202 * MIB]);
    expect(estimate.seconds).toBe(2.02);
    expect(runOf(chain, policy)).toBe('nothing asks for a merge');
  });

  test('states: none, within, near, over', () => {
    const state = (restoreSecondsMax: number | undefined): string =>
      judgeBudget(
        chainOf([10, 85], () => 0.1),
        { ...policyDefault, restoreSecondsMax },
      ).state;
    expect([state(undefined), state(2), state(1), state(0.9)]).toEqual([
      'none',
      'within',
      'near',
      'over',
    ]);
  });
});

describe('the log behind the base', () => {
  const behind = (mib: number): ChainState => ({
    ...chainOf([100, 1]),
    totals: { ...totalsOf(10_000 * MIB, 0), baseLogBytes: (10_000 - mib) * MIB },
  });

  test('much larger than a base: a new base, though the chain is short', () => {
    expect(runOf(behind(400))).toBe('nothing asks for a merge');
    expect(runOf(behind(410))).toEqual([0, 2, 'log']);
    expect(runOf(behind(410), { logBytesPerBaseByteMax: 5 })).toBe('nothing asks for a merge');
  });

  test('of a small state: at least 64 MiB', () => {
    const small = (mib: number): ChainState => ({ ...behind(mib), links: chainOf([1, 1]).links });
    expect(runOf(small(63))).toBe('nothing asks for a merge');
    expect(runOf(small(64))).toEqual([0, 2, 'log']);
  });

  test('a base that the bound on rewriting forbids: held', () => {
    const chain = behind(410);
    const totals = { ...chain.totals, mergeBytes: 100_000 * MIB };
    expect(runOf({ ...chain, totals })).toBe('held by mergeBytesPerLogByteMax');
  });
});

describe('the bound on rewriting', () => {
  const written = (mergeBytes: number): ChainState => ({
    ...chainOf([100, 1, 1, 1]),
    totals: totalsOf(10 * MIB, mergeBytes * MIB),
  });

  test('a run that would exceed it: held, until the log has grown', () => {
    expect(runOf(written(97))).toEqual([1, 3, 'length']);
    expect(runOf(written(99))).toBe('held by mergeBytesPerLogByteMax');
    expect(runOf(written(99), { mergeBytesPerLogByteMax: 11 })).toEqual([1, 3, 'length']);
  });

  test('a cheaper run that fits: taken instead of the best', () => {
    expect(runOf(written(98))).toEqual([1, 2, 'length']);
  });

  test('asked for by name: not held', () => {
    expect(runOf(written(99), {}, true)).toEqual([1, 3, 'length']);
  });
});

describe('any sequence of deltas', () => {
  test('optimal writes less than merging the whole chain each time, and keeps the length', () => {
    const run = (strategy: ChainPolicy['strategy']): { written: number; length: number } => {
      const sizes = [1000];
      let written = 0;
      let length = 0;
      for (let i = 0; i < 200; i++) {
        sizes.push(1);
        const state = {
          ...chainOf(sizes),
          totals: totalsOf(1e15, 0),
        };
        const plan = planMerge(state, { ...policyDefault, maxChainLength: 10, strategy });
        if ('start' in plan) {
          const { start, count, outputBytes } = plan;
          sizes.splice(start, count, outputBytes / MIB);
          written += outputBytes / MIB;
        }
        length = Math.max(length, sizes.length);
      }
      return { written, length };
    };
    const optimal = run('optimal');
    const whole = run('sequential');
    expect(optimal.length).toBeLessThanOrEqual(10);
    expect(whole.written).toBeGreaterThan(10 * optimal.written);
  });
});
