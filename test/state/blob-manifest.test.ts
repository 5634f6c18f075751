/*
 * What stands in place of a blob: anything but a length and whole digests that can make it is damage.
 */
import { describe, expect, test } from 'vitest';
import { CorruptionError } from '../../src/errors.ts';
import { decodeSubKey } from '../../src/recovery/moment-tables.ts';
import { Entry } from '../../src/snapshot/entry.ts';
import { readManifest } from '../../src/state/blob-manifest.ts';
import { decodeInt64, encodeInt64 } from '../../src/state/operand-changes.ts';
import { writeU64 } from '../../src/std/bytes.ts';

function manifest(length: number, chunkCount: number): Uint8Array {
  const bytes = new Uint8Array(8 + chunkCount * 32).fill(0xab, 8);
  writeU64(bytes, 0, length);
  return bytes;
}

function read(bytes: Uint8Array): ReturnType<typeof readManifest> {
  return readManifest(bytes, 0, bytes.length);
}

describe('the list of chunks of a blob', () => {
  test('lengths that its chunks can make: read', () => {
    expect(read(manifest(0, 0))).toEqual({ bytes: 0, chunks: [] });
    expect(read(manifest(1, 1))).toEqual({ bytes: 1, chunks: ['ab'.repeat(32)] });
    expect(read(manifest(131_072, 2)).chunks).toHaveLength(2);
  });

  test.each<[string, Uint8Array]>([
    ['no length', new Uint8Array(7)],
    ['a digest that is cut short', manifest(10, 2).subarray(0, 71)],
    ['a length without chunks', manifest(1, 0)],
    ['chunks without a length', manifest(0, 1)],
    ['a length that its chunks cannot make', manifest(65_537, 1)],
    ['a length that no memory has', manifest(2 ** 52, 1)],
    ['a length above what is exact', new Uint8Array(40).fill(0xff)],
  ])('%s: CORRUPT_SNAPSHOT', (_, bytes) => {
    expect(() => read(bytes)).toThrow(CorruptionError);
  });
});

describe('a stored count', () => {
  test('eight bytes: the number; fewer, or behind the end of the bytes: CORRUPT_SNAPSHOT', () => {
    const bytes = Buffer.concat([encodeInt64(-7n), Uint8Array.of(1, 2)]);
    expect(decodeInt64(bytes, 0, 8)).toBe(-7n);
    expect(() => decodeInt64(bytes, 0, 7)).toThrow(CorruptionError);
    expect(() => decodeInt64(bytes, 3, 11)).toThrow(CorruptionError);
  });
});

describe('the place of an item of a list', () => {
  test('twelve bytes: LSN and place; others: CORRUPT_SNAPSHOT', () => {
    const entry = new Entry();
    entry.bytes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 9);
    entry.subKeyEnd = 12;
    expect(decodeSubKey({ kind: 'list' }, entry)).toEqual([5, 2]);
    for (const end of [0, 11, 13]) {
      entry.subKeyEnd = end;
      expect(() => decodeSubKey({ kind: 'list' }, entry)).toThrow(CorruptionError);
    }
  });
});
