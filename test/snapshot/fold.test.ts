import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/snapshot/entry.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { foldNewer, foldOlder, settleInBase, settleInDelta } from '../../src/snapshot/fold.ts';
import { FoldScratch, sumOverflows } from '../../src/snapshot/operators.ts';
import { int64, toBytes, type Change } from './log-builder.ts';
import { decodeValue, encodeValue, hex } from './model.ts';
import { entryOf } from './runs.ts';
import { patchOfObject } from '../../src/snapshot/patch.ts';

const entry = (change: Omit<Partial<Change>, 'op'> & { op: number }, timestamp: number): Entry =>
  entryOf({ table: 17, key: 'k', subKey: 's', ...change }, timestamp, timestamp, 9);
const add = (value: number, timestamp: number, expiry = 0): Entry =>
  entry({ op: ops.merge, operator: operatorIds.add, value: int64(value), expiry }, timestamp);
const chunk = (count: number, content: string, timestamp: number): Entry =>
  entry(
    {
      op: ops.merge,
      operator: operatorIds.chunk,
      value: Buffer.concat([int64(count), toBytes(content)]),
    },
    timestamp,
  );
const plain = (value: string | Uint8Array, timestamp: number, expiry = 0): Entry =>
  entry({ op: ops.put, value, expiry }, timestamp);
const gone = (timestamp: number): Entry => entry({ op: ops.delete }, timestamp);

const valueOf = (of: Entry): Buffer => Buffer.from(of.bytes.slice(of.subKeyEnd, of.valueEnd));
const summary = (of: Entry): object => ({
  op: of.op,
  operator: of.operator,
  lsn: of.lsn,
  timestamp: of.timestamp,
  expiry: of.expiry,
  firstTimestamp: of.firstTimestamp,
  count: Number(valueOf(of).readBigInt64LE(0)),
  content: valueOf(of).toString('latin1', 8),
});

/** Folds both ways, which have to agree. */
function fold(older: () => Entry, newer: () => Entry): Entry {
  const up = older();
  foldNewer(up, newer(), new FoldScratch());
  const down = newer();
  foldOlder(older(), down, new FoldScratch());
  expect(summary(down)).toEqual(summary(up));
  expect(Buffer.from(up.bytes.slice(up.keyStart, up.subKeyEnd)).toString()).toBe('ks');
  return up;
}

describe('an operand', () => {
  test('over an operand: both fold, the first timestamp and the last times stay', () => {
    expect(
      summary(
        fold(
          () => add(2, 10, 30),
          () => add(3, 20, 40),
        ),
      ),
    ).toEqual({
      op: ops.merge,
      operator: operatorIds.add,
      lsn: 20,
      timestamp: 20,
      expiry: 40,
      firstTimestamp: 10,
      count: 5,
      content: '',
    });
  });

  test('over a folded operand: the oldest timestamp stays', () => {
    const folded = fold(
      () => add(2, 10),
      () => add(3, 20),
    );
    foldNewer(folded, add(4, 30), new FoldScratch());
    expect(summary(folded)).toMatchObject({ firstTimestamp: 10, timestamp: 30, count: 9 });
  });

  test('at the very time the operand before it expires: it starts from the identity', () => {
    const folded = fold(
      () => add(2, 10, 20),
      () => add(3, 20),
    );
    expect(summary(folded)).toMatchObject({
      op: ops.put,
      operator: 1,
      count: 3,
      firstTimestamp: 0,
    });
  });

  test('a moment before the value expires: it adds', () => {
    const folded = fold(
      () => plain(int64(2), 10, 21),
      () => add(3, 20),
    );
    expect(summary(folded)).toMatchObject({ op: ops.put, operator: 1, count: 5, expiry: 0 });
  });

  test('folded of two, of which the first met a live value: judged by the first timestamp', () => {
    const newer = (): Entry =>
      fold(
        () => add(1, 20),
        () => add(1, 40),
      );
    expect(summary(fold(() => plain(int64(7), 10, 30), newer))).toMatchObject({ count: 9 });
  });

  test('over a tombstone: it starts from the identity', () => {
    const folded = gone(10);
    foldNewer(folded, add(3, 20), new FoldScratch());
    expect(summary(folded)).toMatchObject({ op: ops.put, count: 3 });
    const down = add(3, 20);
    foldOlder(gone(10), down, new FoldScratch());
    expect(summary(down)).toMatchObject({ op: ops.put, count: 3 });
  });

  test('E3 a sum past the safe integers: exact; past 64 bits: refused with its key, never wrapped', () => {
    const big = fold(
      () => add(Number.MAX_SAFE_INTEGER, 1),
      () => add(Number.MAX_SAFE_INTEGER, 2),
    );
    expect(valueOf(big).readBigInt64LE(0)).toBe(2n * BigInt(Number.MAX_SAFE_INTEGER));
    const full = entry(
      { op: ops.merge, operator: operatorIds.add, value: int64(0x7fff_ffff_ffff_ffffn) },
      1,
    );
    expect([sumOverflows(full, add(1, 2)), sumOverflows(full, add(-1, 2))]).toEqual([true, false]);
    expect(sumOverflows(add(-1, 1), add(1, 2))).toBe(false);
    const least = entry(
      { op: ops.merge, operator: operatorIds.add, value: int64(-0x8000_0000_0000_0000n) },
      1,
    );
    expect([sumOverflows(least, add(-1, 2)), sumOverflows(least, add(0, 2))]).toEqual([
      true,
      false,
    ]);
    expect(() => foldNewer(full, add(1, 2), new FoldScratch())).toThrow(
      expect.objectContaining({
        code: 'BROKEN_CHAIN',
        details: expect.objectContaining({ key: '6b' }),
      }),
    );
  });

  test('of a chunk: counts add, the content comes from whichever has it', () => {
    const long = 'content '.repeat(100);
    expect(
      summary(
        fold(
          () => chunk(1, long, 1),
          () => chunk(1, '', 2),
        ),
      ),
    ).toMatchObject({
      count: 2,
      content: long,
    });
    expect(
      summary(
        fold(
          () => chunk(-1, '', 1),
          () => chunk(2, long, 2),
        ),
      ),
    ).toMatchObject({
      count: 1,
      content: long,
    });
  });

  test('a long run in one scratch: every fold finds what the one before left', () => {
    const scratch = new FoldScratch();
    const into = chunk(1, '', 1);
    for (let i = 2; i <= 50; i++) foldNewer(into, chunk(1, i === 20 ? 'abc' : '', i), scratch);
    expect(summary(into)).toMatchObject({ count: 50, content: 'abc', firstTimestamp: 1 });
  });
});

