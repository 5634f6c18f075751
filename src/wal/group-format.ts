/*
 * A group of a WAL segment, version 1. Little-endian. Starts at a multiple of 8; zeros pad its body
 * to the next one. A group never spans segments (L4).
 *
 * | Offset | Size | Field        | Meaning                                                        |
 * |      0 |    4 | magic        | "TMGR"                                                         |
 * |      4 |    1 | kind         | 1 frames, 2 proof mark, 3 seal mark                            |
 * |      5 |    1 | codec        | of the body, as in src/codec/compression.ts; 0 none            |
 * |      6 |    2 | reserved     | 0                                                              |
 * |      8 |    4 | bodyBytes    | as stored                                                      |
 * |     12 |    4 | frameBytes   | of the frames; bodyBytes when the codec is none, else more     |
 * |     16 |    4 | frameCount   |                                                                |
 * |     20 |    4 | recordCount  |                                                                |
 * |     24 |    8 | firstLsn     | of the first record; of a mark: the LSN that would come next   |
 * |     32 |    8 | durableLsn   | known to be synced when the header was encoded                 |
 * |     40 |    8 | chain        | chain value after this group                                   |
 * |     48 |    4 | bodyCrc      | of the stored body                                             |
 * |     52 |    8 | reserved     | 0                                                              |
 * |     60 |    4 | crc          | of bytes 0..59, seeded by the segment's salt and the offset    |
 *
 * Body: frames, compressed together where the codec says so; each is `recordCount u32`, then per
 * record `bytes u32` and the record.
 * Invariants: firstLsn continues the LSN before; chain continues the chain value before; durableLsn
 * is below firstLsn; a mark has no body, a group of frames at least one record; frameBytes is at most
 * 1 GiB, and 1 MiB where the body is compressed, so that what is decompressed has a bound.
 * Stale bytes of another file or place never verify, because the seed is of this file and offset.
 * See: docs/FORMATS.md, test/golden/segment-v1.bin
 */
import { checksum } from '../codec/checksum.ts';
import { CorruptionError } from '../errors.ts';
import { readU16, readU32, readU64, writeU32, writeU64 } from '../std/bytes.ts';
import { readChain, writeChain, type ChainValue } from './chain-value.ts';

export const groupHeaderBytes = 64;
export const groupAlignment = 8;
const MAGIC = 0x52474d54;
const CRC_AT = 60;
/** Bytes of the frames of a group: what commitBytesMax and groupBytesMax can be at most. */
export const frameBytesMost: number = 1024 * 1024 * 1024;
/** Bytes of frames that are compressed together, at most: a few bytes cannot ask for much memory. */
export const compressedFrameBytesMost: number = 1024 * 1024;

/** What a group holds. */
export const groupKinds = { frames: 1, proof: 2, seal: 3 } as const;
export type GroupKind = (typeof groupKinds)[keyof typeof groupKinds];

/** Header of a group. */
export interface GroupHeader {
  readonly kind: GroupKind;
  /** Of the body; 0: none. It may be one that this release does not know. */
  readonly codec: number;
  /** As stored. */
  readonly bodyBytes: number;
  /** Of the frames. */
  readonly frameBytes: number;
  readonly frameCount: number;
  readonly recordCount: number;
  readonly firstLsn: number;
  readonly durableLsn: number;
  /** Chain value after this group. */
  readonly chain: ChainValue;
  readonly bodyCrc: number;
}

const seedInput = new Uint8Array(16);

function headerSeed(salt: Uint8Array, offset: number): number {
  seedInput.set(salt, 0);
  writeU64(seedInput, 8, offset);
  return checksum(seedInput, 0, 16);
}

/** Writes a header into `target` at `at`, for a group that stands at `offset` of its segment. */
export function encodeGroupHeader(
  target: Uint8Array,
  at: number,
  header: GroupHeader,
  salt: Uint8Array,
  offset: number,
): void {
  target.fill(0, at, at + groupHeaderBytes);
  writeU32(target, at, MAGIC);
  target[at + 4] = header.kind;
  target[at + 5] = header.codec;
  writeU32(target, at + 8, header.bodyBytes);
  writeU32(target, at + 12, header.frameBytes);
  writeU32(target, at + 16, header.frameCount);
  writeU32(target, at + 20, header.recordCount);
  writeU64(target, at + 24, header.firstLsn);
  writeU64(target, at + 32, header.durableLsn);
  writeChain(target, at + 40, header.chain);
  writeU32(target, at + 48, header.bodyCrc);
  writeU32(target, at + CRC_AT, checksum(target, at, at + CRC_AT, headerSeed(salt, offset)));
}

