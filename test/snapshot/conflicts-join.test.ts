/*
 * The join of lineages against a plain model of what each did to each key: puts, deletes, operands,
 * clears of keys and tables, with keys that share hashes.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createValueCodec } from '../../src/codec/value.ts';
import { decodeVersioned, storedVersion } from '../../src/codec/value-version.ts';
import { LineageJoin } from '../../src/snapshot/conflicts-join.ts';
import {
  builtInPolicies,
  resolveBy,
  type BuiltInPolicy,
  type KeyConflict,
} from '../../src/snapshot/conflicts.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { MergeIterator } from '../../src/snapshot/merge-iterator.ts';
import { patchOfObject } from '../../src/snapshot/patch.ts';
import type { RunCursor } from '../../src/snapshot/run-cursor.ts';
import { int64, type Change, type Commit } from './log-builder.ts';
import { describeEntry, runOf, slicesOf, sliceTexts, type HashOf } from './runs.ts';

const TABLE = 17;
const groupBits = 2;
const hashes: Record<string, HashOf> = {
  one: () => 0x4000_0000,
  two: (key) => (key[0]! % 2 === 0 ? 0x9000_0000 : 0x9000_0001),
  spread: (key) => Math.imul(key[0]! * 31 + key.length, 0x9e37_79b1) >>> 0,
};
const KEYS = ['a', 'b', 'c'];
const SUB_KEYS = [undefined, 'x'];
const BASE_LSN = 2;
const BASE_TIME = 100;

interface Lineage {
  readonly commits: readonly Commit[];
}

function foldedRun(commits: readonly Commit[], firstLsn: number, hashOf: HashOf): RunCursor {
  const lastTimestamp = commits.at(-1)?.timestamp ?? BASE_TIME;
  const run = runOf(commits, firstLsn, { hashOf, groupBits });
  return new MergeIterator([run], { base: false, lastTimestamp, rules: [], groupBits });
}

/** As a base holds it: live puts. */
function baseRun(commits: readonly Commit[], hashOf: HashOf): RunCursor {
  const run = runOf(commits, 1, { hashOf, groupBits });
  return new MergeIterator([run], { base: true, lastTimestamp: BASE_TIME, rules: [], groupBits });
}

interface Joined {
  readonly state: Map<string, bigint>;
  readonly conflicts: KeyConflict['reason'][];
  readonly texts: string[];
}

function join(
  base: readonly Commit[],
  lineages: readonly Lineage[],
  policy: BuiltInPolicy,
  hashOf: HashOf,
): Joined {
  const conflicts: KeyConflict['reason'][] = [];
  const resolve = resolveBy(policy);
  const joined = new LineageJoin({
    base: baseRun(base, hashOf),
    lineages: lineages.map(({ commits }) => foldedRun(commits, BASE_LSN + 1, hashOf)),
    groupBits,
    resolve: (conflict) => {
      conflicts.push(conflict.reason);
      return resolve(conflict);
    },
  });
  const options = { base: true, lastTimestamp: 10_000, rules: [], groupBits };
  const slices = slicesOf(new MergeIterator([joined], options));
  const state = new Map<string, bigint>();
  const again = new LineageJoin({
    base: baseRun(base, hashOf),
    lineages: lineages.map(({ commits }) => foldedRun(commits, BASE_LSN + 1, hashOf)),
    groupBits,
    resolve,
  });
  const read = new MergeIterator([again], options);
  while (read.next()) {
    const [, key, subKey] = describeEntry(read).split(' ');
    const value = Buffer.from(read.bytes.subarray(read.subKeyEnd, read.valueEnd));
    state.set(`${key} ${subKey}`, value.readBigInt64LE(0));
  }
  return { state, conflicts, texts: sliceTexts(slices) };
}

type Effect =
  | { readonly kind: 'put' | 'add'; readonly value: bigint; readonly time: number }
  | { readonly kind: 'delete'; readonly time: number };

const nameOf = (key: string, subKey: string | Uint8Array | undefined): string =>
  `${Buffer.from(key).toString('hex')} ${subKey === undefined ? '-' : Buffer.from(subKey).toString('hex')}`;

/** What one lineage did to each key. */
function effectsOf(commits: readonly Commit[]): Map<string, Effect> {
  const effects = new Map<string, Effect>();
  for (const { timestamp: time, changes } of commits) {
    for (const { op, key, subKey, value } of changes) {
      if (op === ops.clearTable || op === ops.clearKey) {
        for (const one of op === ops.clearKey ? [key] : KEYS) {
          for (const sub of SUB_KEYS) effects.set(nameOf(one, sub), { kind: 'delete', time });
        }
        continue;
      }
      const name = nameOf(key, subKey);
      const before = effects.get(name);
      const number = op === ops.delete ? 0n : Buffer.from(value as Uint8Array).readBigInt64LE(0);
      if (op === ops.delete) effects.set(name, { kind: 'delete', time });
      else if (op === ops.put) effects.set(name, { kind: 'put', value: number, time });
      else if (!before) effects.set(name, { kind: 'add', value: number, time });
      else if (before.kind === 'delete') effects.set(name, { kind: 'put', value: number, time });
      else effects.set(name, { kind: before.kind, value: before.value + number, time });
    }
  }
  return effects;
}

