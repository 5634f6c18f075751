/*
 * WAL segment, version 1. Little-endian. Header, then groups at multiples of 8, zeros to the end.
 *
 * | Offset | Size | Field            | Meaning                                                     |
 * |      0 |    4 | magic            | "TMWL"                                                      |
 * |      4 |    2 | version          | 1                                                           |
 * |      6 |    2 | flags            | bit 0: the file grows as it is written, not zero-filled     |
 * |      8 |   16 | storeId          |                                                             |
 * |     24 |    4 | timeline         |                                                             |
 * |     28 |    4 | reserved         | 0                                                           |
 * |     32 |    8 | epoch            | writer generation; rises with each opening for writing      |
 * |     40 |    8 | number           | of this segment; in its name                                |
 * |     48 |    8 | firstLsn         | of the first frame that can stand here                      |
 * |     56 |    8 | size             | bytes of the file when it was renamed in; 0 when it grows   |
 * |     64 |    8 | salt             | random; seeds the CRC of group headers                      |
 * |     72 |    8 | prevNumber       | predecessor; 0: none                                        |
 * |     80 |    4 | prevTimeline     |                                                             |
 * |     84 |    4 | reserved         | 0                                                           |
 * |     88 |    8 | prevLastLsn      | last LSN of the predecessor on this timeline                |
 * |     96 |    8 | prevEnd          | offset behind its last group on this timeline               |
 * |    104 |    8 | chain            | chain value at the start of this segment                    |
 * |    112 |    8 | createdAt        | when the header was written, microseconds; never falls      |
 * |    120 |    4 | reserved         | 0                                                           |
 * |    124 |    4 | crc              | of bytes 0..123                                             |
 *
 * Rules: L2 a file under a segment's name has a valid header. L3 bytes of the predecessor past
 * prevEnd are not part of this timeline. Durability: the header is synced before the file is
 * renamed in, the directory after.
 * See: group-format.ts, docs/FORMATS.md, test/golden/segment-v1.bin
 */
import { checksum } from '../codec/checksum.ts';
import { CorruptionError, IncompatibleError } from '../errors.ts';
import { assert } from '../std/assert.ts';
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../std/bytes.ts';
import { readChain, writeChain, type ChainValue } from './chain-value.ts';

export const segmentHeaderBytes = 128;
export const segmentVersion = 1;
const MAGIC = 0x4c574d54;
const FLAG_GROWS = 1;
const CRC_AT = 124;

/** The segment before this one on its timeline. */
export interface Predecessor {
  readonly number: number;
  readonly timeline: number;
  readonly lastLsn: number;
  /** Offset behind its last group on this timeline. */
  readonly end: number;
}

/** Header of a segment. */
export interface SegmentHeader {
  readonly storeId: Uint8Array;
  readonly timeline: number;
  readonly epoch: number;
  readonly number: number;
  readonly firstLsn: number;
  /** Bytes of the file when it was renamed in; 0 when it grows as it is written. */
  readonly size: number;
  /** 8 random bytes. */
  readonly salt: Uint8Array;
  readonly predecessor: Predecessor | undefined;
  /** Chain value at the start. */
  readonly chain: ChainValue;
  /**
   * When this header was written, microseconds; at least the predecessor's. Every record before this
   * segment is older.
   */
  readonly createdAt: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  assert(header.storeId.length === 16 && header.salt.length === 8, 'bad segment header');
  const bytes = new Uint8Array(segmentHeaderBytes);
  writeU32(bytes, 0, MAGIC);
  writeU16(bytes, 4, segmentVersion);
  writeU16(bytes, 6, header.size === 0 ? FLAG_GROWS : 0);
  bytes.set(header.storeId, 8);
  writeU32(bytes, 24, header.timeline);
  writeU64(bytes, 32, header.epoch);
  writeU64(bytes, 40, header.number);
  writeU64(bytes, 48, header.firstLsn);
  writeU64(bytes, 56, header.size);
  bytes.set(header.salt, 64);
  if (header.predecessor) {
    writeU64(bytes, 72, header.predecessor.number);
    writeU32(bytes, 80, header.predecessor.timeline);
    writeU64(bytes, 88, header.predecessor.lastLsn);
    writeU64(bytes, 96, header.predecessor.end);
  }
  writeChain(bytes, 104, header.chain);
  writeU64(bytes, 112, header.createdAt);
  writeU32(bytes, CRC_AT, checksum(bytes, 0, CRC_AT));
  return bytes;
}

