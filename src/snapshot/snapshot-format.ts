/*
 * Snapshot file, version 1. Little-endian. Header, slices, footer, trailer, with nothing between.
 *
 * Header, 128 bytes:
 * | Offset | Size | Field         | Meaning                                                       |
 * |      0 |    4 | magic         | "TMSN"                                                        |
 * |      4 |    2 | version       | 1                                                             |
 * |      6 |    1 | kind          | 1 base, 2 delta                                               |
 * |      7 |    1 | groupBits     | top bits of the hash that name the key group, 0 to 16         |
 * |      8 |   16 | storeId       |                                                               |
 * |     24 |    4 | timeline      |                                                               |
 * |     28 |    4 | reserved      | 0                                                             |
 * |     32 |    8 | epoch         | of the writer                                                 |
 * |     40 |    8 | fromLsn       | entries are above it; 0 for a base                            |
 * |     48 |    8 | lastLsn       | entries are at or below it                                    |
 * |     56 |    8 | lastTimestamp | of the commit with lastLsn; expiry was judged by it (E4)      |
 * |     64 |    8 | seed          | of the keyed hash: low u32, high u32                          |
 * |     72 |   52 | reserved      | 0                                                             |
 * |    124 |    4 | crc           | of bytes 0..123                                               |
 *
 * Slice: blocks, then the block table. The bytes of the slice in memory (slice.ts) without the
 * padding, first the entries, then hashes, pointers and directory, are each cut into blocks of
 * 65536 bytes, the last one shorter, and stored compressed or, where that does not pay, raw.
 * Block table, 12 bytes a block:
 * |      0 |    4 | storedBytes   | at most the bytes before compression                          |
 * |      4 |    4 | crc           | of the stored bytes                                           |
 * |      8 |    1 | codec         | 0 none, 1 lz4, 2 snappy, 3 zstd, 4 gzip, 5 brotli; from 128   |
 * |        |      |               | up: place in the footer's list of users' codecs               |
 * |      9 |    3 | reserved      | 0                                                             |
 *
 * Footer: snapshot-footer.ts. Trailer, 32 bytes, the last of the file:
 * |      0 |    4 | footerBytes   |                                                               |
 * |      4 |    4 | footerCrc     | of the footer                                                 |
 * |      8 |    8 | fileBytes     | of the whole file                                             |
 * |     16 |    2 | version       | 1                                                             |
 * |     18 |    6 | reserved      | 0                                                             |
 * |     24 |    4 | crc           | of bytes 0..23                                                |
 * |     28 |    4 | magic         | "TMSF"                                                        |
 *
 * Invariants: N1 a snapshot is never changed once it has its name, `<sha256>-<checkpoint id>`.
 * N2 the footer repeats the header, so that opening reads the end of the file only.
 * Durability: the writer syncs the file before anybody publishes it under its name.
 * See: docs/FORMATS.md, test/golden/snapshot-v1.bin
 */
import { checksum } from '../codec/checksum.ts';
import type { HashSeed } from '../codec/hash.ts';
import { CorruptionError, IncompatibleError } from '../errors.ts';
import { assert } from '../std/assert.ts';
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../std/bytes.ts';

export const snapshotVersion = 1;
export const snapshotHeaderBytes = 128;
export const snapshotTrailerBytes = 32;
export const blockTableEntryBytes = 12;
/** Bytes of a block before compression; the last of a part may be shorter. */
export const blockBytes = 65_536;
/** Top bits of the hash that can name a key group. */
export const groupBitsMax = 16;

const MAGIC = 0x4e534d54;
const TRAILER_MAGIC = 0x46534d54;
const HEADER_CRC_AT = 124;
const KINDS = ['base', 'delta'] as const;

/** A base holds every live entry, a delta what changed since `fromLsn`. */
export type SnapshotKind = (typeof KINDS)[number];

/** Header of a snapshot. */
export interface SnapshotHeader {
  readonly storeId: Uint8Array;
  readonly timeline: number;
  readonly epoch: number;
  readonly kind: SnapshotKind;
  /** Exclusive; 0 for a base. */
  readonly fromLsn: number;
  readonly lastLsn: number;
  /** Microseconds. */
  readonly lastTimestamp: number;
  readonly seed: HashSeed;
  readonly groupBits: number;
}

/** What the end of the file says of it. */
export interface SnapshotTrailer {
  readonly footerBytes: number;
  readonly footerCrc: number;
  readonly fileBytes: number;
}

/** How a block is stored. */
export interface BlockRecord {
  readonly storedBytes: number;
  readonly crc: number;
  readonly codec: number;
}

