import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import { TidemarkError } from '../../src/errors.ts';
import {
  decodeSnapshotFooter,
  encodeSnapshotFooter,
  sliceEnd,
  tableTotals,
  type SliceRecord,
  type SnapshotFooter,
} from '../../src/snapshot/snapshot-footer.ts';
import {
  blockSizes,
  decodeBlockTable,
  decodeSnapshotHeader,
  decodeSnapshotTrailer,
  encodeBlockTable,
  encodeSnapshotHeader,
  encodeSnapshotTrailer,
  snapshotHeaderBytes,
  type SnapshotHeader,
} from '../../src/snapshot/snapshot-format.ts';
import { bucketsOf } from '../../src/snapshot/slice.ts';
import { writeU16, writeU32, writeU64 } from '../../src/std/bytes.ts';

const header: SnapshotHeader = {
  storeId: Uint8Array.from({ length: 16 }, (_, i) => i),
  timeline: 3,
  epoch: 2 ** 40,
  kind: 'delta',
  fromLsn: 10,
  lastLsn: 2 ** 45,
  lastTimestamp: 1_700_000_000_000_000,
  seed: { low: 0xffff_ffff, high: 1 },
  groupBits: 7,
};

/** The error of a call that must throw one of ours. */
function errorOf(call: () => unknown): TidemarkError {
  try {
    call();
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const place = { path: '/s', offset: 0 };
const sealHeader = (bytes: Uint8Array): void => writeU32(bytes, 124, checksum(bytes, 0, 124));

describe('header', () => {
  test.each([header, { ...header, kind: 'base', fromLsn: 0, groupBits: 0 } as const])(
    'encoded and decoded: the same (%#)',
    (one) => {
      expect(decodeSnapshotHeader(encodeSnapshotHeader(one), place)).toEqual(one);
    },
  );

  test.each<[string, (bytes: Uint8Array) => void, string]>([
    ['another magic', (bytes) => void (bytes[0] = 0), 'has no magic'],
    ['reserved bytes in the middle', (bytes) => void (bytes[28] = 1), 'reserved bits'],
    ['reserved bytes at the end', (bytes) => void (bytes[123] = 1), 'reserved bits'],
    ['kind 0', (bytes) => void (bytes[6] = 0), 'has kind 0'],
    ['kind 3', (bytes) => void (bytes[6] = 3), 'has kind 3'],
    ['17 group bits', (bytes) => void (bytes[7] = 17), 'out of range'],
    ['an epoch above 2^53', (bytes) => void (bytes[39] = 1), 'out of range'],
    ['a base that starts above 0', (bytes) => void (bytes[6] = 1), 'out of range'],
    ['an end before the start', (bytes) => writeU64(bytes, 48, 9), 'out of range'],
  ])('%s: CORRUPT_SNAPSHOT', (_, damage, message) => {
    const bytes = encodeSnapshotHeader(header);
    damage(bytes);
    sealHeader(bytes);
    const error = errorOf(() => decodeSnapshotHeader(bytes, { path: '/s', offset: 5 }));
    expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details: { path: '/s', offset: 5 } });
    expect(error.message).toContain(message);
  });

  test('cut short, or a flipped bit: CORRUPT_SNAPSHOT with both figures', () => {
    const bytes = encodeSnapshotHeader(header);
    expect(errorOf(() => decodeSnapshotHeader(bytes.subarray(0, 127), place))).toMatchObject({
      code: 'CORRUPT_SNAPSHOT',
      details: { expected: 128, actual: 127 },
    });
    bytes[50]! ^= 1;
    expect(errorOf(() => decodeSnapshotHeader(bytes, place))).toMatchObject({
      code: 'CORRUPT_SNAPSHOT',
      details: { expected: expect.any(Number), actual: expect.any(Number) },
    });
  });

  test('a newer version: UNSUPPORTED_FORMAT', () => {
    const bytes = encodeSnapshotHeader(header);
    writeU16(bytes, 4, 2);
    sealHeader(bytes);
    const details = { version: 2, supported: 1, path: '/s' };
    const error = errorOf(() => decodeSnapshotHeader(bytes, place));
    expect(error).toMatchObject({ code: 'UNSUPPORTED_FORMAT', details });
  });
});

