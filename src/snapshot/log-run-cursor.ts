/*
 * Reads a sorted log run in place: entries as they stand in commit records (commit-format.ts), in
 * the order that log-sort.ts found. The records were decoded, and so checked, when the run was made.
 */
import { compareBytes, readU16, readU32, readU64 } from '../std/bytes.ts';
import { commitEntryHeaderBytes } from './commit-format.ts';
import { ranks } from './entry.ts';
import { entryFlags, ops } from './entry-format.ts';
import { RunCursor } from './run-cursor.ts';

/** A sorted log run: columns of its entries, in order, and of its records. */
export interface LogRunColumns {
  readonly bytes: Uint8Array;
  readonly hashes: Uint32Array;
  readonly offsets: Uint32Array;
  /** Of each entry, its record. */
  readonly records: Uint32Array;
  /** LSN of the first record; they have no gaps. */
  readonly firstLsn: number;
  /** Of each record. */
  readonly timestamps: Float64Array;
}

/** Reads a sorted log run. */
export class LogRunCursor extends RunCursor {
  readonly #columns: LogRunColumns;
  readonly #end: number;
  #at: number;

  /** Reads all entries, or those from one place to before another. */
  constructor(columns: LogRunColumns, from = 0, to: number = columns.offsets.length) {
    super();
    this.#columns = columns;
    this.#at = from;
    this.#end = to;
    this.bytes = columns.bytes;
  }

  next(): boolean {
    const { bytes, offsets, hashes, records, firstLsn, timestamps } = this.#columns;
    const index = this.#at;
    if (index >= this.#end) return false;
    this.#at = index + 1;
    const at = offsets[index]!;
    const record = records[index]!;
    this.hash = hashes[index]!;
    const flags = bytes[at + 14]!;
    let next = at + commitEntryHeaderBytes;
    this.table = readU32(bytes, at);
    this.lsn = firstLsn + record;
    this.timestamp = timestamps[record]!;
    this.op = bytes[at + 12]!;
    this.operator = bytes[at + 13]!;
    this.flags = flags;
    this.expiry = 0;
    this.eventTime = 0;
    if ((flags & entryFlags.expiry) !== 0) {
      this.expiry = readU64(bytes, next);
      next += 8;
    }
    if ((flags & entryFlags.eventTime) !== 0) {
      this.eventTime = readU64(bytes, next);
      next += 8;
    }
    this.keyStart = next;
    this.keyEnd = next + readU16(bytes, at + 8);
    this.subKeyEnd = this.keyEnd + readU16(bytes, at + 10);
    this.valueEnd = this.subKeyEnd + readU32(bytes, at + 4);
    return true;
  }
}

function keyStartOf(bytes: Uint8Array, at: number): number {
  const flags = bytes[at + 14]!;
  return at + commitEntryHeaderBytes + 8 * (((flags >> 1) & 1) + ((flags >> 2) & 1));
}

function rankAt(bytes: Uint8Array, at: number): number {
  if (bytes[at + 12]! >= ops.clearKey) return ranks.clear;
  return (bytes[at + 14]! & entryFlags.subKey) !== 0 ? ranks.subKey : ranks.plain;
}

/** Orders two entries in commit records by key, rank and sub-key. */
export function compareLogEntries(bytes: Uint8Array, a: number, b: number): number {
  const aStart = keyStartOf(bytes, a);
  const bStart = keyStartOf(bytes, b);
  const aEnd = aStart + readU16(bytes, a + 8);
  const bEnd = bStart + readU16(bytes, b + 8);
  const keys = compareBytes(bytes, aStart, aEnd, bytes, bStart, bEnd);
  if (keys !== 0) return keys;
  const rank = rankAt(bytes, a);
  const rankB = rankAt(bytes, b);
  if (rank !== rankB) return rank - rankB;
  const aSubEnd = aEnd + readU16(bytes, a + 10);
  const bSubEnd = bEnd + readU16(bytes, b + 10);
  return compareBytes(bytes, aEnd, aSubEnd, bytes, bEnd, bSubEnd);
}