describe('min and max', () => {
  const extreme = (operator: number, value: unknown, timestamp: number, expiry = 0): Entry =>
    entry({ op: ops.merge, operator, value: encodeValue(value), expiry }, timestamp);
  const bytesOf = (of: Entry): string => hex(valueOf(of));

  /** Folds both ways; returns what is left for min and for max. */
  function both(older: unknown, newer: unknown): unknown[] {
    return [operatorIds.min, operatorIds.max].map((operator) => {
      const up = extreme(operator, older, 1);
      foldNewer(up, extreme(operator, newer, 2), new FoldScratch());
      const down = extreme(operator, newer, 2);
      foldOlder(extreme(operator, older, 1), down, new FoldScratch());
      expect(bytesOf(down)).toBe(bytesOf(up));
      expect(up).toMatchObject({
        op: ops.merge,
        operator,
        lsn: 2,
        timestamp: 2,
        firstTimestamp: 1,
      });
      expect(Buffer.from(up.bytes.slice(up.keyStart, up.subKeyEnd)).toString()).toBe('ks');
      return decodeValue(valueOf(up));
    });
  }

  test.each<[unknown, unknown, unknown, unknown]>([
    [1, 2, 1, 2],
    [-5, 3n, -5, 3n],
    [2n ** 53n + 1n, 2 ** 53, 2 ** 53, 2n ** 53n + 1n],
    [-(2n ** 80n), -1e24, -(2n ** 80n), -1e24],
    [0.5, 0n, 0n, 0.5],
    [1e300, 2n ** 2000n, 1e300, 2n ** 2000n],
    // Equal: the older stays, whichever type it has.
    [1, 1n, 1, 1],
    [1n, 1, 1n, 1n],
    [0, -0, 0, 0],
    [-0, 0n, -0, -0],
  ])('of %s and then %s: %s and %s', (older, newer, low, high) => {
    expect(both(older, newer)).toEqual([low, high]);
  });

  test('over a put, over nothing, over what had expired', () => {
    const up = plain(encodeValue(3), 1);
    foldNewer(up, extreme(operatorIds.min, 5, 2), new FoldScratch());
    expect([up.op, up.operator, decodeValue(valueOf(up))]).toEqual([ops.put, operatorIds.min, 3]);
    foldNewer(up, extreme(operatorIds.min, 2, 3, 10), new FoldScratch());
    expect([up.expiry, decodeValue(valueOf(up))]).toEqual([10, 2]);
    foldNewer(up, extreme(operatorIds.min, 9, 10), new FoldScratch());
    expect([up.op, up.expiry, decodeValue(valueOf(up))]).toEqual([ops.put, 0, 9]);
    const none = gone(1);
    foldNewer(none, extreme(operatorIds.max, 4n, 2), new FoldScratch());
    expect([none.op, none.firstTimestamp, decodeValue(valueOf(none))]).toEqual([ops.put, 0, 4n]);
  });

  test.each([
    ['text', encodeValue('1')],
    ['NaN', encodeValue(Number.NaN)],
    ['nothing', new Uint8Array(0)],
    ['half a number', Uint8Array.of(0xcb, 0, 0)],
  ])('%s for a number: BROKEN_CHAIN', (_, value) => {
    const bad = (): Entry => entry({ op: ops.merge, operator: operatorIds.max, value }, 2);
    const error = expect.objectContaining({ code: 'BROKEN_CHAIN' });
    expect(() => foldNewer(extreme(operatorIds.max, 1, 1), bad(), new FoldScratch())).toThrow(
      error,
    );
    expect(() => foldNewer(gone(1), bad(), new FoldScratch())).toThrow(error);
  });
});