describe('trailer', () => {
  const trailer = { footerBytes: 200, footerCrc: 0xdead_beef, fileBytes: 1000 };
  const seal = (bytes: Uint8Array): void => writeU32(bytes, 24, checksum(bytes, 0, 24));

  test('encoded and decoded: the same', () => {
    expect(decodeSnapshotTrailer(encodeSnapshotTrailer(trailer), 1000, '/s')).toEqual(trailer);
  });

  test.each<[string, (bytes: Uint8Array) => void, string]>([
    ['another magic', (bytes) => void (bytes[28] = 0), 'does not end with its magic'],
    ['reserved bytes', (bytes) => void (bytes[20] = 1), 'reserved bits'],
    ['another size', (bytes) => writeU64(bytes, 8, 999), 'another size than its trailer says'],
    ['a footer that does not fit', (bytes) => writeU32(bytes, 0, 841), 'does not fit'],
  ])('%s: CORRUPT_SNAPSHOT', (_, damage, message) => {
    const bytes = encodeSnapshotTrailer(trailer);
    damage(bytes);
    seal(bytes);
    const error = errorOf(() => decodeSnapshotTrailer(bytes, 1000, '/s'));
    expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details: { path: '/s', offset: 968 } });
    expect(error.message).toContain(message);
  });

  test('cut short, or a flipped bit: CORRUPT_SNAPSHOT with both figures', () => {
    const bytes = encodeSnapshotTrailer(trailer);
    expect(errorOf(() => decodeSnapshotTrailer(bytes.subarray(1), 31, '/s'))).toMatchObject({
      details: { expected: 32, actual: 31, offset: 0 },
    });
    bytes[3]! ^= 1;
    const error = errorOf(() => decodeSnapshotTrailer(bytes, 1000, '/s'));
    expect(error.message).toContain('fails its checksum');
  });

  test('a newer version: UNSUPPORTED_FORMAT', () => {
    const bytes = encodeSnapshotTrailer(trailer);
    writeU16(bytes, 16, 9);
    seal(bytes);
    expect(errorOf(() => decodeSnapshotTrailer(bytes, 1000, '/s')).code).toBe('UNSUPPORTED_FORMAT');
  });
});

describe('block table', () => {
  const blocks = [
    { storedBytes: 65_536, crc: 1, codec: 0 },
    { storedBytes: 10, crc: 0xffff_ffff, codec: 1 },
  ];
  const sizes = [65_536, 40];
  const decode = (bytes: Uint8Array, stored = 65_546): unknown =>
    decodeBlockTable(bytes, sizes, stored, place);

  test('encoded and decoded: the same', () => {
    expect(decode(encodeBlockTable(blocks))).toEqual(blocks);
  });

  test.each<[string, (bytes: Uint8Array) => void, string]>([
    ['reserved bytes', (bytes) => void (bytes[11] = 1), 'block 0 has reserved bits set'],
    ['a raw block of another size', (bytes) => writeU32(bytes, 0, 65_535), 'a size that it cannot'],
    ['a compressed block of no size', (bytes) => writeU32(bytes, 12, 0), 'a size that it cannot'],
    ['a compressed block that is larger', (bytes) => writeU32(bytes, 12, 40), 'a size that it'],
    ['a sum that is another', (bytes) => writeU32(bytes, 12, 11), 'does not add up'],
  ])('%s: CORRUPT_SNAPSHOT', (_, damage, message) => {
    const bytes = encodeBlockTable(blocks);
    damage(bytes);
    const error = errorOf(() => decode(bytes));
    expect(error.code).toBe('CORRUPT_SNAPSHOT');
    expect(error.message).toContain(message);
  });

  test('cut short: CORRUPT_SNAPSHOT with both figures', () => {
    const error = errorOf(() => decode(encodeBlockTable(blocks).subarray(1)));
    expect(error.details).toMatchObject({ expected: 24, actual: 23 });
  });

  test('sizes before compression: both parts are cut on their own', () => {
    expect(blockSizes(65_536, 5)).toEqual([65_536, 5]);
    expect(blockSizes(65_537, 131_072)).toEqual([65_536, 1, 65_536, 65_536]);
  });
});

