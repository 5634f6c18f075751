/*
 * Built-in merge operators on their stored form. Each is exactly associative (E3), so operands may
 * be folded in any legal order with the same bytes as the result.
 *
 *   add    value and operand: int64 LE. Identity 0.
 *   chunk  reference count int64 LE, then the chunk's content or nothing. Counts add; the content
 *          comes from the newest that has one (all are equal: the key is its digest). Identity: 0,
 *          nothing. In a base a count of 0 or less is no entry.
 *
 * Pure, and independent of anything that a store can name (DESIGN.md, 1).
 */
import { CorruptionError } from '../errors.ts';
import { copyBytes, readU32, writeU32 } from '../std/bytes.ts';
import type { Entry } from './entry.ts';
import { operatorIds, ops } from './entry-format.ts';

const INT64_BYTES = 8;

/** Memory for values that were computed; an entry in it is valid until the next fold. */
export class FoldScratch {
  bytes: Uint8Array = new Uint8Array(256);

  /** At least this many bytes; earlier contents stay readable through whoever holds them. */
  reserve(size: number): Uint8Array {
    if (this.bytes.length < size)
      this.bytes = new Uint8Array(Math.max(size, this.bytes.length * 2));
    return this.bytes;
  }
}

/** Refuses an operand whose form its operator cannot have. */
export function checkOperand(operand: Entry): void {
  const size = operand.valueEnd - operand.subKeyEnd;
  if (operand.operator === operatorIds.add) {
    if (size !== INT64_BYTES) throw badValue(operand, size);
  } else if (operand.operator === operatorIds.chunk) {
    if (size < INT64_BYTES) throw badValue(operand, size);
  } else {
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `table ${operand.table}: no operator ${operand.operator} is known`,
      { table: operand.table, operator: operand.operator, lsn: operand.lsn },
    );
  }
}

/**
 * Makes the value of `into` the older value followed by the newer operand. `into` is one of the
 * two; its key and sub-key are kept, its other fields untouched.
 */
export function combineValues(older: Entry, newer: Entry, into: Entry, scratch: FoldScratch): void {
  checkOperand(newer);
  // A put that the user wrote has no operator; whether it fits is seen by its size.
  const plain = older.op === ops.put && older.operator === operatorIds.none;
  if (!plain && older.operator !== newer.operator) throw mismatch(older, newer);
  const olderSize = older.valueEnd - older.subKeyEnd;
  const isChunk = newer.operator === operatorIds.chunk;
  if (isChunk ? olderSize < INT64_BYTES : olderSize !== INT64_BYTES) {
    throw badValue(older, olderSize);
  }
  const low = readU32(older.bytes, older.subKeyEnd) + readU32(newer.bytes, newer.subKeyEnd);
  const carry = low > 0xffff_ffff ? 1 : 0;
  const high =
    readU32(older.bytes, older.subKeyEnd + 4) + readU32(newer.bytes, newer.subKeyEnd + 4) + carry;
  const content = newer.valueEnd - newer.subKeyEnd > INT64_BYTES ? newer : older;
  const contentStart = content.subKeyEnd + INT64_BYTES;
  const { bytes: contentBytes, valueEnd: contentEnd } = content;
  const keyBytes = into.subKeyEnd - into.keyStart;
  const contentAt = keyBytes + INT64_BYTES;
  const end = contentAt + (contentEnd - contentStart);
  const target = scratch.reserve(end);
  // What already lies in the scratch lies at the same place: the layout depends on the key alone.
  if (into.bytes !== target) {
    copyBytes(into.bytes, into.keyStart, into.subKeyEnd, target, 0);
    into.bytes = target;
    into.keyEnd -= into.keyStart;
    into.subKeyEnd = keyBytes;
    into.keyStart = 0;
  }
  if (contentBytes !== target) copyBytes(contentBytes, contentStart, contentEnd, target, contentAt);
  writeU32(target, keyBytes, low >>> 0);
  writeU32(target, keyBytes + 4, high >>> 0);
  into.valueEnd = end;
}

/** Whether a base drops the put: a chunk that nothing refers to. */
export function isUnreferenced(entry: Entry): boolean {
  if (entry.operator !== operatorIds.chunk) return false;
  const low = readU32(entry.bytes, entry.subKeyEnd);
  const high = readU32(entry.bytes, entry.subKeyEnd + 4) | 0;
  return high < 0 || (high === 0 && low === 0);
}

function operatorName(entry: Entry): string {
  const found = Object.entries(operatorIds).find(([, id]) => id === entry.operator);
  return found ? found[0] : String(entry.operator);
}

function mismatch(older: Entry, newer: Entry): CorruptionError {
  const names = { older: operatorName(older), newer: operatorName(newer) };
  return new CorruptionError(
    'BROKEN_CHAIN',
    `table ${newer.table}: an operand of ${names.newer} meets a value of ${names.older}`,
    { table: newer.table, lsn: newer.lsn, expected: names.older, actual: names.newer },
  );
}

function badValue(entry: Entry, size: number): CorruptionError {
  const name = operatorName(entry);
  return new CorruptionError(
    'BROKEN_CHAIN',
    `table ${entry.table}: a value of ${size} bytes is none of operator ${name}`,
    { table: entry.table, lsn: entry.lsn, operator: name, actual: size },
  );
}