/** Decodes and validates; `path` is for the error. */
export function decodeSegmentHeader(bytes: Uint8Array, path: string): SegmentHeader {
  const corrupt = (why: string, details = {}): CorruptionError =>
    new CorruptionError('CORRUPT_SEGMENT', `segment header ${why}: ${path}`, {
      path,
      offset: 0,
      ...details,
    });
  if (bytes.length < segmentHeaderBytes) {
    throw corrupt('is cut short', { expected: segmentHeaderBytes, actual: bytes.length });
  }
  if (readU32(bytes, 0) !== MAGIC) throw corrupt('has no magic');
  const actual = checksum(bytes, 0, CRC_AT);
  const expected = readU32(bytes, CRC_AT);
  if (actual !== expected) throw corrupt('fails its checksum', { expected, actual });
  const version = readU16(bytes, 4);
  if (version !== segmentVersion) {
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `segment format version ${version} is not known to this release: ${path}`,
      { path, version, supported: segmentVersion },
    );
  }
  const flags = readU16(bytes, 6);
  const size = readU64(bytes, 56);
  const zeros = [28, 84, 120].every((at) => readU32(bytes, at) === 0);
  if (flags > FLAG_GROWS || (flags === FLAG_GROWS) !== (size === 0) || !zeros) {
    throw corrupt('has reserved bits set');
  }
  const prevNumber = readU64(bytes, 72);
  const header: SegmentHeader = {
    storeId: bytes.slice(8, 24),
    timeline: readU32(bytes, 24),
    epoch: readU64(bytes, 32),
    number: readU64(bytes, 40),
    firstLsn: readU64(bytes, 48),
    size,
    salt: bytes.slice(64, 72),
    predecessor:
      prevNumber === 0
        ? undefined
        : {
            number: prevNumber,
            timeline: readU32(bytes, 80),
            lastLsn: readU64(bytes, 88),
            end: readU64(bytes, 96),
          },
    chain: readChain(bytes, 104),
    createdAt: readU64(bytes, 112),
  };
  const { epoch, number, firstLsn, predecessor, createdAt } = header;
  const { lastLsn, end } = predecessor ?? { lastLsn: 0, end: 0 };
  const numbers = [epoch, number, firstLsn, size, prevNumber, lastLsn, end, createdAt];
  if (!numbers.every(Number.isSafeInteger) || firstLsn < 1 || number < 1) {
    throw corrupt('has a number out of range');
  }
  if (!predecessor && !bytes.subarray(80, 104).every((byte) => byte === 0)) {
    throw corrupt('describes a predecessor that it does not name');
  }
  const continues = lastLsn + 1 === firstLsn && prevNumber < number && end >= segmentHeaderBytes;
  if (predecessor && !(continues && end % 8 === 0)) {
    throw corrupt('does not continue its predecessor');
  }
  return header;
}

const NAME = /^(\d{10,16})-(\d{8})\.wal$/;

/** File name of a segment: its number, then its timeline. Never the LSN (L1). */
export function segmentName(number: number, timeline: number): string {
  return `${String(number).padStart(10, '0')}-${String(timeline).padStart(8, '0')}.wal`;
}

/** Number and timeline of a segment's file name, or undefined when it is none. */
export function parseSegmentName(name: string): { number: number; timeline: number } | undefined {
  const match = NAME.exec(name);
  if (!match) return undefined;
  return { number: Number(match[1]), timeline: Number(match[2]) };
}

const TEMPORARY = /^(\d{10,16})\.new$/;

/** Name of a segment that is being filled (L2). */
export function temporaryName(number: number): string {
  return `${String(number).padStart(10, '0')}.new`;
}

/** Number of a temporary name, or undefined when it is none. */
export function parseTemporaryName(name: string): number | undefined {
  const match = TEMPORARY.exec(name);
  return match ? Number(match[1]) : undefined;
}
