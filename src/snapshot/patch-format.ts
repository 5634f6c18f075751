/*
 * A merge patch as it stands in an operand: a stored object (value-format.ts) whose fields say what
 * becomes of the field of the same name (RFC 7386, with two additions that composing needs).
 *
 * | Field's bytes            | Meaning                                                             |
 * |--------------------------|---------------------------------------------------------------------|
 * | nil                      | the field is deleted; kept when patches are composed                |
 * | an object                | a patch for the field; on what is no object it starts from nothing  |
 * | 0xc1, then an object     | the field becomes this object, whatever it was                      |
 * | any other value          | the field becomes this value; its bytes are copied, never decoded   |
 *
 * 0xc1 is the head of no value. In front of the object stands the version of the value that the patch
 * makes, where that is above 1 (value-version.ts). Only plain objects are patched into: objects without prototype, maps
 * and instances of classes are values like any other.
 *
 * Invariant N1: the fields of every object that a patch made or met stand in the order of names
 * below, in operands and in what comes of applying them. So the bytes do not depend on how operands
 * were grouped, although "delete a, then set a" would otherwise move a to the end in one grouping
 * and not in another. The order is the one in which a JS object lists its keys: array indices by
 * their number, then all others, by the bytes of their UTF-8. So a value that is read and stored
 * again has the same bytes too.
 */
import { isObjectHead, readLength, skipValue } from '../codec/value-skip.ts';
import { VALUE_BYTES_MAX, VALUE_DEPTH_MAX } from '../codec/value-format.ts';
import { CorruptionError } from '../errors.ts';
import { compareBytes, copyBytes } from '../std/bytes.ts';

/** The head of a field that is deleted. */
export const NIL = 0xc0;
export { isObjectHead, MARK } from '../codec/value-skip.ts';

const INDEX_DIGITS_MAX = 10;
const INDEX_MAX = 0xffff_fffe;

/** The fields of one object, in the order of their names. */
export interface Fields {
  readonly bytes: Uint8Array;
  /** Four numbers a field: where its key, its name and its value start, and where it ends. */
  readonly places: readonly number[];
  readonly count: number;
}

export const noFields: Fields = { bytes: new Uint8Array(0), places: [], count: 0 };

/** Where the parts of field `index` are, as offsets into `places`. */
export const PLACES = 4;

/** A range of bytes. */
export interface BytesRange {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** What an object is read as: a patch, whose order is checked, or a value, which is put in order. */
export type ObjectRole = 'patch' | 'value';

/** Reads the object that fills a range. */
export function readFields(range: BytesRange, role: ObjectRole, depth: number): Fields {
  const { bytes, start, end } = range;
  if (depth >= VALUE_DEPTH_MAX) throw badPatch('is nested too deep');
  const head = start < end ? bytes[start]! : NIL;
  if (!isObjectHead(head)) throw badPatch('is no object');
  const width = head < 0x90 ? 0 : head === 0xde ? 2 : 4;
  if (start + 1 + width > end) throw badPatch('is cut short');
  const count = width === 0 ? head & 0x0f : readLength(bytes, start + 1, width);
  const places: number[] = [];
  let at = start + 1 + width;
  let sorted = true;
  for (let i = 0; i < count; i++) {
    const name = nameStart(bytes, at, end);
    const value = skipValue(bytes, at, end);
    const next = value < 0 ? -1 : skipValue(bytes, value, end, role === 'patch');
    if (name < 0 || next < 0) throw badPatch('has a field that is none');
    if (i > 0 && sorted) {
      const last = places.length - PLACES;
      sorted = compareNames(bytes, places[last + 1]!, places[last + 2]!, bytes, name, value) < 0;
    }
    places.push(at, name, value, next);
    at = next;
  }
  if (at !== end) throw badPatch('has bytes left over');
  if (sorted) return { bytes, places, count };
  if (role === 'patch') throw badPatch('has fields out of order');
  return { bytes, places: sortPlaces(bytes, places, count), count };
}

/** Where the text of the string at `at` starts; -1 when there is no string. */
function nameStart(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const head = bytes[at]!;
  if (head >= 0xa0 && head < 0xc0) return at + 1;
  if (head < 0xd9 || head > 0xdb) return -1;
  return at + 1 + (1 << (head - 0xd9));
}

function sortPlaces(bytes: Uint8Array, places: readonly number[], count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i * PLACES);
  const compare = (a: number, b: number): number =>
    compareNames(bytes, places[a + 1]!, places[a + 2]!, bytes, places[b + 1]!, places[b + 2]!);
  order.sort(compare);
  for (let i = 1; i < count; i++) {
    if (compare(order[i - 1]!, order[i]!) === 0) throw badPatch('repeats the name of a field');
  }
  return order.flatMap((at) => places.slice(at, at + PLACES));
}

/** Orders names of fields (N1); zero only for equal ones. */
export function compareNames(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aIsIndex = isIndex(a, aStart, aEnd);
  const bIsIndex = isIndex(b, bStart, bEnd);
  if (aIsIndex !== bIsIndex) return aIsIndex ? -1 : 1;
  // Of two indices, which have no leading zeros, the one with more digits is the greater.
  if (aIsIndex && aEnd - aStart !== bEnd - bStart) return aEnd - aStart - (bEnd - bStart);
  return compareBytes(a, aStart, aEnd, b, bStart, bEnd);
}

/** Whether a name is that of an item of an array, which an object lists first. */
function isIndex(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length === 0 || length > INDEX_DIGITS_MAX) return false;
  if (bytes[start] === 0x30) return length === 1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  return value <= INDEX_MAX;
}

/** Bytes that are put together in memory of their own. */
export class PatchWriter {
  bytes: Uint8Array;
  length = 0;

  /** @param capacity about what will be written */
  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.bytes[this.length++] = value;
  }

  /** The head of an object with so many fields. */
  object(count: number): void {
    this.#reserve(5);
    const { bytes } = this;
    if (count < 0x10) {
      bytes[this.length++] = 0x80 | count;
      return;
    }
    const wide = count >= 0x1_0000;
    bytes[this.length++] = wide ? 0xdf : 0xde;
    if (wide) {
      bytes[this.length++] = count >>> 24;
      bytes[this.length++] = count >>> 16;
    }
    bytes[this.length++] = count >>> 8;
    bytes[this.length++] = count;
  }

  copy(bytes: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start);
    copyBytes(bytes, start, end, this.bytes, this.length);
    this.length += end - start;
  }

  #reserve(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    if (needed > VALUE_BYTES_MAX) throw badPatch(`makes more than ${VALUE_BYTES_MAX} bytes`);
    const larger = new Uint8Array(Math.min(VALUE_BYTES_MAX, Math.max(needed, 2 * this.length)));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

function badPatch(why: string): CorruptionError {
  return new CorruptionError('CORRUPT_SNAPSHOT', `a merge patch, or what it patches, ${why}`);
}
