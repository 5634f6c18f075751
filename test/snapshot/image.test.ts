import { describe, expect, test } from 'vitest';
import { Entry } from '../../src/snapshot/entry.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { Image, setProbe } from '../../src/snapshot/image.ts';
import { PointFold } from '../../src/snapshot/point-fold.ts';
import type { RunCursor } from '../../src/snapshot/run-cursor.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { int64, put, toBytes, type Change } from './log-builder.ts';
import { runOf, slicesOf, type HashOf } from './runs.ts';

/** The first letter decides the key group of two bits: a, b, c, d. */
const hashOf: HashOf = (key) => (((key[0]! - 0x61) << 30) >>> 0) + (key[1] ?? 0);
const groupBits = 2;

function imageOf(changes: Change[], { slabs = new SlabPool(0), lsn = 1 } = {}): Image {
  const run = runOf([{ timestamp: lsn, changes }], lsn, { hashOf, groupBits });
  return new Image(slicesOf(run, 200), { slabs, groupBits });
}

function probeOf(table: number, key: string, subKey?: string): Entry {
  const bytes = toBytes(key + (subKey ?? ''));
  const end = toBytes(key).length;
  const subKeyEnd = subKey === undefined ? undefined : bytes.length;
  const probe = new Entry();
  setProbe(probe, table, hashOf(toBytes(key)), { bytes, start: 0, end, subKeyEnd });
  return probe;
}

function keysOf(cursor: RunCursor): string[] {
  const keys: string[] = [];
  while (cursor.next()) {
    const name = Buffer.from(cursor.bytes.slice(cursor.keyStart, cursor.subKeyEnd)).toString();
    keys.push(cursor.op >= ops.clearKey ? `${name}!` : name);
  }
  return keys;
}

const letters = ['a', 'b', 'c', 'd'];
const many = letters.flatMap((letter) =>
  Array.from({ length: 9 }, (_, i) => put(16, `${letter}${i}`, 'some value')),
);
const hot = Array.from({ length: 30 }, (_, i) =>
  put(17, 'b', '', { subKey: String(i).padStart(2, '0') }),
);
const clearTable = { table: 17, op: ops.clearTable, key: '' };
const clearKey = { table: 17, op: ops.clearKey, key: 'b' };

describe('finding', () => {
  const image = imageOf([...many, ...hot]);
  const found = new Entry();

  test('every key of every slice: found; other keys and tables: not', () => {
    expect(image.descriptors.length).toBeGreaterThan(9);
    for (const { table, key } of many) expect(image.find(probeOf(table, key), found)).toBe(true);
    for (const { key, subKey } of hot) {
      expect(image.find(probeOf(17, key, subKey as string), found)).toBe(true);
      expect(found.table).toBe(17);
    }
    expect(image.find(probeOf(16, 'e'), found)).toBe(false);
    expect(image.find(probeOf(17, 'b'), found)).toBe(false);
    expect(image.find(probeOf(18, 'a1'), found)).toBe(false);
  });

  test('counts: those of the slices', () => {
    expect(image.entryCount).toBe(66);
    expect(image.dataBytes).toBe(image.descriptors.reduce((sum, one) => sum + one.dataBytes, 0));
    expect(image.slabBytes).toBeGreaterThan(image.dataBytes);
  });
});

describe('clears', () => {
  test('no clears: none cover anything', () => {
    expect(imageOf(hot).clearLsn(probeOf(17, 'b', '00'))).toBe(0);
    expect(imageOf(hot).clearLsn(probeOf(99, 'b', '00'))).toBe(0);
  });

  test('a clear of a key: it covers that key only', () => {
    const image = imageOf([clearKey, ...hot], { lsn: 7 });
    expect(image.clearLsn(probeOf(17, 'b', '00'))).toBe(7);
    expect(image.clearLsn(probeOf(17, 'c', '00'))).toBe(0);
  });

  test('a clear of a table: it covers every key of it, from whatever slice', () => {
    const image = imageOf([clearTable, ...hot, ...many], { lsn: 7 });
    for (const letter of letters) expect(image.clearLsn(probeOf(17, `${letter}z`))).toBe(7);
    expect(image.clearLsn(probeOf(16, 'a1'))).toBe(0);
  });
});