/** A place in a snapshot that is damaged. */
export interface SnapshotPlace {
  readonly path: string;
  /** Of the damage, or of the part that is damaged. */
  readonly offset: number;
}

export function corruptSnapshot(
  place: SnapshotPlace,
  why: string,
  details: object = {},
  cause?: unknown,
): CorruptionError {
  const { path, offset } = place;
  return new CorruptionError(
    'CORRUPT_SNAPSHOT',
    `snapshot ${why}: ${path} at ${offset}`,
    { ...details, path, offset },
    cause,
  );
}

export function encodeSnapshotHeader(header: SnapshotHeader): Uint8Array {
  assert(header.storeId.length === 16, 'a store id has 16 bytes');
  assert(header.groupBits >= 0 && header.groupBits <= groupBitsMax, 'group bits out of range');
  assert(header.kind === 'delta' || header.fromLsn === 0, 'a base starts at LSN 0');
  assert(header.fromLsn <= header.lastLsn, 'a snapshot ends before it starts');
  const bytes = new Uint8Array(snapshotHeaderBytes);
  writeU32(bytes, 0, MAGIC);
  writeU16(bytes, 4, snapshotVersion);
  bytes[6] = KINDS.indexOf(header.kind) + 1;
  bytes[7] = header.groupBits;
  bytes.set(header.storeId, 8);
  writeU32(bytes, 24, header.timeline);
  writeU64(bytes, 32, header.epoch);
  writeU64(bytes, 40, header.fromLsn);
  writeU64(bytes, 48, header.lastLsn);
  writeU64(bytes, 56, header.lastTimestamp);
  writeU32(bytes, 64, header.seed.low);
  writeU32(bytes, 68, header.seed.high);
  writeU32(bytes, HEADER_CRC_AT, checksum(bytes, 0, HEADER_CRC_AT));
  return bytes;
}

/** Decodes the header at the start of `bytes`, which stand at `place`. */
export function decodeSnapshotHeader(bytes: Uint8Array, place: SnapshotPlace): SnapshotHeader {
  if (bytes.length < snapshotHeaderBytes) {
    throw corruptSnapshot(place, 'header is cut short', {
      expected: snapshotHeaderBytes,
      actual: bytes.length,
    });
  }
  if (readU32(bytes, 0) !== MAGIC) throw corruptSnapshot(place, 'header has no magic');
  const expected = readU32(bytes, HEADER_CRC_AT);
  const actual = checksum(bytes, 0, HEADER_CRC_AT);
  if (actual !== expected) {
    throw corruptSnapshot(place, 'header fails its checksum', { expected, actual });
  }
  refuseNewer(readU16(bytes, 4), place.path);
  if (readU32(bytes, 28) !== 0 || !allZero(bytes, 72, HEADER_CRC_AT)) {
    throw corruptSnapshot(place, 'header has reserved bits set');
  }
  const kind = KINDS[bytes[6]! - 1];
  if (kind === undefined) throw corruptSnapshot(place, `header has kind ${bytes[6]}`);
  const header: SnapshotHeader = {
    storeId: bytes.slice(8, 24),
    timeline: readU32(bytes, 24),
    epoch: readU64(bytes, 32),
    kind,
    fromLsn: readU64(bytes, 40),
    lastLsn: readU64(bytes, 48),
    lastTimestamp: readU64(bytes, 56),
    seed: { low: readU32(bytes, 64), high: readU32(bytes, 68) },
    groupBits: bytes[7]!,
  };
  const { epoch, fromLsn, lastLsn, lastTimestamp } = header;
  const numbers = [epoch, fromLsn, lastLsn, lastTimestamp].every(Number.isSafeInteger);
  const range = fromLsn <= lastLsn && (kind === 'delta' || fromLsn === 0);
  if (!numbers || !range || header.groupBits > groupBitsMax) {
    throw corruptSnapshot(place, 'header has a number out of range');
  }
  return header;
}

export function encodeSnapshotTrailer(trailer: SnapshotTrailer): Uint8Array {
  const bytes = new Uint8Array(snapshotTrailerBytes);
  writeU32(bytes, 0, trailer.footerBytes);
  writeU32(bytes, 4, trailer.footerCrc);
  writeU64(bytes, 8, trailer.fileBytes);
  writeU16(bytes, 16, snapshotVersion);
  writeU32(bytes, 24, checksum(bytes, 0, 24));
  writeU32(bytes, 28, TRAILER_MAGIC);
  return bytes;
}