function model(
  base: readonly Commit[],
  lineages: readonly Lineage[],
  policy: BuiltInPolicy,
): { state: Map<string, bigint>; conflicts: number } {
  const state = new Map<string, bigint>();
  for (const [name, effect] of effectsOf(base)) {
    if (effect.kind !== 'delete') state.set(name, effect.value);
  }
  const all = lineages.map(({ commits }) => effectsOf(commits));
  let conflicts = 0;
  for (const name of KEYS.flatMap((key) => SUB_KEYS.map((subKey) => nameOf(key, subKey)))) {
    const old = state.get(name);
    const effects = all.flatMap((of, lineage) => {
      const effect = of.get(name);
      return effect ? [{ ...effect, lineage }] : [];
    });
    if (effects.length === 0) continue;
    const results: { value: bigint | undefined; time: number; lineage: number }[] = [];
    const adds = effects.filter(({ kind }) => kind === 'add');
    if (adds.length > 0) {
      adds.sort((a, b) => a.time - b.time || a.lineage - b.lineage);
      const sum = adds.reduce((total, one) => total + ('value' in one ? one.value : 0n), old ?? 0n);
      results.push({ ...adds.at(-1)!, value: sum });
    }
    for (const effect of effects) {
      if (effect.kind === 'add') continue;
      const { time, lineage } = effect;
      results.push({ value: effect.kind === 'put' ? effect.value : undefined, time, lineage });
    }
    if (new Set(results.map(({ value }) => value)).size > 1) conflicts++;
    results.sort((a, b) => a.time - b.time || a.lineage - b.lineage);
    const chosen = policy === 'first-write-wins' ? results[0]! : results.at(-1)!;
    if (chosen.value === undefined) state.delete(name);
    else state.set(name, chosen.value);
  }
  return { state, conflicts };
}

const change: fc.Arbitrary<Change> = fc.record({
  table: fc.constant(TABLE),
  op: fc.constantFrom(ops.put, ops.delete, ops.merge, ops.merge, ops.clearKey, ops.clearTable),
  operator: fc.constant(operatorIds.add),
  key: fc.constantFrom(...KEYS),
  subKey: fc.constantFrom(...SUB_KEYS),
  value: fc.integer({ min: -2, max: 2 }).map(int64),
});

/** Commits with one change each, which is all that order within a lineage needs. */
const commitsFrom = (changes: readonly Change[], start: number, step: number): Commit[] =>
  changes.map((one, i) => ({ timestamp: start + i * step, changes: [legal(one)] }));

function legal(one: Change): Change {
  const { table, op, key, subKey, value } = one;
  if (op === ops.clearTable) return { table, op, key: '' };
  if (op === ops.clearKey) return { table, op, key };
  if (op === ops.delete) return { table, op, key, subKey };
  if (op === ops.put) return { table, op, key, subKey, value: value! };
  return one;
}

const baseDraft = fc.array(change, { minLength: BASE_LSN, maxLength: BASE_LSN });
const lineageDrafts = fc.array(
  fc.record({
    changes: fc.array(change, { minLength: 1, maxLength: 6 }),
    start: fc.integer({ min: 101, max: 140 }),
    step: fc.integer({ min: 1, max: 9 }),
  }),
  { minLength: 1, maxLength: 4 },
);

describe.each(Object.keys(hashes))('keys with %s hashes', (name) => {
  const hashOf = hashes[name]!;

  test.each(builtInPolicies)('%s: the state and the conflicts of the model', (policy) => {
    const property = fc.property(baseDraft, lineageDrafts, (drafted, drafts) => {
      const base = commitsFrom(drafted, BASE_TIME - BASE_LSN, 1);
      const lineages = drafts.map(({ changes, start, step }) => ({
        commits: commitsFrom(changes, start, step),
      }));
      const expected = model(base, lineages, policy);
      const joined = join(base, lineages, policy, hashOf);
      expect(joined.state).toEqual(expected.state);
      expect(joined.conflicts).toHaveLength(expected.conflicts);
    });
    fc.assert(property, { seed: 41, numRuns: 300 });
  });

  test('one lineage: what the kernel makes of base and delta, byte for byte', () => {
    const property = fc.property(baseDraft, lineageDrafts, (drafted, [draft]) => {
      const base = commitsFrom(drafted, BASE_TIME - BASE_LSN, 1);
      const commits = commitsFrom(draft!.changes, draft!.start, draft!.step);
      const joined = join(base, [{ commits }], 'last-write-wins', hashOf);
      const runs = [
        runOf(base, 1, { hashOf, groupBits }),
        runOf(commits, BASE_LSN + 1, { hashOf, groupBits }),
      ];
      const options = { base: true, lastTimestamp: 10_000, rules: [], groupBits };
      expect(joined.texts).toEqual(sliceTexts(slicesOf(new MergeIterator(runs, options))));
      expect(joined.conflicts).toEqual([]);
    });
    fc.assert(property, { seed: 42, numRuns: 200 });
  });
});

