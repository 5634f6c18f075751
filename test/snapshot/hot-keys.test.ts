/*
 * One key with a million sub-keys, and keys that all have one hash: the runs are made on the fly, so
 * that the kernel is what takes the time.
 */
import { expect, test } from 'vitest';
import { Entry } from '../../src/snapshot/entry.ts';
import { entryFlags, operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { Image, setProbe } from '../../src/snapshot/image.ts';
import { slicesCursor } from '../../src/snapshot/log-fold.ts';
import { MergeIterator } from '../../src/snapshot/merge-iterator.ts';
import { PointFold } from '../../src/snapshot/point-fold.ts';
import { RunCursor } from '../../src/snapshot/run-cursor.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import type { SliceDescriptor } from '../../src/snapshot/slice.ts';
import { slicesOf } from './runs.ts';

const HASH = 0x8765_4321;
const NUMBER_BYTES = 4;
const ENTRY_BYTES = 8;
const SLICE_BYTES = 16 * 1024 * 1024;

/** What a run holds at every `step`th number. */
interface RunShape {
  readonly step: number;
  readonly lsn: number;
  readonly op: number;
  readonly operator?: number;
  /** Numbers are sub-keys of one key, or keys of one hash. */
  readonly subKeys: boolean;
  readonly value: number;
}

/** Numbers from 0, in order, as entries of table 16; the bytes of each stay as they are. */
class NumberCursor extends RunCursor {
  readonly #end: number;
  readonly #keyBytes: number;
  #at = 0;

  constructor(count: number, { step, lsn, op, operator, subKeys, value }: RunShape) {
    super();
    const length = Math.ceil(count / step);
    const bytes = Buffer.alloc(length * ENTRY_BYTES, 'k');
    this.#keyBytes = subKeys ? 1 : NUMBER_BYTES;
    const numberAt = subKeys ? 1 : 0;
    for (let i = 0; i < length; i++) {
      bytes.writeUInt32BE(i * step, i * ENTRY_BYTES + numberAt);
      bytes[i * ENTRY_BYTES + numberAt + NUMBER_BYTES] = value;
    }
    this.bytes = bytes;
    this.#end = bytes.length;
    Object.assign(this, { table: 16, hash: HASH, lsn, timestamp: lsn, op });
    this.operator = operator ?? operatorIds.none;
    this.flags = subKeys ? entryFlags.subKey : 0;
  }

  next(): boolean {
    const at = this.#at;
    if (at >= this.#end) return false;
    this.#at = at + ENTRY_BYTES;
    this.keyStart = at;
    this.keyEnd = at + this.#keyBytes;
    this.subKeyEnd = at + (this.flags === 0 ? NUMBER_BYTES : NUMBER_BYTES + 1);
    this.valueEnd = this.subKeyEnd + (this.op === ops.delete ? 0 : 1);
    return true;
  }
}

function merged(inputs: readonly RunCursor[], base: boolean): SliceDescriptor[] {
  const options = { base, lastTimestamp: 9, rules: [], groupBits: 7 };
  return slicesOf(new MergeIterator(inputs, options), SLICE_BYTES);
}

test.each([
  ['one key with a million sub-keys', true, 1_000_000],
  ['a hundred thousand keys of one hash', false, 100_000],
])(
  '%s: merged with deletes and operands, and every lookup finds what is left',
  (_, subKeys, count) => {
    const all = { step: 1, lsn: 1, op: ops.put, subKeys, value: 5 };
    const gone = { step: 1000, lsn: 2, op: ops.delete, subKeys, value: 0 };
    const low = { step: 7, lsn: 3, op: ops.merge, operator: operatorIds.min, subKeys, value: 3 };
    const base = merged([new NumberCursor(count, all)], true);
    const deltas = [gone, low].map((shape) => merged([new NumberCursor(count, shape)], false));
    const whole = merged([base, ...deltas].map(slicesCursor), true);
    const left = (number: number): number => {
      if (number % 7 === 0) return 3;
      return number % 1000 === 0 ? -1 : 5;
    };
    const expected = Array.from({ length: count }, (__, i) => i).filter((i) => left(i) > 0).length;
    expect(whole.reduce((sum, slice) => sum + slice.entryCount, 0)).toBe(expected);

    const options = { slabs: new SlabPool(0), groupBits: 7 };
    const chain = [...deltas.toReversed(), base].map((slices) => new Image(slices, options));
    const compacted = [new Image(whole, options)];
    const bytes = Buffer.alloc(8, 'k');
    const probe = new Entry();
    const fold = new PointFold();
    const keyEnd = subKeys ? 1 : NUMBER_BYTES;
    const end = subKeys ? 1 + NUMBER_BYTES : NUMBER_BYTES;
    for (let i = 0; i < 2000; i++) {
      const number = (i * 7919) % count;
      bytes.writeUInt32BE(number, end - NUMBER_BYTES);
      for (const images of [chain, compacted]) {
        const subKeyEnd = subKeys ? end : undefined;
        setProbe(probe, 16, HASH, { bytes, start: 0, end: keyEnd, subKeyEnd });
        fold.reset();
        for (const image of images) if (image.collect(probe, fold)) break;
        const found = fold.settle(9) ? fold.entry.bytes[fold.entry.subKeyEnd]! : -1;
        if (found !== left(number)) expect([number, found]).toEqual([number, left(number)]);
      }
    }
  },
);
