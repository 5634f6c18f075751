import { describe, expect, test } from 'vitest';
import { Entry } from '../../src/snapshot/entry.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { MergeIterator } from '../../src/snapshot/merge-iterator.ts';
import type { RunCursor } from '../../src/snapshot/run-cursor.ts';
import { int64, put, type Change, type Commit } from './log-builder.ts';
import { ArrayCursor, runOf } from './runs.ts';

const shape = { hashOf: (): number => 5, groupBits: 2 };
const delta = { base: false, lastTimestamp: 1000, rules: [], groupBits: 2 };
const base = { ...delta, base: true };

const commits = (...changes: Change[][]): Commit[] =>
  changes.map((list, i) => ({ timestamp: 10 * (i + 1), changes: list }));
const run = (firstLsn: number, ...changes: Change[][]): RunCursor =>
  runOf(commits(...changes), firstLsn, shape);

function drain(merge: RunCursor): string[] {
  const seen: string[] = [];
  while (merge.next()) {
    const text = Buffer.from(merge.bytes.slice(merge.keyStart, merge.subKeyEnd)).toString();
    seen.push(`${merge.table}:${text}@${merge.lsn}/${merge.op}`);
  }
  return seen;
}

const map = (key: string, subKey: string, op: number = ops.put): Change => ({
  table: 16,
  op,
  key,
  subKey,
});
const clear = (key: string): Change => ({ table: 16, op: ops.clearKey, key });
const clearTable: Change = { table: 16, op: ops.clearTable, key: '' };

describe('order', () => {
  test('one run and several: by table, hash, key, clear, no sub-key, sub-keys', () => {
    const newer = run(3, [put(17, 'a', '1'), map('b', ''), map('b', 'x'), clear('b')]);
    const older = run(1, [put(16, 'b', '0'), put(16, 'a', '1')], [put(18, 'a', '1')]);
    expect(drain(new MergeIterator([older, newer], delta))).toEqual([
      '16:a@1/1',
      '16:b@3/4',
      '16:b@3/1',
      '16:bx@3/1',
      '17:a@3/1',
      '18:a@2/1',
    ]);
  });

  test('no inputs and empty inputs: nothing', () => {
    expect(drain(new MergeIterator([], delta))).toEqual([]);
    expect(drain(new MergeIterator([new ArrayCursor([]), run(1)], delta))).toEqual([]);
  });

  test('many runs that hold one key: the newest put stays, and all operands count', () => {
    const add = { table: 17, op: ops.merge, operator: operatorIds.add, key: 'n', value: int64(1) };
    const runs = Array.from({ length: 16 }, (_, i) => run(i + 1, [put(16, 'k', `${i}`), add]));
    const merge = new MergeIterator(runs, base);
    expect(merge.next()).toBe(true);
    expect(Buffer.from(merge.bytes.slice(merge.subKeyEnd, merge.valueEnd)).toString()).toBe('15');
    expect(merge.next()).toBe(true);
    expect(Buffer.from(merge.bytes).readBigInt64LE(merge.subKeyEnd)).toBe(16n);
    expect(merge.next()).toBe(false);
  });
});

describe('a merge as the input of a merge', () => {
  const add = (key: string, by: number): Change => ({
    table: 17,
    op: ops.merge,
    operator: operatorIds.add,
    key,
    value: int64(by),
  });
  const sums = (merge: MergeIterator): string[] => {
    const seen: string[] = [];
    while (merge.next()) {
      const key = Buffer.from(merge.bytes.slice(merge.keyStart, merge.keyEnd)).toString();
      seen.push(`${key}=${Buffer.from(merge.bytes).readBigInt64LE(merge.subKeyEnd)}`);
    }
    return seen;
  };
  const inner = (firstLsn: number): MergeIterator =>
    new MergeIterator(
      [run(firstLsn, [add('a', 1), add('b', 10)]), run(firstLsn + 1, [add('a', 2), add('b', 20)])],
      delta,
    );

  test('sums of one inner merge: each key keeps its own', () => {
    expect(sums(new MergeIterator([inner(1)], base))).toEqual(['a=3', 'b=30']);
  });

  test('sums of two inner merges: they add up as in one', () => {
    expect(sums(new MergeIterator([inner(1), inner(3)], base))).toEqual(['a=6', 'b=60']);
  });
});

