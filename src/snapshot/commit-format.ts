/*
 * A commit as a record of the log, version 1. Little-endian.
 *
 * | Offset | Size | Field         | Meaning                                                       |
 * |      0 |    1 | kind          | 1 commit                                                      |
 * |      1 |    1 | version       | 1                                                             |
 * |      2 |    2 | reserved      | 0                                                             |
 * |      4 |    4 | entryCount    |                                                               |
 * |      8 |    8 | timestamp     | microseconds, strictly monotone along an ancestry (E1)        |
 * |     16 |    4 | metadataBytes | 0 when the commit has none                                    |
 * |     20 |      | metadata      | an encoded value                                              |
 * |      … |      | entries       | entryCount times:                                             |
 *
 * | Offset | Size | Field       | Meaning                                                         |
 * |      0 |    4 | table       |                                                                 |
 * |      4 |    4 | valueBytes  |                                                                 |
 * |      8 |    2 | keyBytes    | 0 only for a clear of a table                                   |
 * |     10 |    2 | subKeyBytes |                                                                 |
 * |     12 |    1 | op          | as in entry-format.ts                                           |
 * |     13 |    1 | operator    | as in entry-format.ts                                           |
 * |     14 |    1 | flags       | bit 0 sub-key, 1 expiry, 2 event time                           |
 * |     15 |    1 | reserved    | 0                                                               |
 * |     16 |  8 × | expiry, event time: those whose flag is set, in this order                    |
 * |      … |      | key, sub-key, value                                                           |
 *
 * Invariant: within one commit a clear stands before the entries that it does not touch; entries of
 * one (table, key, sub-key) stand in the order in which they were made (a counter that is deleted
 * and added to has two); all entries of a commit share its LSN and timestamp.
 */
import { CorruptionError, IncompatibleError } from '../errors.ts';
import { readU16, readU32, readU64 } from '../std/bytes.ts';
import { entryFlags, ops } from './entry-format.ts';

export const commitHeaderBytes = 20;
export const commitEntryHeaderBytes = 16;
export const commitVersion = 1;
export const commitKind = 1;

/** Header of a commit record. */
export interface CommitHeader {
  readonly entryCount: number;
  readonly timestamp: number;
  readonly metadataStart: number;
  /** Where the entries start. */
  readonly metadataEnd: number;
}

/** One change of a commit; offsets are into the bytes it was read from. Reused between calls. */
export interface CommitEntry {
  table: number;
  op: number;
  operator: number;
  flags: number;
  /** Microseconds, or 0 for none. */
  expiry: number;
  /** Microseconds, or 0 for none. */
  eventTime: number;
  keyStart: number;
  keyEnd: number;
  subKeyEnd: number;
  /** Where the value ends and the next entry starts; the value starts at `subKeyEnd`. */
  end: number;
}

export function decodeCommitHeader(bytes: Uint8Array, start: number, end: number): CommitHeader {
  if (end - start < commitHeaderBytes) throw badCommit(start, 'is cut short');
  if (bytes[start] !== commitKind) throw badCommit(start, `has kind ${bytes[start]}`);
  const version = bytes[start + 1];
  if (version !== commitVersion) {
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `commit format version ${version} is not known to this release`,
      { version, supported: commitVersion },
    );
  }
  if (readU16(bytes, start + 2) !== 0) throw badCommit(start, 'has reserved bits set');
  const metadataStart = start + commitHeaderBytes;
  const metadataEnd = metadataStart + readU32(bytes, start + 16);
  if (metadataEnd > end) throw badCommit(start, 'has metadata past its end');
  const timestamp = readU64(bytes, start + 8);
  if (!Number.isSafeInteger(timestamp)) throw badCommit(start, 'has a timestamp out of range');
  return {
    entryCount: readU32(bytes, start + 4),
    timestamp,
    metadataStart,
    metadataEnd,
  };
}

/** Decodes the entry at `at` into `into`; `end` is the end of the record. */
export function decodeCommitEntry(
  bytes: Uint8Array,
  at: number,
  end: number,
  into: CommitEntry,
): void {
  if (at + commitEntryHeaderBytes > end) throw badCommit(at, 'has an entry that is cut short');
  const flags = bytes[at + 14]!;
  const op = bytes[at + 12]!;
  if (op < ops.put || op > ops.clearTable) throw badCommit(at, `has op ${op}`);
  if (flags > 7 || bytes[at + 15] !== 0) throw badCommit(at, 'has reserved bits set');
  let next = at + commitEntryHeaderBytes;
  const optional = ((flags & entryFlags.expiry) >> 1) + ((flags & entryFlags.eventTime) >> 2);
  if (next + optional * 8 > end) throw badCommit(at, 'has an entry that is cut short');
  into.expiry = 0;
  into.eventTime = 0;
  if (flags & entryFlags.expiry) {
    into.expiry = readU64(bytes, next);
    next += 8;
    if (into.expiry === 0) throw badCommit(at, 'has an entry with an expiry that is none');
  }
  if (flags & entryFlags.eventTime) {
    into.eventTime = readU64(bytes, next);
    next += 8;
    if (into.eventTime === 0) throw badCommit(at, 'has an entry with an event time that is none');
  }
  if (!Number.isSafeInteger(into.expiry) || !Number.isSafeInteger(into.eventTime)) {
    throw badCommit(at, 'has an entry with a time out of range');
  }
  into.table = readU32(bytes, at);
  into.op = op;
  into.operator = bytes[at + 13]!;
  into.flags = flags;
  into.keyStart = next;
  into.keyEnd = next + readU16(bytes, at + 8);
  into.subKeyEnd = into.keyEnd + readU16(bytes, at + 10);
  into.end = into.subKeyEnd + readU32(bytes, at + 4);
  if (into.end > end) throw badCommit(at, 'has an entry past its end');
  if ((into.keyStart === into.keyEnd) !== (op === ops.clearTable)) {
    throw badCommit(at, 'has a key where there must be none, or none');
  }
  const hasSubKey = (flags & entryFlags.subKey) !== 0;
  if (hasSubKey ? op >= ops.clearKey : into.subKeyEnd > into.keyEnd) {
    throw badCommit(at, 'has a sub-key where there must be none');
  }
}

/** An entry to decode into. */
export function emptyCommitEntry(): CommitEntry {
  return {
    table: 0,
    op: 0,
    operator: 0,
    flags: 0,
    expiry: 0,
    eventTime: 0,
    keyStart: 0,
    keyEnd: 0,
    subKeyEnd: 0,
    end: 0,
  };
}

function badCommit(offset: number, why: string): CorruptionError {
  return new CorruptionError('CORRUPT_FRAME', `commit record ${why}`, { offset });
}