describe('collecting', () => {
  const add = { table: 17, op: ops.merge, operator: operatorIds.add, key: 'b', value: int64(2) };
  const lookup = (newestFirst: Image[], probe: Entry, time = 100): bigint | undefined => {
    const fold = new PointFold();
    fold.reset();
    for (const image of newestFirst) if (image.collect(probe, fold)) break;
    if (!fold.settle(time)) return undefined;
    const { bytes, subKeyEnd } = fold.entry;
    return Buffer.from(bytes).readBigInt64LE(subKeyEnd);
  };

  test('operands over a put: they add up, and what is older than the put is not asked', () => {
    const layers = [
      imageOf([add], { lsn: 4 }),
      imageOf([add], { lsn: 3 }),
      imageOf([put(17, 'b', '', { value: int64(10) })], { lsn: 2 }),
      imageOf([add], { lsn: 1 }),
    ];
    expect(lookup(layers, probeOf(17, 'b'))).toBe(14n);
  });

  test('operands over a clear in another layer: they start from the identity', () => {
    const old = imageOf([put(17, 'b', '', { value: int64(10) })], { lsn: 1 });
    expect(
      lookup([imageOf([add], { lsn: 3 }), imageOf([clearKey], { lsn: 2 }), old], probeOf(17, 'b')),
    ).toBe(2n);
    expect(
      lookup(
        [imageOf([add], { lsn: 3 }), imageOf([clearTable], { lsn: 2 }), old],
        probeOf(17, 'b'),
      ),
    ).toBe(2n);
    expect(lookup([imageOf([clearTable], { lsn: 2 }), old], probeOf(17, 'b'))).toBeUndefined();
  });

  test('E5 a put and a clear of one commit: the put counts', () => {
    const image = imageOf([clearKey, put(17, 'b', '', { value: int64(3) })], { lsn: 5 });
    expect(lookup([image], probeOf(17, 'b'))).toBe(3n);
  });

  test('nothing anywhere, or only an expired put: nothing', () => {
    expect(lookup([imageOf(many)], probeOf(17, 'b'))).toBeUndefined();
    const image = imageOf([put(17, 'b', '', { value: int64(3), expiry: 50 })]);
    expect(lookup([image], probeOf(17, 'b'), 49)).toBe(3n);
    expect(lookup([image], probeOf(17, 'b'), 50)).toBeUndefined();
  });
});

describe('cursors', () => {
  test('everything: in order of table and hash', () => {
    const keys = keysOf(imageOf([...many, clearTable]).cursor());
    expect(keys).toEqual([...many.map((change) => change.key), '!', '!', '!', '!']);
  });

  test('a range of hashes: its entries only, across slices', () => {
    const range = { table: 16, firstHash: 2 ** 30, lastHash: 3 * 2 ** 30 - 1 };
    const expected = many.map((change) => change.key).filter((key) => 'bc'.includes(key[0]!));
    expect(keysOf(imageOf(many).cursor(range))).toEqual(expected);
    expect(keysOf(imageOf(many).cursor({ table: 99 }))).toEqual([]);
  });

  test('a range that starts inside a key group: the clear of the table comes with it', () => {
    const image = imageOf([clearTable, ...hot, put(17, 'b5', ''), put(17, 'b7', '')]);
    const firstHash = hashOf(toBytes('b6'));
    expect(keysOf(image.cursor({ table: 17, firstHash, lastHash: firstHash + 5 }))).toEqual([
      '!',
      'b7',
    ]);
    const group = { table: 17, firstHash: 2 ** 30, lastHash: 2 ** 31 - 1 };
    expect(keysOf(image.cursor(group))[0]).toBe('!');
    expect(keysOf(image.cursor(group)).filter((key) => key === '!')).toHaveLength(1);
  });

  test('one key: its entries and the clears that cover it', () => {
    const image = imageOf([clearTable, clearKey, ...hot, put(17, 'bb', '')]);
    const expected = ['!', 'b!', ...hot.map((change) => `b${change.subKey as string}`)];
    expect(keysOf(image.keyCursor(probeOf(17, 'b')))).toEqual(expected);
    expect(keysOf(image.keyCursor(probeOf(17, 'c')))).toEqual(['!']);
    expect(keysOf(image.keyCursor(probeOf(18, 'c')))).toEqual([]);
    expect(keysOf(imageOf(hot).keyCursor(probeOf(17, 'a')))).toEqual([]);
  });
});

describe('references', () => {
  test('retained twice: the slabs go back at the last release', () => {
    const slabs = new SlabPool(1 << 20);
    const image = imageOf(many, { slabs });
    image.retain();
    image.release();
    expect(slabs.idleBytes).toBe(0);
    image.release();
    expect(slabs.idleBytes).toBe(image.slabBytes);
    expect(() => image.release()).toThrow('released once too often');
    expect(() => image.retain()).toThrow('after its last release');
  });
});