describe('sums that leave int64', () => {
  const most = 2n ** 63n - 1n;
  const adding = (value: bigint, timestamp: number): Lineage => ({
    commits: [
      {
        timestamp,
        changes: [
          { table: TABLE, op: ops.merge, operator: operatorIds.add, key: 'a', value: int64(value) },
        ],
      },
    ],
  });
  const putting = (value: bigint): Commit[] => [
    { timestamp: 50, changes: [{ table: TABLE, op: ops.put, key: 'a', value: int64(value) }] },
  ];

  test.each<[string, Commit[], bigint[], bigint]>([
    ['of the operands', [], [most, 1n], 1n],
    ['of the operands and the base', putting(most - 2n), [1n, 2n], most],
    ['downwards', putting(-most - 1n + 2n), [-1n, -2n], -most - 1n],
  ])('%s: a conflict, and the last write over the base wins', (_, base, added, expected) => {
    const lineages = added.map((value, i) => adding(value, 200 + i));
    const joined = join(base, lineages, 'last-write-wins', hashes['one']!);
    expect(joined.conflicts).toEqual(['overflow']);
    expect([...joined.state.values()]).toEqual([expected]);
  });

  test('that just fits: no conflict', () => {
    const lineages = [adding(most - 1n, 200), adding(1n, 201)];
    const joined = join([], lineages, 'last-write-wins', hashes['one']!);
    expect(joined.conflicts).toEqual([]);
    expect([...joined.state.values()]).toEqual([most]);
  });
});

test('a value given instead of a candidate: takes the place of the key', () => {
  const write = (value: bigint, timestamp: number): RunCursor =>
    foldedRun(
      [{ timestamp, changes: [{ table: TABLE, op: ops.put, key: 'a', value: int64(value) }] }],
      BASE_LSN + 1,
      hashes['one']!,
    );
  const joined = new LineageJoin({
    base: baseRun([], hashes['one']!),
    lineages: [write(1n, 200), write(2n, 201)],
    groupBits,
    resolve: () => ({ value: Uint8Array.of(7), expiry: 5000 }),
  });
  expect(joined.next()).toBe(true);
  expect(joined).toMatchObject({ op: ops.put, expiry: 5000, timestamp: 201 });
  expect([...joined.bytes.subarray(joined.subKeyEnd, joined.valueEnd)]).toEqual([7]);
  expect(joined.next()).toBe(false);
});

describe('patches of different versions of a value', () => {
  const codec = createValueCodec();
  const patching = (object: object, version: number, timestamp: number): RunCursor => {
    const value = patchOfObject(codec.encode(object, version).slice());
    const { merge: op } = ops;
    const change = { table: TABLE, op, operator: operatorIds.patch, key: 'a', value };
    return foldedRun([{ timestamp, changes: [change] }], BASE_LSN + 1, hashes['one']!);
  };
  const joinPatches = (versions: readonly number[]): unknown[] => {
    const reasons: string[] = [];
    const resolve = resolveBy('last-write-wins');
    const joined = new LineageJoin({
      base: baseRun([], hashes['one']!),
      lineages: versions.map((version, i) => patching({ [`f${i}`]: i }, version, 200 + i)),
      groupBits,
      resolve: (conflict) => {
        reasons.push(conflict.reason);
        return resolve(conflict);
      },
    });
    const merged = new MergeIterator([joined], {
      base: true,
      lastTimestamp: 10_000,
      rules: [],
      groupBits,
    });
    expect(merged.next()).toBe(true);
    const { bytes, subKeyEnd, valueEnd } = merged;
    const version = storedVersion(bytes, subKeyEnd, valueEnd);
    return [decodeVersioned(codec, bytes, subKeyEnd, valueEnd), version, ...reasons];
  };

  test('of one version: combine, and are no conflict', () => {
    expect(joinPatches([2, 2])).toEqual([{ f0: 0, f1: 1 }, 2]);
  });

  test('of two: a conflict, and the last write wins', () => {
    expect(joinPatches([1, 2])).toEqual([{ f1: 1 }, 2, 'operand']);
    expect(joinPatches([2, 1, 2])).toEqual([{ f0: 0, f2: 2 }, 2, 'operand']);
  });
});
