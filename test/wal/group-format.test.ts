import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import { chainStart, mixFrame } from '../../src/wal/chain-value.ts';
import {
  decodeGroupHeader,
  encodeGroupHeader,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
  visitRecords,
  type GroupHeader,
} from '../../src/wal/group-format.ts';
import { readGroupBody } from '../../src/wal/group-body.ts';
import { encodeMark } from '../../src/wal/marks.ts';
import { writeU32, writeU64 } from '../../src/std/bytes.ts';

const salt = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const place = 128;

/** A group of frames of one-byte records; the place is an offset in a segment. */
function group(frames: readonly number[], change: Partial<GroupHeader> = {}): Uint8Array {
  const parts: number[] = [];
  let mix = 0;
  let lsn = 1;
  for (const count of frames) {
    const frame = [count, 0, 0, 0];
    for (let i = 0; i < count; i++) frame.push(1, 0, 0, 0, 7);
    mix = mixFrame(mix, lsn, frame.length);
    lsn += count;
    parts.push(...frame);
  }
  return withBody(Uint8Array.from(parts), frames.length, lsn - 1, { mix, ...change });
}

function withBody(
  body: Uint8Array,
  frameCount: number,
  recordCount: number,
  change: Partial<GroupHeader> & { mix?: number } = {},
): Uint8Array {
  const bytes = new Uint8Array(groupBytes(body.length));
  bytes.set(body, groupHeaderBytes);
  const header: GroupHeader = {
    kind: groupKinds.frames,
    codec: 0,
    bodyBytes: body.length,
    frameBytes: body.length,
    frameCount,
    recordCount,
    firstLsn: 1,
    durableLsn: 0,
    chain: { crc: checksum(body, 0, body.length, 0), mix: change.mix ?? 0 },
    bodyCrc: checksum(body, 0, body.length),
    ...change,
  };
  encodeGroupHeader(bytes, 0, header, salt, place);
  return bytes;
}

/** Puts other bytes into a header and the CRC that belongs to them. */
function forged(change: (bytes: Uint8Array) => void): string | GroupHeader {
  const bytes = group([1]);
  change(bytes);
  const seedInput = new Uint8Array(16);
  seedInput.set(salt);
  writeU64(seedInput, 8, place);
  const seed = checksum(seedInput, 0, 16);
  writeU32(bytes, 60, checksum(bytes, 0, 60, seed));
  return decodeGroupHeader(bytes, 0, salt, place);
}

function put(bytes: Uint8Array, values: Readonly<Record<number, number>>): void {
  for (const [at, value] of Object.entries(values)) bytes[Number(at)] = value;
}

const decoded = (bytes: Uint8Array): GroupHeader => {
  const header = decodeGroupHeader(bytes, 0, salt, place);
  if (typeof header === 'string') throw new Error(header);
  return header;
};
const faultOf = (bytes: Uint8Array, before = chainStart): string | undefined => {
  const body = readGroupBody(bytes, groupHeaderBytes, decoded(bytes), before);
  return typeof body === 'string' ? body : undefined;
};

