/*
 * Folding stored entries: whatever ops, operators and values meet, the kernel and a lookup give the same
 * answer, or say that it is damage.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createValueCodec } from '../../src/codec/value.ts';
import type { Entry } from '../../src/snapshot/entry.ts';
import { ops } from '../../src/snapshot/entry-format.ts';
import { MergeIterator } from '../../src/snapshot/merge-iterator.ts';
import { patchOfObject } from '../../src/snapshot/patch.ts';
import { PointFold } from '../../src/snapshot/point-fold.ts';
import { int64 } from '../snapshot/log-builder.ts';
import { ArrayCursor, entryOf } from '../snapshot/runs.ts';
import { fuzzParameters, outcomeOf, withinMemory, type Outcome } from './fuzz.ts';
import { mutated, mutations, type Mutation } from './mutations.ts';

const codec = createValueCodec();
const encoded = (value: unknown): Uint8Array => codec.encode(value).slice();
const values = [
  int64(5),
  int64(2n ** 63n - 1n),
  Buffer.concat([int64(1), Buffer.from('content')]),
  encoded(7),
  encoded(-(2n ** 90n)),
  encoded({ a: 1, b: { c: 2 } }),
  patchOfObject(encoded({ a: null, b: { c: 'x' }, d: [1] })).slice(),
  codec.encode({ a: 2 }, 3).slice(),
  new Uint8Array(0),
];

interface Draft {
  readonly op: number;
  readonly operator: number;
  readonly value: number;
  readonly changes: readonly Mutation[];
  readonly expiry: number;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  op: fc.constantFrom(ops.put, ops.delete, ops.merge, ops.merge, ops.merge),
  // One behind the last that is known.
  operator: fc.nat(6),
  value: fc.nat(values.length - 1),
  changes: fc.oneof(fc.constant<Mutation[]>([]), mutations),
  expiry: fc.constantFrom(0, 0, 25, 1000),
});
/** One key's entries, oldest first, most of one operator and value. */
const history = fc
  .tuple(fc.array(draft, { minLength: 1, maxLength: 5 }), fc.boolean())
  .map(([list, isOne]) =>
    isOne
      ? list.map((one) => ({ ...one, operator: list[0]!.operator, value: list[0]!.value }))
      : list,
  );

function entryAt({ op, operator, value, changes, expiry }: Draft, i: number): Entry {
  const bytes =
    op === ops.delete ? new Uint8Array(0) : mutated(values[value]!, changes, values[6]!);
  const change = {
    table: 16,
    op,
    operator: op === ops.delete ? 0 : operator,
    key: 'k',
    value: bytes,
    expiry,
  };
  return entryOf(change, i + 1, 10 * (i + 1), 5);
}

const options = { lastTimestamp: 60, rules: [], groupBits: 2 };

function drained(merge: MergeIterator): string {
  const seen: string[] = [];
  while (merge.next()) {
    const value = Buffer.from(merge.bytes.subarray(merge.subKeyEnd, merge.valueEnd)).toString(
      'hex',
    );
    seen.push(`${merge.op} ${merge.operator} ${merge.lsn} ${merge.expiry} ${value}`);
  }
  return seen.join();
}

function lookedUp(list: readonly Draft[]): string {
  const fold = new PointFold();
  fold.reset();
  for (let i = list.length - 1; i >= 0 && !fold.decided; i--) fold.addOlder(entryAt(list[i]!, i));
  if (!fold.settle(options.lastTimestamp)) return '';
  const { op, operator, lsn, expiry, bytes, subKeyEnd, valueEnd } = fold.entry;
  return `${op} ${operator} ${lsn} ${expiry} ${Buffer.from(bytes.subarray(subKeyEnd, valueEnd)).toString('hex')}`;
}

test('entries of any operator with mutated values: a merge and a lookup agree, or one says that it is damage', async () => {
  let taken = 0;
  let refused = 0;
  const property = fc.asyncProperty(history, async (list) => {
    const runs = (): ArrayCursor[] => list.map((one, i) => new ArrayCursor([entryAt(one, i)]));
    const size = list.length * 4000 + 20_000;
    const attempt = (make: () => string): Promise<Outcome<string>> =>
      withinMemory(size, () => outcomeOf(make));
    const base = await attempt(() =>
      drained(new MergeIterator(runs(), { ...options, base: true })),
    );
    const delta = await attempt(() =>
      drained(new MergeIterator(runs(), { ...options, base: false })),
    );
    const found = await attempt(() => lookedUp(list));
    // A lookup stops at what decides, and may not come to what is damaged; and sums of damaged counts may
    // leave 64 bits in one order only.
    if (base && found) expect(found).toEqual(base);
    if (base && delta) taken++;
    else refused++;
  });
  await fc.assert(property, fuzzParameters(1500));
  expect(taken).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
});
