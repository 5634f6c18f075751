import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import { TidemarkError } from '../../src/errors.ts';
import { writeU32 } from '../../src/std/bytes.ts';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  parseSegmentName,
  parseTemporaryName,
  segmentHeaderBytes,
  segmentName,
  temporaryName,
  type SegmentHeader,
} from '../../src/wal/segment-format.ts';

const header: SegmentHeader = {
  storeId: new Uint8Array(16).fill(7),
  timeline: 1,
  epoch: 3,
  number: 9,
  firstLsn: 101,
  size: 4096,
  salt: new Uint8Array(8).fill(5),
  predecessor: { number: 8, timeline: 1, lastLsn: 100, end: 2048 },
  chain: { crc: 11, mix: 12 },
  createdAt: 1_700_000_000_000_000,
};
const first: SegmentHeader = { ...header, number: 1, firstLsn: 1, predecessor: undefined };

function errorOf(bytes: Uint8Array): TidemarkError {
  try {
    decodeSegmentHeader(bytes, '/wal/x');
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error('the header was taken');
}

/** Puts other bytes into a header and the CRC that belongs to them. */
function forged(from: SegmentHeader, change: (bytes: Uint8Array) => unknown): TidemarkError {
  const bytes = encodeSegmentHeader(from);
  change(bytes);
  writeU32(bytes, 124, checksum(bytes, 0, 124));
  return errorOf(bytes);
}

describe('L3 the header of a segment', () => {
  test.each([
    ['with a predecessor', header],
    ['without one', first],
    ['that grows', { ...header, size: 0 }],
  ])('%s: what was encoded is decoded', (_, given) => {
    expect(decodeSegmentHeader(encodeSegmentHeader(given), 'x')).toEqual(given);
  });

  test('any byte is flipped, or it is cut short: CORRUPT_SEGMENT with its path', () => {
    const bytes = encodeSegmentHeader(header);
    for (let at = 0; at < segmentHeaderBytes; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 4;
      expect(errorOf(flipped)).toMatchObject({
        code: 'CORRUPT_SEGMENT',
        details: { path: '/wal/x' },
      });
      expect(errorOf(bytes.subarray(0, at))).toMatchObject({ code: 'CORRUPT_SEGMENT' });
    }
  });

  test('of a later version: UNSUPPORTED_FORMAT names both', () => {
    const error = forged(header, (bytes) => (bytes[4] = 2));
    expect(error.code).toBe('UNSUPPORTED_FORMAT');
    expect(error.details).toMatchObject({ version: 2, supported: 1 });
  });

  test.each([
    ['an unknown flag', 'reserved', header, 6, 2],
    ['the flag of growing, with a size', 'reserved', header, 6, 1],
    ['reserved bytes', 'reserved', header, 28, 1],
    ['reserved bytes', 'reserved', header, 84, 1],
    ['reserved bytes', 'reserved', header, 120, 1],
    ['a time out of range', 'out of range', header, 119, 1],
    ['reserved bytes', 'reserved', header, 123, 1],
    ['an epoch out of range', 'out of range', header, 39, 1],
    ['a number out of range', 'out of range', header, 47, 1],
    ['a first LSN out of range', 'out of range', header, 55, 1],
    ['a size out of range', 'out of range', header, 63, 1],
    ['a predecessor out of range', 'out of range', header, 79, 1],
    ['a last LSN out of range', 'out of range', header, 95, 1],
    ['an end out of range', 'out of range', header, 103, 1],
    ['LSN 0', 'out of range', first, 48, 0],
    ['number 0', 'out of range', first, 40, 0],
    ['fields of no predecessor', 'does not name', first, 88, 1],
    ['a gap to its predecessor', 'does not continue', header, 88, 99],
    ['a predecessor of the same number', 'does not continue', header, 72, 9],
    ['an end that is no border', 'does not continue', header, 96, 1],
  ])('it holds %s: CORRUPT_SEGMENT', (_, why, from, at, value) => {
    const error = forged(from, (bytes) => (bytes[at] = value));
    expect(error.code).toBe('CORRUPT_SEGMENT');
    expect(error.message).toContain(why);
  });

  test('an end inside the header of its predecessor: CORRUPT_SEGMENT', () => {
    const error = forged(header, (bytes) => writeU32(bytes, 96, 64));
    expect(error.message).toContain('does not continue');
  });
});

describe('L1 names', () => {
  test('number and timeline, never the LSN', () => {
    expect(segmentName(12, 3)).toBe('0000000012-00000003.wal');
    expect(parseSegmentName(segmentName(12, 3))).toEqual({ number: 12, timeline: 3 });
    expect(parseSegmentName(segmentName(12_345_678_901, 1))?.number).toBe(12_345_678_901);
    expect(parseTemporaryName(temporaryName(12))).toBe(12);
  });

  test('another name: none', () => {
    for (const name of [
      '1-1.wal',
      '0000000001-00000001.wal.tmp',
      'low-water.json',
      '0000000001.new',
    ]) {
      expect(parseSegmentName(name)).toBeUndefined();
    }
    for (const name of ['1.new', '0000000001.wal', '0000000001.new2']) {
      expect(parseTemporaryName(name)).toBeUndefined();
    }
  });
});