describe('L4 the header of a group', () => {
  test('what was encoded: decoded', () => {
    const bytes = group([2, 1]);
    expect(decoded(bytes)).toMatchObject({ frameCount: 2, recordCount: 3, firstLsn: 1 });
    expect(faultOf(bytes)).toBeUndefined();
    const seen: number[] = [];
    const { bodyBytes } = decoded(bytes);
    visitRecords(bytes, 64, 64 + bodyBytes, 1, (lsn, start, end) => {
      seen.push(lsn, bytes[start]!, end - start);
    });
    expect(seen).toEqual([1, 7, 1, 2, 7, 1, 3, 7, 1]);
  });

  test('a mark: decoded, and it changes neither LSN nor chain value', () => {
    const at = { offset: place, lsn: 9, chain: { crc: 5, mix: 6 } };
    const mark = encodeMark('seal', salt, at, 9);
    expect(decoded(mark)).toMatchObject({ kind: groupKinds.seal, firstLsn: 10, durableLsn: 9 });
    expect(faultOf(mark, at.chain)).toBeUndefined();
    expect(faultOf(mark)).toMatch(/chain value/);
  });

  test('any byte is flipped: refused', () => {
    const bytes = group([1]);
    for (let at = 0; at < groupHeaderBytes; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1;
      expect(decodeGroupHeader(flipped, 0, salt, place)).toBeTypeOf('string');
    }
  });

  test('it stands at another offset, or in a file with another salt: refused', () => {
    const bytes = group([1]);
    expect(decodeGroupHeader(bytes, 0, salt, place + 8)).toBe('fails its checksum');
    expect(decodeGroupHeader(bytes, 0, salt.toReversed(), place)).toBe('fails its checksum');
  });

  test.each([
    ['is cut short', () => decodeGroupHeader(group([1]).subarray(0, 63), 0, salt, place)],
    ['has no magic', () => decodeGroupHeader(new Uint8Array(64), 0, salt, place)],
    ['has kind 0', () => forged((bytes) => (bytes[4] = 0))],
    ['has kind 4', () => forged((bytes) => (bytes[4] = 4))],
    ['has two lengths', () => forged((bytes) => (bytes[5] = 1))],
    ['has reserved bits set', () => forged((bytes) => (bytes[6] = 1))],
    ['has reserved bits set', () => forged((bytes) => (bytes[52] = 1))],
    ['has reserved bits set', () => forged((bytes) => (bytes[59] = 1))],
    ['has two lengths', () => forged((bytes) => bytes[12]!++)],
    ['has frames out of range', () => forged((bytes) => put(bytes, { 5: 1, 15: 64 }))],
    ['is a mark with a codec', () => forged((bytes) => put(bytes, { 4: 2, 5: 1, 12: 10, 20: 0 }))],
    ['has a number out of range', () => forged((bytes) => (bytes[31] = 1))],
    ['has a number out of range', () => forged((bytes) => (bytes[39] = 1))],
    ['counts no record', () => forged((bytes) => (bytes[20] = 0))],
    ['is a mark that counts records', () => forged((bytes) => (bytes[4] = 2))],
    ['names a durable LSN of its own', () => forged((bytes) => (bytes[32] = 1))],
  ])('%s', (why, decode) => {
    expect(decode()).toBe(why);
  });
});

describe('L4 the body of a group', () => {
  const frame = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

  test.each([
    ['is cut short', group([1]).subarray(0, 70)],
    ['is cut short', group([1]).subarray(0, groupBytes(9) - 1)],
    ['wrong counts', group([1, 1], { frameCount: 1 })],
    ['wrong counts', group([1, 1], { recordCount: 3 })],
    ['chain value', group([1], { chain: { crc: 0, mix: mixFrame(0, 1, 9) } })],
    ['chain value', group([1], { chain: { crc: 1, mix: 0 } })],
    ['a frame is cut short', withBody(frame(1, 0, 0), 1, 1)],
    ['a frame has no record', withBody(frame(0, 0, 0, 0), 1, 1)],
    ['a record is cut short', withBody(frame(1, 0, 0, 0, 9, 0), 1, 1)],
    ['passes the end', withBody(frame(1, 0, 0, 0, 9, 0, 0, 0, 1), 1, 1)],
  ])('%s', (why, bytes) => {
    expect(faultOf(bytes)).toContain(why);
  });

  test('any byte of body or padding is flipped: refused', () => {
    const bytes = group([1, 2]);
    const { bodyBytes } = decoded(bytes);
    for (let at = groupHeaderBytes; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 0x80;
      const inBody = at < groupHeaderBytes + bodyBytes;
      expect(faultOf(flipped)).toMatch(inBody ? /fails its checksum/ : /padding/);
    }
  });

  test('another group comes before it: the chain value does not continue', () => {
    expect(faultOf(group([1]), { crc: 1, mix: 0 })).toMatch(/chain value/);
    expect(faultOf(group([1]), { crc: 0, mix: 1 })).toMatch(/chain value/);
  });
});