describe('a patch', () => {
  const patch = (object: object, timestamp: number, expiry = 0): Entry => {
    const value = patchOfObject(encodeValue(object));
    return entry({ op: ops.merge, operator: operatorIds.patch, value, expiry }, timestamp);
  };

  test('over a put: a value, with the times of the patch', () => {
    const value = fold2(
      () => plain(encodeValue({ b: 1, a: 1 }), 1),
      () => patch({ b: null, c: 1 }, 2, 9),
    );
    expect(value).toMatchObject({ op: ops.put, operator: operatorIds.patch, lsn: 2, expiry: 9 });
    expect(decodeValue(valueOf(value))).toEqual({ a: 1, c: 1 });
  });

  test('over a patch, then settled in a base: what is deleted is kept until then', () => {
    const folded = fold2(
      () => patch({ a: null, b: 1 }, 1),
      () => patch({ a: { c: null, d: 1 } }, 2),
    );
    expect(folded).toMatchObject({ op: ops.merge, firstTimestamp: 1 });
    expect(hex(valueOf(folded))).toBe('82a161c181a16401a16201');
    expect(settleInBase(folded, 5)).toBe(true);
    expect(decodeValue(valueOf(folded))).toEqual({ a: { d: 1 }, b: 1 });
    expect(folded).toMatchObject({ op: ops.put, operator: operatorIds.patch, firstTimestamp: 0 });
  });

  test('over what had expired, or was deleted: as over nothing', () => {
    for (const older of [() => plain(encodeValue({ x: 1 }), 1, 2), () => patch({ x: 1 }, 1, 2)]) {
      const folded = fold2(older, () => patch({ a: { b: null } }, 2));
      expect([folded.op, decodeValue(valueOf(folded))]).toEqual([ops.put, { a: {} }]);
    }
    const none = gone(1);
    foldNewer(none, patch({ a: null, b: 2 }, 2), new FoldScratch());
    expect([none.op, decodeValue(valueOf(none))]).toEqual([ops.put, { b: 2 }]);
  });

  test('bytes that are no patch: BROKEN_CHAIN, with the reason as its cause', () => {
    const bad = (): Entry =>
      entry({ op: ops.merge, operator: operatorIds.patch, value: encodeValue(1) }, 2);
    const error = expect.objectContaining({
      code: 'BROKEN_CHAIN',
      cause: expect.objectContaining({ message: expect.stringContaining('is no object') }),
    });
    for (const older of [plain(encodeValue({}), 1), patch({}, 1), gone(1)]) {
      expect(() => foldNewer(older, bad(), new FoldScratch())).toThrow(error);
    }
  });

  function fold2(older: () => Entry, newer: () => Entry): Entry {
    const up = older();
    foldNewer(up, newer(), new FoldScratch());
    const down = newer();
    foldOlder(older(), down, new FoldScratch());
    expect(hex(valueOf(down))).toBe(hex(valueOf(up)));
    expect(down).toMatchObject({
      op: up.op,
      operator: up.operator,
      lsn: up.lsn,
      expiry: up.expiry,
    });
    expect(Buffer.from(down.bytes.slice(down.keyStart, down.subKeyEnd)).toString()).toBe('ks');
    return up;
  }
});

