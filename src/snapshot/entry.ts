/*
 * One entry in hand: its fields, and ranges of the bytes it was read from. Cursors, the merge
 * kernel and lookups all pass entries in this form, reuse the object, and copy bytes only when an
 * entry is written into a slice. The value starts where the sub-key ends.
 * Pure: no I/O, no clock.
 */
import { compareBytes, readU16, readU32, readU64 } from '../std/bytes.ts';
import { entryFlags, entryHeaderBytes, ops } from './entry-format.ts';

const NO_BYTES = new Uint8Array(0);

/** Fields of an entry; offsets are into `bytes`, which must not change while it is in use. */
export class Entry {
  table = 0;
  hash = 0;
  lsn = 0;
  /** Of the commit, microseconds. */
  timestamp = 0;
  op = 0;
  operator = 0;
  /** Only the sub-key bit counts; the others follow from the fields below when it is written. */
  flags = 0;
  /** Microseconds; 0 for none. */
  expiry = 0;
  /** Microseconds; 0 for none. */
  eventTime = 0;
  /** Timestamp of the first operand folded into this one; 0 when it is one operand. */
  firstTimestamp = 0;
  bytes: Uint8Array = NO_BYTES;
  keyStart = 0;
  keyEnd = 0;
  /** Where the value starts; equal to `keyEnd` without a sub-key. */
  subKeyEnd = 0;
  valueEnd = 0;

  /** Takes the fields of another entry; the bytes are shared. */
  assign(from: Entry): void {
    this.table = from.table;
    this.hash = from.hash;
    this.lsn = from.lsn;
    this.timestamp = from.timestamp;
    this.op = from.op;
    this.operator = from.operator;
    this.flags = from.flags;
    this.expiry = from.expiry;
    this.eventTime = from.eventTime;
    this.firstTimestamp = from.firstTimestamp;
    this.bytes = from.bytes;
    this.keyStart = from.keyStart;
    this.keyEnd = from.keyEnd;
    this.subKeyEnd = from.subKeyEnd;
    this.valueEnd = from.valueEnd;
  }
}

/** A clear stands before an entry without sub-key, that one before the sub-keys (E5). */
export const ranks = { clear: 0, plain: 1, subKey: 2 } as const;

/** Where an entry stands among those of its key. */
export function rankOf(entry: Entry): number {
  if (entry.op >= ops.clearKey) return ranks.clear;
  return (entry.flags & entryFlags.subKey) !== 0 ? ranks.subKey : ranks.plain;
}

/** Negative, zero or positive as the key of `a` stands before, with or behind that of `b`. */
export function compareKeys(a: Entry, b: Entry): number {
  if (a.table !== b.table) return a.table - b.table;
  if (a.hash !== b.hash) return a.hash - b.hash;
  return compareBytes(a.bytes, a.keyStart, a.keyEnd, b.bytes, b.keyStart, b.keyEnd);
}

/** Orders entries by all but the LSN: zero when one replaces, or folds into, the other. */
export function compareEntries(a: Entry, b: Entry): number {
  const keys = compareKeys(a, b);
  if (keys !== 0) return keys;
  const ranksDiffer = rankOf(a) - rankOf(b);
  if (ranksDiffer !== 0) return ranksDiffer;
  return compareBytes(a.bytes, a.keyEnd, a.subKeyEnd, b.bytes, b.keyEnd, b.subKeyEnd);
}

/** The key group of a hash: its top bits. */
export function keyGroupOf(hash: number, groupBits: number): number {
  return groupBits === 0 ? 0 : hash >>> (32 - groupBits);
}

/** The first hash of a key group, at which a clear of a table stands. */
export function groupStart(keyGroup: number, groupBits: number): number {
  return groupBits === 0 ? 0 : (keyGroup << (32 - groupBits)) >>> 0;
}

/** Bytes that the entry takes in a slice. */
export function entryBytes(entry: Entry): number {
  const optional =
    (entry.expiry === 0 ? 0 : 8) +
    (entry.eventTime === 0 ? 0 : 8) +
    (entry.firstTimestamp === 0 ? 0 : 8);
  return entryHeaderBytes + optional + (entry.valueEnd - entry.keyStart);
}

/**
 * Writes all of an entry of the given size but key, sub-key and value, which belong where the
 * returned offset says.
 */