describe('clears', () => {
  test('a clear of a key: older entries of that key go, those of its own commit stay', () => {
    const older = run(1, [map('a', 'x'), map('b', 'x'), put(16, 'b', '1')]);
    const newer = run(2, [clear('b'), map('b', 'y')]);
    expect(drain(new MergeIterator([older, newer], delta))).toEqual([
      '16:ax@1/1',
      '16:b@2/4',
      '16:by@2/1',
    ]);
  });

  test('a clear of a table: older entries of that table and older clears of keys go', () => {
    const older = run(1, [map('a', 'x'), clear('b'), put(17, 'a', '1')]);
    const newer = run(2, [clearTable, map('c', 'y')]);
    const seen = drain(new MergeIterator([older, newer], delta));
    const groups = ['16:@2/5', '16:@2/5', '16:@2/5', '16:@2/5'];
    // The other key groups start at higher hashes.
    expect(seen.toSorted()).toEqual([...groups, '16:cy@2/1', '17:a@1/1'].toSorted());
    expect(seen[0]).toBe('16:@2/5');
    expect(seen[1]).toBe('16:cy@2/1');
  });

  test('an older clear in a newer place: entries at or above its LSN stay', () => {
    const older = run(1, [clear('a')], [map('a', 'x')]);
    const newer = run(3, [map('a', 'y')]);
    expect(drain(new MergeIterator([older, newer], delta))).toEqual([
      '16:a@1/4',
      '16:ax@2/1',
      '16:ay@3/1',
    ]);
  });

  test('an operand behind a clear: it is a put, also in a delta', () => {
    const add = { table: 16, op: ops.merge, operator: 1, key: 'a', value: int64(1) };
    expect(drain(new MergeIterator([run(1, [add], [clear('a'), add])], delta))).toEqual([
      '16:a@2/4',
      '16:a@2/1',
    ]);
  });

  test('E2 a delta: a tombstone stays, whatever it is folded over, and hides what is older', () => {
    const gone = { table: 16, op: ops.delete, key: 'a' };
    const oldest = (): RunCursor => run(1, [put(16, 'a', '0')]);
    const merged = (): MergeIterator =>
      new MergeIterator([run(2, [put(16, 'a', '1')]), run(3, [gone])], delta);
    expect(drain(merged())).toEqual(['16:a@3/2']);
    expect(drain(new MergeIterator([run(3, [gone])], delta))).toEqual(['16:a@3/2']);
    expect(drain(new MergeIterator([oldest(), merged()], base))).toEqual([]);
  });

  test('E2 a base: clears and tombstones are gone, and what they killed', () => {
    const older = run(1, [map('a', 'x'), map('b', 'x'), map('c', 'x')]);
    const newer = run(2, [clear('a'), map('b', 'x', ops.delete)]);
    expect(drain(new MergeIterator([older, newer], base))).toEqual(['16:cx@1/1']);
  });
});

describe('size', () => {
  test('a key with 100,000 sub-keys, half of them deleted: the other half stays', () => {
    const name = (i: number): string => String(i).padStart(6, '0');
    const all = Array.from({ length: 100_000 }, (_, i) => map('hot', name(i)));
    const half = all.flatMap((change, i) => (i % 2 === 0 ? [] : [{ ...change, op: ops.delete }]));
    const merge = new MergeIterator([run(1, all), run(2, half)], base);
    let count = 0;
    while (merge.next()) count++;
    expect(count).toBe(50_000);
  });

  test('nothing left for many keys: a step gives up in time, and goes on where it was', () => {
    const all = Array.from({ length: 100 }, (_, i) => map('k', String(i)));
    const merge = new MergeIterator([run(1, all), run(2, [clear('k')], [map('z', '')])], base);
    const steps: string[] = [];
    for (let step = merge.step(30); step !== 'end'; step = merge.step(30)) steps.push(step);
    expect(steps).toEqual(['pause', 'pause', 'pause', 'entry']);
  });
});

describe('lists', () => {
  const rules = [{ table: 16, itemsMax: 2 }];
  const item = (i: number, expiry = 0): Change => ({ ...map('l', String(i)), expiry });
  const append = (...items: Change[]): RunCursor => run(1, ...items.map((one) => [one]));

  test('no expiry: the newest stay, in order', () => {
    const merge = new MergeIterator([append(item(1), item(2), item(3), item(4))], {
      ...base,
      rules,
    });
    expect(drain(merge)).toEqual(['16:l3@3/1', '16:l4@4/1']);
  });

  test('a newer item that expires before an older one: a base keeps both, a view the newer', () => {
    const items = (): RunCursor => append(item(1, 9000), item(2), item(3, 2000), item(4, 2000));
    expect(drain(new MergeIterator([items()], { ...base, rules }))).toEqual([
      '16:l1@1/1',
      '16:l2@2/1',
      '16:l3@3/1',
      '16:l4@4/1',
    ]);
    expect(drain(new MergeIterator([items()], { ...base, view: true, rules }))).toEqual([
      '16:l3@3/1',
      '16:l4@4/1',
    ]);
  });

  test('an item that two newer ones outlive: it goes, and the clear before it stays', () => {
    const source = run(
      1,
      [clear('l')],
      ...[item(1, 3000), item(2, 4000), item(3, 3000), put(17, 'q', '')].map((one) => [one]),
    );
    expect(drain(new MergeIterator([source], { ...delta, rules }))).toEqual([
      '16:l@1/4',
      '16:l2@3/1',
      '16:l3@4/1',
      '17:q@5/1',
    ]);
  });

  test('more items than are buffered at once: the same newest stay', () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({
      ...map('l', String(i).padStart(4, '0')),
      expiry: i % 2 === 0 ? 0 : 2000,
    }));
    const merge = new MergeIterator([run(1, many)], { ...base, rules });
    expect(drain(merge)).toEqual(['16:l4996@1/1', '16:l4998@1/1', '16:l4999@1/1']);
  });
});

test('an entry that was folded: it can be copied out before the next step', () => {
  const add = { table: 17, op: ops.merge, operator: 1, key: 'a', value: int64(2) };
  const merge = new MergeIterator([run(1, [add], [add]), run(3, [{ ...add, key: 'b' }])], base);
  merge.next();
  const copy = new Entry();
  copy.assign(merge);
  expect(Buffer.from(copy.bytes).readBigInt64LE(copy.subKeyEnd)).toBe(4n);
});