describe('footer', () => {
  const slice = (offset: number, more: Partial<SliceRecord> & { table: number }): SliceRecord => {
    const { firstHash = 5, lastHash = 9, entryCount = 3 } = more;
    return {
      firstHash,
      lastHash,
      entryCount,
      dataBytes: 150,
      ...bucketsOf(entryCount, firstHash, lastHash),
      hasKeyClears: false,
      hasTableClears: false,
      offset,
      storedBytes: 100,
      tableCrc: 7,
      ...more,
    };
  };
  const first = slice(snapshotHeaderBytes, { table: 3, hasKeyClears: true });
  const second = slice(sliceEnd(first), { table: 16, hasTableClears: true });
  const third = slice(sliceEnd(second), { table: 16, firstHash: 9, lastHash: 9 });
  const slices = [first, second, third];
  const parents = ['0f'.repeat(32), 'a5'.repeat(32)];
  const footerOf = (list: SliceRecord[]): SnapshotFooter => ({
    header,
    slices: list,
    tables: tableTotals(list),
    parents,
    ownCodecs: ['own', 'an.other-1'],
  });
  const footer = footerOf(slices);
  const end = { path: '/s', offset: sliceEnd(third) };
  const decode = (bytes: Uint8Array): SnapshotFooter => decodeSnapshotFooter(bytes, end);

  test('encoded and decoded: the same', () => {
    expect(decode(encodeSnapshotFooter(footer))).toEqual(footer);
    expect(footer.tables).toEqual([
      { table: 3, sliceCount: 1, entryCount: 3, dataBytes: 150 },
      { table: 16, sliceCount: 2, entryCount: 6, dataBytes: 300 },
    ]);
  });

  test('no slices at all: the footer follows the header', () => {
    const empty = footerOf([]);
    const bytes = encodeSnapshotFooter(empty);
    expect(decodeSnapshotFooter(bytes, { path: '/s', offset: 128 })).toEqual(empty);
  });

  const sliceAt = (index: number, field: number): number => 152 + index * 56 + field;
  const tablesAt = sliceAt(3, 0);
  const namesAt = tablesAt + 2 * 24 + 2 * 32;

  test.each<[string, (bytes: Uint8Array) => void, string]>([
    ['a bad header', (bytes) => void (bytes[9]! ^= 1), 'header fails its checksum'],
    ['more slices than fit', (bytes) => writeU32(bytes, 128, 4), 'its counts say'],
    ['more parents than fit', (bytes) => writeU32(bytes, 136, 3), 'its counts say'],
    ['more codecs than fit', (bytes) => writeU32(bytes, 144, 3), 'its counts say'],
    ['fewer codecs than stand there', (bytes) => writeU32(bytes, 144, 1), 'its counts say'],
    ['more codecs than a file has', (bytes) => writeU32(bytes, 144, 129), 'its counts say'],
    ['a codec without a name', (bytes) => void (bytes[namesAt] = 0), 'its counts say'],
    ['a name that is too long', (bytes) => void (bytes[namesAt + 4] = 11), 'its counts say'],
    ['the field behind the codecs', (bytes) => writeU32(bytes, 148, 1), 'reserved bits'],
    ['no flag of chunks', (bytes) => writeU32(bytes, 140, 0), 'other tables'],
    ['an unknown flag', (bytes) => writeU32(bytes, 140, 3), 'other tables'],
    ['slice flags', (bytes) => writeU32(bytes, sliceAt(0, 4), 4), 'reserved bits'],
    ['slice padding', (bytes) => void (bytes[sliceAt(0, 30)] = 1), 'reserved bits'],
    ['the end of a slice', (bytes) => void (bytes[sliceAt(0, 52)] = 1), 'reserved bits'],
    ['no entries', (bytes) => writeU32(bytes, sliceAt(0, 16), 0), 'cannot be'],
    ['too few bytes', (bytes) => writeU32(bytes, sliceAt(0, 20), 95), 'cannot be'],
    ['too many bytes', (bytes) => writeU32(bytes, sliceAt(0, 20), 2 ** 30 + 1), 'cannot be'],
    ['hashes reversed', (bytes) => writeU32(bytes, sliceAt(0, 8), 10), 'cannot be'],
    ['another bucket count', (bytes) => writeU32(bytes, sliceAt(0, 24), 2), 'another directory'],
    ['another bucket shift', (bytes) => void (bytes[sliceAt(0, 28)] = 9), 'another directory'],
    ['a slice out of place', (bytes) => writeU64(bytes, sliceAt(1, 32), 129), 'out of place'],
    ['a last slice too long', (bytes) => writeU64(bytes, sliceAt(2, 40), 101), 'does not stand'],
    ['tables out of order', (bytes) => writeU32(bytes, sliceAt(0, 0), 17), 'out of order'],
    ['wrong totals', (bytes) => writeU64(bytes, tablesAt + 8, 4), 'wrong totals of table 3'],
    ['totals of another table', (bytes) => writeU32(bytes, tablesAt, 4), 'wrong totals'],
    ['wrong bytes in the totals', (bytes) => writeU64(bytes, tablesAt + 16, 4), 'wrong totals'],
    ['wrong slices in the totals', (bytes) => writeU32(bytes, tablesAt + 4, 4), 'wrong totals'],
  ])('%s: CORRUPT_SNAPSHOT', (_, damage, message) => {
    const bytes = encodeSnapshotFooter(footer);
    damage(bytes);
    const error = errorOf(() => decode(bytes));
    expect(error.code).toBe('CORRUPT_SNAPSHOT');
    expect(error.message).toContain(message);
    expect(error.details).toMatchObject({ path: '/s', offset: end.offset });
  });

  test('hashes of one table out of order: CORRUPT_SNAPSHOT', () => {
    const early = slice(sliceEnd(second), { table: 16, firstHash: 8, lastHash: 9 });
    const bytes = encodeSnapshotFooter(footerOf([first, second, early]));
    expect(errorOf(() => decode(bytes)).message).toContain('out of order');
  });

  test('cut short: CORRUPT_SNAPSHOT with both figures', () => {
    const error = errorOf(() => decode(encodeSnapshotFooter(footer).subarray(0, 151)));
    expect(error.details).toMatchObject({ expected: 152, actual: 151 });
  });
});