/**
 * Decodes the header at `at`, or says why it is none: the bytes there are not a header that was
 * written at `offset` of the segment with this salt.
 */
export function decodeGroupHeader(
  bytes: Uint8Array,
  at: number,
  salt: Uint8Array,
  offset: number,
): GroupHeader | string {
  if (at + groupHeaderBytes > bytes.length) return 'is cut short';
  if (readU32(bytes, at) !== MAGIC) return 'has no magic';
  const expected = readU32(bytes, at + CRC_AT);
  if (checksum(bytes, at, at + CRC_AT, headerSeed(salt, offset)) !== expected) {
    return 'fails its checksum';
  }
  const kind = bytes[at + 4]!;
  if (kind < 1 || kind > 3) return `has kind ${kind}`;
  const reserved = readU16(bytes, at + 6) | readU32(bytes, at + 52) | readU32(bytes, at + 56);
  if (reserved !== 0) return 'has reserved bits set';
  const codec = bytes[at + 5]!;
  const bodyBytes = readU32(bytes, at + 8);
  const frameBytes = readU32(bytes, at + 12);
  if (codec === 0 ? frameBytes !== bodyBytes : frameBytes <= bodyBytes) return 'has two lengths';
  if (frameBytes > (codec === 0 ? frameBytesMost : compressedFrameBytesMost)) {
    return 'has frames out of range';
  }
  const header: GroupHeader = {
    kind: kind as GroupKind,
    codec,
    bodyBytes,
    frameBytes,
    frameCount: readU32(bytes, at + 16),
    recordCount: readU32(bytes, at + 20),
    firstLsn: readU64(bytes, at + 24),
    durableLsn: readU64(bytes, at + 32),
    chain: readChain(bytes, at + 40),
    bodyCrc: readU32(bytes, at + 48),
  };
  if (!Number.isSafeInteger(header.firstLsn) || !Number.isSafeInteger(header.durableLsn)) {
    return 'has a number out of range';
  }
  if ((header.kind === groupKinds.frames) !== header.recordCount > 0) {
    return header.recordCount > 0 ? 'is a mark that counts records' : 'counts no record';
  }
  if (header.kind !== groupKinds.frames && codec !== 0) return 'is a mark with a codec';
  if (header.durableLsn >= header.firstLsn) return 'names a durable LSN of its own';
  return header;
}

/** Bytes that a group takes in its segment, padding included. */
export function groupBytes(bodyBytes: number): number {
  return align8(groupHeaderBytes + bodyBytes);
}

/** The next multiple of 8. */
export function align8(bytes: number): number {
  return Math.ceil(bytes / groupAlignment) * groupAlignment;
}

/** Bytes of a frame's own length fields. */
export function frameOverhead(recordCount: number): number {
  return 4 + recordCount * 4;
}

/** Called with each record: its LSN and its range in `bytes`. */
export type RecordVisitor = (lsn: number, start: number, end: number) => void;

/** Called with each frame: its first LSN, its record count and its range in `bytes`. */
export type FrameVisitor = (
  firstLsn: number,
  recordCount: number,
  start: number,
  end: number,
) => void;

/** What stands in the body of a group; frames are visited in order. */
export function visitFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  firstLsn: number,
  visit: FrameVisitor,
): void {
  let lsn = firstLsn;
  let at = start;
  while (at < end) {
    const frameStart = at;
    if (at + 4 > end) throw badBody(at, 'a frame is cut short');
    const recordCount = readU32(bytes, at);
    at += 4;
    if (recordCount === 0) throw badBody(at, 'a frame has no record');
    for (let i = 0; i < recordCount; i++) {
      if (at + 4 > end) throw badBody(at, 'a record is cut short');
      at += 4 + readU32(bytes, at);
      if (at > end) throw badBody(at, 'a record passes the end of its group');
    }
    visit(lsn, recordCount, frameStart, at);
    lsn += recordCount;
  }
}

/** Visits each record of a body whose frames have been checked. */
export function visitRecords(
  bytes: Uint8Array,
  start: number,
  end: number,
  firstLsn: number,
  visit: RecordVisitor,
): void {
  visitFrames(bytes, start, end, firstLsn, (frameLsn, recordCount, frameStart) => {
    let at = frameStart + 4;
    for (let i = 0; i < recordCount; i++) {
      const length = readU32(bytes, at);
      visit(frameLsn + i, at + 4, at + 4 + length);
      at += 4 + length;
    }
  });
}

function badBody(offset: number, why: string): CorruptionError {
  return new CorruptionError('CORRUPT_FRAME', `log group holds a bad body: ${why}`, { offset });
}