export function writeEntryHeader(entry: Entry, view: DataView, at: number, size: number): number {
  view.setUint32(at, size, true);
  view.setUint32(at + 4, entry.hash, true);
  setU64(view, at + 8, entry.lsn);
  setU64(view, at + 16, entry.timestamp);
  let flags = entry.flags & entryFlags.subKey;
  let next = at + entryHeaderBytes;
  if (entry.expiry !== 0) {
    flags |= entryFlags.expiry;
    setU64(view, next, entry.expiry);
    next += 8;
  }
  if (entry.eventTime !== 0) {
    flags |= entryFlags.eventTime;
    setU64(view, next, entry.eventTime);
    next += 8;
  }
  if (entry.firstTimestamp !== 0) {
    flags |= entryFlags.firstTimestamp;
    setU64(view, next, entry.firstTimestamp);
    next += 8;
  }
  view.setUint8(at + 24, entry.op);
  view.setUint8(at + 25, entry.operator);
  view.setUint16(at + 26, flags, true);
  view.setUint16(at + 28, entry.keyEnd - entry.keyStart, true);
  view.setUint16(at + 30, entry.subKeyEnd - entry.keyEnd, true);
  return next;
}

/** Of a number that was read as a u64, or checked to be a safe integer. */
function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value / 0x1_0000_0000, true);
}

/** Reads the entry at `at`, whose bytes have been checked. The table is the slice's. */
export function readEntry(bytes: Uint8Array, at: number, table: number, into: Entry): void {
  const flags = bytes[at + 26]!;
  let next = at + entryHeaderBytes;
  into.table = table;
  into.hash = readU32(bytes, at + 4);
  into.lsn = readU64(bytes, at + 8);
  into.timestamp = readU64(bytes, at + 16);
  into.op = bytes[at + 24]!;
  into.operator = bytes[at + 25]!;
  into.flags = flags;
  into.expiry = 0;
  into.eventTime = 0;
  into.firstTimestamp = 0;
  if (flags > entryFlags.subKey) {
    if ((flags & entryFlags.expiry) !== 0) {
      into.expiry = readU64(bytes, next);
      next += 8;
    }
    if ((flags & entryFlags.eventTime) !== 0) {
      into.eventTime = readU64(bytes, next);
      next += 8;
    }
    if ((flags & entryFlags.firstTimestamp) !== 0) {
      into.firstTimestamp = readU64(bytes, next);
      next += 8;
    }
  }
  into.bytes = bytes;
  into.keyStart = next;
  into.keyEnd = next + readU16(bytes, at + 28);
  into.subKeyEnd = into.keyEnd + readU16(bytes, at + 30);
  into.valueEnd = at + readU32(bytes, at);
}

/** Where the key of the entry at `at` starts. */
export function entryKeyStart(bytes: Uint8Array, at: number): number {
  const flags = bytes[at + 26]! >> 1;
  return at + entryHeaderBytes + 8 * ((flags & 1) + ((flags >> 1) & 1) + ((flags >> 2) & 1));
}

/** Why the bytes at `at` are not an entry that ends at or before `end`, or undefined. */
export function entryFault(bytes: Uint8Array, at: number, end: number): string | undefined {
  if (at + entryHeaderBytes > end) return 'is cut short';
  const size = readU32(bytes, at);
  if (size < entryHeaderBytes || at + size > end) return `has ${size} bytes`;
  const op = bytes[at + 24]!;
  if (op < ops.put || op > ops.clearTable) return `has op ${op}`;
  const flags = bytes[at + 26]!;
  if (flags > 15 || bytes[at + 27] !== 0) return 'has reserved bits set';
  if (!Number.isSafeInteger(readU64(bytes, at + 8))) return 'has an LSN out of range';
  if (!Number.isSafeInteger(readU64(bytes, at + 16))) return 'has a timestamp out of range';
  const keyStart = entryKeyStart(bytes, at);
  const keyBytes = readU16(bytes, at + 28);
  const subKeyBytes = readU16(bytes, at + 30);
  if (keyStart + keyBytes + subKeyBytes > at + size) return 'has keys past its end';
  for (let next = at + entryHeaderBytes; next < keyStart; next += 8) {
    const time = readU64(bytes, next);
    if (!Number.isSafeInteger(time)) return 'has a time out of range';
    if (time === 0) return 'has a time that is none';
  }
  if ((keyBytes === 0) !== (op === ops.clearTable)) return `has op ${op} and ${keyBytes} key bytes`;
  if (subKeyBytes !== 0 && (flags & entryFlags.subKey) === 0) return 'has a sub-key unannounced';
  return undefined;
}
