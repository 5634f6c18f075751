/*
 * Built-in merge operators on their stored form. Each is exactly associative (E3), so operands may
 * be folded in any legal order with the same bytes as the result.
 *
 *   add    value and operand: int64 LE. Identity 0. A sum that leaves int64 is refused, never
 *          wrapped: one lineage cannot make one, where lineages are joined it is a conflict.
 *   chunk  reference count int64 LE, then the chunk's content or nothing. Counts add; the content
 *          comes from the newest that has one (all are equal: the key is its digest). Identity: 0,
 *          nothing. In a base a count of 0 or less is no entry.
 *   min,   value and operand: a finite number or a bigint, as values are stored. Compared by what
 *   max    they are, number or bigint; of two that are equal (1 and 1n) the older stays. Identity:
 *          nothing, so the first operand is the value.
 *   patch  value: any stored value; operand: a merge patch (patch-format.ts). Identity: nothing.
 *
 * Pure, and independent of anything that a store can name (DESIGN.md, 1).
 */
import { readNumber } from '../codec/value-number.ts';
import { CorruptionError } from '../errors.ts';
import { copyBytes, readU32, toHex, writeU32 } from '../std/bytes.ts';
import type { Entry } from './entry.ts';
import { operatorIds, ops } from './entry-format.ts';
import { applyPatch, composePatches } from './patch.ts';
import { PatchWriter, type BytesRange } from './patch-format.ts';

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

/** Makes the value of an operand what the operator gives on nothing. */
export function applyToNothing(operand: Entry): void {
  checkOperand(operand);
  if (operand.operator !== operatorIds.patch) return;
  const patch = valueOf(operand);
  setComputed(operand, patch.end - patch.start, (out) => applyPatch(patch, undefined, out));
}

/**
 * Makes the value of `into` the older value followed by the newer operand. `into` is one of the
 * two; its key and sub-key are kept, its other fields untouched.
 * @throws CorruptionError BROKEN_CHAIN when the two do not fit each other, or a sum leaves int64
 */
export function combineValues(older: Entry, newer: Entry, into: Entry, scratch: FoldScratch): void {
  const { operator } = newer;
  // A put that the user wrote has no operator; whether it fits is seen by its form.
  const plain = older.op === ops.put && older.operator === operatorIds.none;
  if (!plain && older.operator !== operator) {
    checkOperand(newer);
    throw mismatch(older, newer);
  }
  if (operator === operatorIds.min || operator === operatorIds.max) {
    combineExtremes(older, newer, into);
  } else if (operator === operatorIds.patch) {
    combinePatches(older, newer, into);
  } else {
    checkOperand(newer);
    combineCounts(older, newer, into, scratch);
  }
}

/** Whether the sum of a value, or operand, and a newer operand of `add` leaves int64. */
export function sumOverflows(older: Entry, newer: Entry): boolean {
  const a = readU32(older.bytes, older.subKeyEnd + 4) | 0;
  const b = readU32(newer.bytes, newer.subKeyEnd + 4) | 0;
  const low = readU32(older.bytes, older.subKeyEnd) + readU32(newer.bytes, newer.subKeyEnd);
  const sum = (a + b + (low > 0xffff_ffff ? 1 : 0)) | 0;
  // Two of one sign whose sum has the other.
  return ((a ^ sum) & (b ^ sum)) < 0;
}

/** Whether a base drops the put: a chunk that nothing refers to. */
export function isUnreferenced(entry: Entry): boolean {
  if (entry.operator !== operatorIds.chunk) return false;
  const low = readU32(entry.bytes, entry.subKeyEnd);
  const high = readU32(entry.bytes, entry.subKeyEnd + 4) | 0;
  return high < 0 || (high === 0 && low === 0);
}

/** Refuses an operand whose form its operator cannot have; of a patch its fields are not looked at. */
function checkOperand(operand: Entry): void {
  const size = operand.valueEnd - operand.subKeyEnd;
  switch (operand.operator) {
    case operatorIds.add:
      if (size !== INT64_BYTES) throw badValue(operand);
      return;
    case operatorIds.chunk:
      if (size < INT64_BYTES) throw badValue(operand);
      return;
    case operatorIds.min:
    case operatorIds.max:
      numberOf(operand);
      return;
    case operatorIds.patch:
      return;
    default:
      throw new CorruptionError(
        'BROKEN_CHAIN',
        `table ${operand.table}: no operator ${operand.operator} is known`,
        { table: operand.table, operator: operand.operator, lsn: operand.lsn },
      );
  }
}

