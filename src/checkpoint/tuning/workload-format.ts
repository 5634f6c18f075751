/*
 * A workload recording, version 1. Little-endian. File header, then blocks, each with its checksum;
 * it is only appended to. A recording that was cut off counts up to its last whole block.
 *
 * File header, 32 bytes:
 * | Offset | Size | Field      | Meaning                                                          |
 * |      0 |    4 | magic      | "TMWR"                                                           |
 * |      4 |    2 | version    | 1                                                                |
 * |      6 |    2 | reserved   | 0                                                                |
 * |      8 |   16 | storeId    |                                                                  |
 * |     24 |    4 | reserved   | 0                                                                |
 * |     28 |    4 | crc        | of bytes 0..27                                                   |
 *
 * Block, 48 bytes and the body:
 * |      0 |    4 | magic      | "TMWB"                                                           |
 * |      4 |    4 | kind       | 1 start of a recording, or of its continuation; 2 commits        |
 * |      8 |    4 | bodyBytes  |                                                                  |
 * |     12 |    4 | bodyCrc    |                                                                  |
 * |     16 |    8 | firstLsn   | of the commits; of a start: the LSN that would come next         |
 * |     24 |    8 | timestamp  | microseconds; the timestamps of the commits count from it        |
 * |     32 |    8 | logBytes   | written to the log since the start, headers and padding included |
 * |     40 |    4 | commits    | in the body                                                      |
 * |     44 |    4 | crc        | of bytes 0..43                                                   |
 *
 * Body of a start: JSON, `{ keyGroups, tables: [{ table, itemsMax, entries, dataBytes }] }`. Numbers
 * of followed keys start again from 0. Body of commits: numbers as LEB128 (varint), signed ones
 * zigzag. A commit is `timestamp` (since the one before), `entryCount`, `recordBytes`, then four
 * lists, each behind its length:
 *   tables    table, exponent, itemsMax + 1 or 0
 *   clears    table, 0, or 1 and the key hash as u32
 *   followed  table, key hash u32, sub-hash u32, keyBytes, 0, or entries and valueBytes from before
 *   rows      2 × (id less the last row's id) + 1 when nothing else differs from the last row of the
 *             id; otherwise + 0, then `op + 8 × flags`, valueBytes and what flags name in this
 *             order: 1 operator, 2 expiry (less the commit's timestamp, signed), 4 entries,
 *             8 references (signed)
 * See: docs/FORMATS.md, test/golden/workload-v1.bin
 */
import { checksum } from '../../codec/checksum.ts';
import { CorruptionError, IncompatibleError } from '../../errors.ts';
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../../std/bytes.ts';
import { allZero } from '../../snapshot/snapshot-format.ts';

export const workloadVersion = 1;
export const workloadHeaderBytes = 32;
export const workloadBlockHeaderBytes = 48;

const MAGIC = 0x52574d54;
const BLOCK_MAGIC = 0x42574d54;

export const workloadBlockKinds = { start: 1, commits: 2 } as const;

/** Header of a block. */
export interface WorkloadBlockHeader {
  readonly kind: number;
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  readonly firstLsn: number;
  readonly timestamp: number;
  readonly logBytes: number;
  readonly commits: number;
}

export function encodeWorkloadHeader(storeId: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(workloadHeaderBytes);
  writeU32(bytes, 0, MAGIC);
  writeU16(bytes, 4, workloadVersion);
  bytes.set(storeId, 8);
  writeU32(bytes, 28, checksum(bytes, 0, 28));
  return bytes;
}

/** The store that a recording is of. */
export function decodeWorkloadHeader(bytes: Uint8Array, path: string): Uint8Array {
  if (bytes.length < workloadHeaderBytes) throw badRecording(path, 0, 'header is cut short');
  if (readU32(bytes, 0) !== MAGIC) throw badRecording(path, 0, 'header has no magic');
  if (readU32(bytes, 28) !== checksum(bytes, 0, 28)) {
    throw badRecording(path, 0, 'header fails its checksum');
  }
  const version = readU16(bytes, 4);
  if (version !== workloadVersion) {
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `recording format version ${version} is not known to this release: ${path}`,
      { path, version, supported: workloadVersion },
    );
  }
  if (readU16(bytes, 6) !== 0 || !allZero(bytes, 24, 28)) {
    throw badRecording(path, 0, 'header has reserved bits set');
  }
  return bytes.slice(8, 24);
}

/** A whole block. */
export function encodeWorkloadBlock(
  header: Omit<WorkloadBlockHeader, 'bodyBytes' | 'bodyCrc'>,
  body: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(workloadBlockHeaderBytes + body.length);
  writeU32(bytes, 0, BLOCK_MAGIC);
  writeU32(bytes, 4, header.kind);
  writeU32(bytes, 8, body.length);
  writeU32(bytes, 12, checksum(body));
  writeU64(bytes, 16, header.firstLsn);
  writeU64(bytes, 24, header.timestamp);
  writeU64(bytes, 32, header.logBytes);
  writeU32(bytes, 40, header.commits);
  writeU32(bytes, 44, checksum(bytes, 0, 44));
  bytes.set(body, workloadBlockHeaderBytes);
  return bytes;
}

/**
 * The header of the block at `at`, or why there is none: what was appended last may be cut, and
 * everything behind it does not count.
 */
export function decodeWorkloadBlock(bytes: Uint8Array, at: number): WorkloadBlockHeader | string {
  if (at + workloadBlockHeaderBytes > bytes.length) return 'is cut short';
  if (readU32(bytes, at) !== BLOCK_MAGIC) return 'has no magic';
  if (readU32(bytes, at + 44) !== checksum(bytes, at, at + 44)) return 'fails its checksum';
  const kind = readU32(bytes, at + 4);
  if (kind !== workloadBlockKinds.start && kind !== workloadBlockKinds.commits) {
    return `has kind ${kind}`;
  }
  const header = {
    kind,
    bodyBytes: readU32(bytes, at + 8),
    bodyCrc: readU32(bytes, at + 12),
    firstLsn: readU64(bytes, at + 16),
    timestamp: readU64(bytes, at + 24),
    logBytes: readU64(bytes, at + 32),
    commits: readU32(bytes, at + 40),
  };
  const numbers = [header.firstLsn, header.timestamp, header.logBytes];
  if (!numbers.every(Number.isSafeInteger)) return 'has a number out of range';
  const start = at + workloadBlockHeaderBytes;
  const end = start + header.bodyBytes;
  if (end > bytes.length) return 'has a body that is cut short';
  if (checksum(bytes, start, end) !== header.bodyCrc) return 'has a body that fails its checksum';
  return header;
}

export function badRecording(path: string, offset: number, why: string): CorruptionError {
  return new CorruptionError('CORRUPT_RECORDING', `recording ${why}: ${path} at ${offset}`, {
    path,
    offset,
  });
}