describe('a put or a delete', () => {
  test('over anything: the newer stays', () => {
    for (const older of [plain('old', 1, 2), gone(1), add(1, 1)]) {
      foldNewer(older, plain('new', 2), new FoldScratch());
      expect(valueOf(older).toString()).toBe('new');
      foldNewer(older, gone(3), new FoldScratch());
      expect(older).toMatchObject({ op: ops.delete, lsn: 3 });
    }
  });

  test('with something older under it: nothing changes', () => {
    const newer = plain('new', 2);
    foldOlder(plain('old', 1), newer, new FoldScratch());
    expect(valueOf(newer).toString()).toBe('new');
  });
});

describe('what cannot be folded', () => {
  const broken = (older: Entry, newer: Entry): unknown => {
    try {
      foldNewer(older, newer, new FoldScratch());
      return undefined;
    } catch (error) {
      return error;
    }
  };

  test('operands of two operators: BROKEN_CHAIN names the table and both', () => {
    const details = { table: 17, lsn: 2, expected: 'chunk', actual: 'add' };
    expect(broken(chunk(1, '', 1), add(1, 2))).toMatchObject({ code: 'BROKEN_CHAIN', details });
  });

  test('a put made of operands under another operator: BROKEN_CHAIN', () => {
    const counter = gone(1);
    foldNewer(counter, add(1, 2), new FoldScratch());
    const error = broken(counter, chunk(1, '', 3));
    expect(error).toMatchObject({ code: 'BROKEN_CHAIN', details: { expected: 'add' } });
  });

  test.each([
    ['a value that is no integer', () => plain('no', 1), () => add(1, 2)],
    ['a value too short for a chunk', () => plain('no', 1), () => chunk(1, 'x', 2)],
    [
      'an add operand of 9 bytes',
      () => add(1, 1),
      () => entry({ op: ops.merge, operator: 1, value: new Uint8Array(9) }, 2),
    ],
    [
      'a chunk operand of 7 bytes on nothing',
      () => gone(1),
      () => entry({ op: ops.merge, operator: 2, value: new Uint8Array(7) }, 2),
    ],
    [
      'an operator that is not known',
      () => gone(1),
      () => entry({ op: ops.merge, operator: 9, value: int64(1) }, 2),
    ],
  ])('%s: BROKEN_CHAIN', (_, older, newer) => {
    expect(broken(older(), newer())).toMatchObject({ code: 'BROKEN_CHAIN', kind: 'corrupt' });
  });
});

describe('what is left', () => {
  test('a put that has expired: a tombstone without value in a delta, nothing in a base', () => {
    const expired = plain('v', 5, 10);
    settleInDelta(expired, 10);
    expect(expired).toMatchObject({ op: ops.delete, lsn: 5, timestamp: 5, expiry: 0, operator: 0 });
    expect(valueOf(expired)).toHaveLength(0);
    expect(settleInBase(plain('v', 5, 10), 10)).toBe(false);
    expect(settleInBase(plain('v', 5, 11), 10)).toBe(true);
  });

  test('an operand that has expired: a tombstone, since it hid what is older while it lived', () => {
    const folded = fold(
      () => add(1, 4),
      () => add(1, 5, 10),
    );
    settleInDelta(folded, 10);
    expect(folded).toMatchObject({ op: ops.delete, operator: 0, firstTimestamp: 0, expiry: 0 });
  });

  test('an operand on nothing: it stays in a delta and is a put in a base', () => {
    const operand = fold(
      () => add(1, 4),
      () => add(1, 5),
    );
    settleInDelta(operand, 10);
    expect(operand).toMatchObject({ op: ops.merge, firstTimestamp: 4 });
    expect(settleInBase(operand, 10)).toBe(true);
    expect(summary(operand)).toMatchObject({
      op: ops.put,
      operator: 1,
      firstTimestamp: 0,
      count: 2,
    });
  });

  test('tombstones and clears: only a delta keeps them', () => {
    for (const op of [ops.delete, ops.clearKey, ops.clearTable]) {
      const kept = entry({ op }, 1);
      settleInDelta(kept, 10);
      expect(kept.op).toBe(op);
      expect(settleInBase(kept, 10)).toBe(false);
    }
  });

  test('a chunk that nothing refers to: a base drops it, whatever its content', () => {
    expect(settleInBase(chunk(0, 'x', 1), 1)).toBe(false);
    expect(settleInBase(chunk(-1, 'x', 1), 1)).toBe(false);
    expect(settleInBase(chunk(1, 'x', 1), 1)).toBe(true);
    expect(settleInBase(chunk(2 ** 32, 'x', 1), 1)).toBe(true);
  });
});