/** Decodes the last bytes of a file of the given size. */
export function decodeSnapshotTrailer(
  bytes: Uint8Array,
  fileBytes: number,
  path: string,
): SnapshotTrailer {
  const place = { path, offset: Math.max(0, fileBytes - snapshotTrailerBytes) };
  if (bytes.length !== snapshotTrailerBytes) {
    throw corruptSnapshot(place, 'is cut short', {
      expected: snapshotTrailerBytes,
      actual: bytes.length,
    });
  }
  if (readU32(bytes, 28) !== TRAILER_MAGIC) {
    throw corruptSnapshot(place, 'does not end with its magic');
  }
  const expected = readU32(bytes, 24);
  const actual = checksum(bytes, 0, 24);
  if (actual !== expected) {
    throw corruptSnapshot(place, 'trailer fails its checksum', { expected, actual });
  }
  refuseNewer(readU16(bytes, 16), path);
  if (!allZero(bytes, 18, 24)) throw corruptSnapshot(place, 'trailer has reserved bits set');
  const saysBytes = readU64(bytes, 8);
  if (saysBytes !== fileBytes) {
    throw corruptSnapshot(place, 'has another size than its trailer says', {
      expected: saysBytes,
      actual: fileBytes,
    });
  }
  const footerBytes = readU32(bytes, 0);
  if (snapshotHeaderBytes + footerBytes + snapshotTrailerBytes > fileBytes) {
    throw corruptSnapshot(place, 'trailer names a footer that does not fit', {
      actual: footerBytes,
    });
  }
  return { footerBytes, footerCrc: readU32(bytes, 4), fileBytes };
}

export function encodeBlockTable(blocks: readonly BlockRecord[]): Uint8Array {
  const bytes = new Uint8Array(blocks.length * blockTableEntryBytes);
  blocks.forEach((block, i) => {
    const at = i * blockTableEntryBytes;
    writeU32(bytes, at, block.storedBytes);
    writeU32(bytes, at + 4, block.crc);
    bytes[at + 8] = block.codec;
  });
  return bytes;
}

/** Decodes the table of blocks whose sizes before compression are known. */
export function decodeBlockTable(
  bytes: Uint8Array,
  rawSizes: readonly number[],
  storedBytes: number,
  place: SnapshotPlace,
): BlockRecord[] {
  const expected = rawSizes.length * blockTableEntryBytes;
  if (bytes.length !== expected) {
    throw corruptSnapshot(place, 'block table is cut short', { expected, actual: bytes.length });
  }
  let sum = 0;
  const blocks = rawSizes.map((rawBytes, i): BlockRecord => {
    const at = i * blockTableEntryBytes;
    const block = {
      storedBytes: readU32(bytes, at),
      crc: readU32(bytes, at + 4),
      codec: bytes[at + 8]!,
    };
    if (!allZero(bytes, at + 9, at + 12)) {
      throw corruptSnapshot(place, `block ${i} has reserved bits set`);
    }
    const fits =
      block.codec === 0
        ? block.storedBytes === rawBytes
        : block.storedBytes > 0 && block.storedBytes < rawBytes;
    if (!fits) {
      const details = { expected: rawBytes, actual: block.storedBytes };
      throw corruptSnapshot(place, `block ${i} has a size that it cannot have`, details);
    }
    sum += block.storedBytes;
    return block;
  });
  if (sum !== storedBytes) {
    const details = { expected: storedBytes, actual: sum };
    throw corruptSnapshot(place, 'block table does not add up', details);
  }
  return blocks;
}

/** Sizes before compression of the blocks of a slice: those of the entries, then of the index. */
export function blockSizes(dataBytes: number, indexBytes: number): number[] {
  return [...cut(dataBytes), ...cut(indexBytes)];
}

/** How many blocks a slice has: as many as `blockSizes` lists. */
export function blockCount(dataBytes: number, indexBytes: number): number {
  return Math.ceil(dataBytes / blockBytes) + Math.ceil(indexBytes / blockBytes);
}

function cut(bytes: number): number[] {
  const sizes = Array.from({ length: Math.ceil(bytes / blockBytes) }, () => blockBytes);
  if (bytes % blockBytes !== 0) sizes[sizes.length - 1] = bytes % blockBytes;
  return sizes;
}

function refuseNewer(version: number, path: string): void {
  if (version === snapshotVersion) return;
  throw new IncompatibleError(
    'UNSUPPORTED_FORMAT',
    `snapshot format version ${version} is not known to this release: ${path}`,
    { path, version, supported: snapshotVersion },
  );
}

export function allZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0) return false;
  return true;
}