function combineCounts(older: Entry, newer: Entry, into: Entry, scratch: FoldScratch): void {
  const olderSize = older.valueEnd - older.subKeyEnd;
  const isChunk = newer.operator === operatorIds.chunk;
  if (isChunk ? olderSize < INT64_BYTES : olderSize !== INT64_BYTES) throw badValue(older);
  if (sumOverflows(older, newer)) throw overflow(older, newer);
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
    place(into, target, keyBytes);
  }
  if (contentBytes !== target) copyBytes(contentBytes, contentStart, contentEnd, target, contentAt);
  writeU32(target, keyBytes, low >>> 0);
  writeU32(target, keyBytes + 4, high >>> 0);
  into.valueEnd = end;
}

function combineExtremes(older: Entry, newer: Entry, into: Entry): void {
  const before = numberOf(older);
  const after = numberOf(newer);
  const chosen = (newer.operator === operatorIds.min ? after < before : after > before)
    ? newer
    : older;
  if (chosen === into) return;
  // Both have the same key, so that the bytes of either serve.
  into.bytes = chosen.bytes;
  into.keyStart = chosen.keyStart;
  into.keyEnd = chosen.keyEnd;
  into.subKeyEnd = chosen.subKeyEnd;
  into.valueEnd = chosen.valueEnd;
}

function combinePatches(older: Entry, newer: Entry, into: Entry): void {
  const [before, patch] = [valueOf(older), valueOf(newer)];
  const write = (out: PatchWriter): void => {
    if (older.op === ops.put) applyPatch(patch, before, out);
    else composePatches(before, patch, out);
  };
  setComputed(into, before.end - before.start + patch.end - patch.start, write);
}

/** Gives an entry a value of about so many bytes, behind a copy of its key, in memory of its own. */
function setComputed(into: Entry, bytes: number, write: (out: PatchWriter) => void): void {
  const keyBytes = into.subKeyEnd - into.keyStart;
  const out = new PatchWriter(keyBytes + bytes + 64);
  out.copy(into.bytes, into.keyStart, into.subKeyEnd);
  try {
    write(out);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    throw badValue(into, error);
  }
  place(into, out.bytes, keyBytes);
  into.valueEnd = out.length;
}

/** Moves an entry to bytes at whose start its key has been written. */
function place(into: Entry, bytes: Uint8Array, keyBytes: number): void {
  into.bytes = bytes;
  into.keyEnd -= into.keyStart;
  into.subKeyEnd = keyBytes;
  into.keyStart = 0;
}

function valueOf({ bytes, subKeyEnd, valueEnd }: Entry): BytesRange {
  return { bytes, start: subKeyEnd, end: valueEnd };
}

function numberOf(entry: Entry): number | bigint {
  const { bytes, subKeyEnd, valueEnd } = entry;
  let value: number | bigint | undefined;
  let cause: unknown;
  try {
    value = readNumber(bytes, subKeyEnd, valueEnd);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    cause = error;
  }
  if (value === undefined) throw badValue(entry, cause);
  return value;
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

function badValue(entry: Entry, cause?: unknown): CorruptionError {
  const name = operatorName(entry);
  const size = entry.valueEnd - entry.subKeyEnd;
  return new CorruptionError(
    'BROKEN_CHAIN',
    `table ${entry.table}: a value of ${size} bytes is none of operator ${name}`,
    { table: entry.table, lsn: entry.lsn, operator: name, actual: size },
    cause,
  );
}

function overflow(older: Entry, newer: Entry): CorruptionError {
  const key = toHex(newer.bytes.subarray(newer.keyStart, newer.keyEnd));
  return new CorruptionError(
    'BROKEN_CHAIN',
    `table ${newer.table}: a sum leaves 64 bits at LSN ${newer.lsn}, key ${key}`,
    { table: newer.table, lsn: newer.lsn, olderLsn: older.lsn, key },
  );
}
