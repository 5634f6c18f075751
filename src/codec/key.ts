/*
 * Keys as bytes that sort as the keys do, and back, exactly. Part of the format, version 1.
 *
 * | Tag  | Key      | After the tag                                                                |
 * |------|----------|------------------------------------------------------------------------------|
 * | 0x10 | false    | nothing                                                                      |
 * | 0x11 | true     | nothing                                                                      |
 * | 0x20 | number   | the 8 bytes of the double, big-endian: sign bit set if positive, all         |
 * |      |          | complemented if negative                                                     |
 * | 0x30 | bigint   | length byte 0x80 + n (0xff and a big-endian u16 from n = 127 on), then the n  |
 * |      |          | bytes of the magnitude, big-endian; all complemented if negative             |
 * | 0x40 | string   | UTF-8                                                                        |
 * | 0x50 | bytes    | the bytes                                                                    |
 * | 0x60 | tuple    | its elements                                                                 |
 *
 * Keys of different kinds sort by tag. Inside a tuple a string, bytes and a tuple end with 0x00, so
 * that a prefix sorts first; a 0x00 within a string or bytes is there written as 0x00 0xff, which
 * no tag can be taken for. At the top level the end of the key ends it.
 *
 * Invariants: K1 equal keys have equal bytes and each key has one encoding (decoding refuses every
 * other). K2 comparing bytes compares keys. K3 no encoding is empty or longer than keyBytesMax.
 */
import { types } from 'node:util';
import { CorruptionError, InvalidArgumentError } from '../errors.ts';
import { assert } from '../std/assert.ts';

/** A key: a primitive, bytes, or a tuple of keys. */
export type Key = string | number | bigint | boolean | Uint8Array | readonly Key[];

/** Longest encoding of a key, in bytes. */
export const keyBytesMax = 65_535;

/** How deep tuples may nest: a tuple of primitives is 1 deep. */
export const keyDepthMax = 8;

const TAG_FALSE = 0x10;
const TAG_TRUE = 0x11;
const TAG_NUMBER = 0x20;
const TAG_BIGINT = 0x30;
const TAG_STRING = 0x40;
const TAG_BYTES = 0x50;
const TAG_TUPLE = 0x60;

const END = 0x00;
const ESCAPED = 0xff;

const NUMBER_BYTES = 9;
const BIGINT_ZERO = 0x80;
const BIGINT_LONG = 0xff;
const BIGINT_SHORT_BYTES_MAX = 126;
/** No magnitude of this size or above fits: tag, length byte and u16 come before it. */
const BIGINT_LIMIT = 1n << BigInt(8 * (keyBytesMax - 4));
const TWO_64 = 1n << 64n;

/** Up to this length a loop over ASCII beats the call into the encoder. */
const SHORT_TEXT_MAX = 48;
/** A string of this length fits whatever its characters are: three bytes each, and the tag. */
const TEXT_LENGTH_SAFE = Math.floor((keyBytesMax - 1) / 3);

/** No string of the user starts with a low surrogate: one that does is not well formed. */
const MAP_KEY_MARK = '\uDC00';
const MAP_KEY_MARK_CODE = 0xdc00;

// Scratch space: every use is over before anything else can run.
const scratch = Buffer.alloc(keyBytesMax);
const encoded = Buffer.alloc(keyBytesMax);
const word = new DataView(new ArrayBuffer(8));
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Order-preserving bytes of a key, as a fresh copy.
 *
 * @throws {@link InvalidArgumentError} INVALID_KEY with `details.reason`: `type`, `nan`,
 * `lone-surrogate`, `too-long` or `too-deep`.
 */
export function encodeKey(key: Key): Uint8Array {
  const end = encodeKeyInto(key, encoded, 0);
  const copy = new Uint8Array(end);
  copy.set(encoded.subarray(0, end));
  return copy;
}

/**
 * Writes the bytes of a key into `target` from `at` on and returns where they end. `target` must
 * have room for `keyBytesMax` bytes there, whatever the key: no more are ever written, and fewer
 * are not checked for one by one. After an error the bytes there are undefined.
 */
export function encodeKeyInto(key: Key, target: Uint8Array, at: number): number {
  assert(target.length - at >= keyBytesMax, 'no room for a key', { at, length: target.length });
  if (typeof key === 'string') {
    if (key.length <= SHORT_TEXT_MAX) {
      const end = putShortAscii(key, target, at + 1);
      if (end !== 0) {
        target[at] = TAG_STRING;
        return end;
      }
    }
    target[at] = TAG_STRING;
    return putRaw(scratch, textToScratch(key), target, at + 1, at + keyBytesMax);
  }
  if (typeof key === 'number') return putNumber(key, target, at, at + keyBytesMax);
  if (types.isUint8Array(key)) {
    target[at] = TAG_BYTES;
    return putRaw(key, key.length, target, at + 1, at + keyBytesMax);
  }
  if (Array.isArray(key)) return putTuple(key, target, at, at + keyBytesMax, 1);
  return putFixed(key, target, at, at + keyBytesMax);
}

/**
 * The key that the bytes from `start` to `end` encode; nothing of it aliases the bytes, which may
 * lie in a SharedArrayBuffer.
 *
 * @throws {@link CorruptionError} CORRUPT_SNAPSHOT when they are not the encoding of a key.
 */
export function decodeKey(bytes: Uint8Array, start: number, end: number): Key {
  if (start < 0 || end > bytes.length || start >= end || end - start > keyBytesMax) {
    throw corruptKey('has no possible length', start);
  }
  const tag = bytes[start]!;
  if (tag === TAG_STRING) return decodeText(rawToScratch(bytes, start + 1, end), start);
  if (tag === TAG_BYTES) return Uint8Array.from(bytes.subarray(start + 1, end));
  const reader = { bytes, at: start, end };
  const key = tag === TAG_TUPLE ? takeTuple(reader, 1) : takeFixed(reader);
  if (reader.at !== end) throw corruptKey('is followed by other bytes', start);
  return key;
}

/**
 * A primitive that identifies the key in a `Map`: strings, numbers, bigints and booleans stand for
 * themselves (-0 as 0), bytes and tuples for a string that equals no string of the user.
 *
 * @throws {@link InvalidArgumentError} INVALID_KEY, as {@link encodeKey}.
 */
export function mapKeyOf(key: Key): string | number | bigint | boolean {
  if (typeof key === 'string') {
    checkText(key);
    return key;
  }
  if (typeof key === 'number') {
    if (Number.isNaN(key)) throw invalidKey('nan', 'A key cannot be NaN');
    return key + 0;
  }
  if (typeof key === 'boolean') return key;
  if (typeof key === 'bigint') {
    checkBigint(key);
    return key;
  }
  const end = encodeKeyInto(key, encoded, 0);
  return MAP_KEY_MARK + encoded.toString('latin1', 0, end);
}

/** The key that `mapKeyOf` stands for. */
export function keyOfMapKey(mapKey: string | number | bigint | boolean): Key {
  if (typeof mapKey !== 'string' || mapKey.charCodeAt(0) !== MAP_KEY_MARK_CODE) return mapKey;
  const end = encoded.write(mapKey.slice(1), 'latin1');
  return decodeKey(encoded, 0, end);
}

/* Encoding */

function putElement(
  key: Key,
  target: Uint8Array,
  at: number,
  limit: number,
  depth: number,
): number {
  if (typeof key === 'string') {
    return putEnded(TAG_STRING, scratch, textToScratch(key), target, at, limit);
  }
  if (typeof key === 'number') return putNumber(key, target, at, limit);
  if (types.isUint8Array(key)) return putEnded(TAG_BYTES, key, key.length, target, at, limit);
  if (!Array.isArray(key)) return putFixed(key, target, at, limit);
  const end = putTuple(key, target, at, limit, depth);
  if (end >= limit) throw tooLong();
  target[end] = END;
  return end + 1;
}

function putTuple(
  key: readonly Key[],
  target: Uint8Array,
  at: number,
  limit: number,
  depth: number,
): number {
  if (depth > keyDepthMax) {
    throw invalidKey('too-deep', `Tuples in a key nest at most ${keyDepthMax} deep`);
  }
  if (at >= limit) throw tooLong();
  target[at] = TAG_TUPLE;
  let end = at + 1;
  // By index, so that a hole is seen as the undefined that it reads as.
  for (let i = 0; i < key.length; i++) {
    end = putElement(key[i] as Key, target, end, limit, depth + 1);
  }
  return end;
}

/** Booleans, numbers and bigints: they say themselves where they end. */
function putFixed(key: Key, target: Uint8Array, at: number, limit: number): number {
  if (typeof key === 'bigint') return putBigint(key, target, at, limit);
  if (typeof key !== 'boolean') {
    const type = key === null ? 'null' : typeof key;
    throw invalidKey(
      'type',
      `A key is a string, number, bigint, boolean, Uint8Array or tuple of those, not: ${type}`,
    );
  }
  if (at >= limit) throw tooLong();
  target[at] = key ? TAG_TRUE : TAG_FALSE;
  return at + 1;
}

function putNumber(key: number, target: Uint8Array, at: number, limit: number): number {
  if (Number.isNaN(key)) throw invalidKey('nan', 'A key cannot be NaN');
  if (limit - at < NUMBER_BYTES) throw tooLong();
  word.setFloat64(0, key + 0); // -0 + 0 is 0
  let high = word.getInt32(0);
  let low = word.getInt32(4);
  if (high < 0) {
    high = ~high;
    low = ~low;
  } else {
    high ^= 0x8000_0000;
  }
  target[at] = TAG_NUMBER;
  putU32(high, target, at + 1);
  putU32(low, target, at + 5);
  return at + NUMBER_BYTES;
}

function putU32(value: number, target: Uint8Array, at: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

function putBigint(key: bigint, target: Uint8Array, at: number, limit: number): number {
  checkBigint(key);
  const flip = key < 0n ? 0xff : 0;
  const length = magnitudeToScratch(key < 0n ? -key : key);
  const long = length > BIGINT_SHORT_BYTES_MAX;
  const bodyAt = at + (long ? 4 : 2);
  if (limit - bodyAt < length) throw tooLong();
  target[at] = TAG_BIGINT;
  target[at + 1] = (long ? BIGINT_LONG : BIGINT_ZERO + length) ^ flip;
  if (long) {
    target[at + 2] = (length >>> 8) ^ flip;
    target[at + 3] = (length & 0xff) ^ flip;
  }
  for (let i = 0; i < length; i++) target[bodyAt + i] = scratch[i]! ^ flip;
  return bodyAt + length;
}

/** Puts the big-endian bytes of the magnitude, without leading zeros, at 0; returns their count. */
function magnitudeToScratch(magnitude: bigint): number {
  if (magnitude === 0n) return 0;
  const hex = magnitude.toString(16);
  return scratch.write(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

/** Returns the end, or 0 when a character is not ASCII. */
function putShortAscii(text: string, target: Uint8Array, at: number): number {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return 0;
    target[at + i] = code;
  }
  return at + length;
}

/** Puts the UTF-8 of a checked string at 0 and returns its length. */
function textToScratch(text: string): number {
  if (text.length <= SHORT_TEXT_MAX) {
    const end = putShortAscii(text, scratch, 0);
    if (end !== 0) return end;
  }
  checkText(text);
  return encoder.encodeInto(text, scratch).written;
}

function putRaw(
  source: Uint8Array,
  length: number,
  target: Uint8Array,
  at: number,
  limit: number,
): number {
  if (limit - at < length) throw tooLong();
  target.set(source.length === length ? source : source.subarray(0, length), at);
  return at + length;
}

/** A string or bytes inside a tuple: zeros escaped, ended by a zero. */
function putEnded(
  tag: number,
  source: Uint8Array,
  length: number,
  target: Uint8Array,
  at: number,
  limit: number,
): number {
  if (limit - at < length + 2) throw tooLong();
  target[at] = tag;
  let to = at + 1;
  for (let i = 0; i < length; i++) {
    const byte = source[i]!;
    if (to >= limit) throw tooLong();
    target[to++] = byte;
    if (byte !== 0) continue;
    if (to >= limit) throw tooLong();
    target[to++] = ESCAPED;
  }
  if (to >= limit) throw tooLong();
  target[to] = END;
  return to + 1;
}

/* Decoding */

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
}

function takeElement(reader: Reader, depth: number): Key {
  const start = reader.at;
  switch (reader.bytes[start]!) {
    case TAG_STRING:
      return decodeText(takeEndedToScratch(reader), start);
    case TAG_BYTES:
      return Uint8Array.from(scratch.subarray(0, takeEndedToScratch(reader)));
    case TAG_TUPLE: {
      const tuple = takeTuple(reader, depth);
      if (reader.at >= reader.end) throw corruptKey('has an unended tuple', start);
      reader.at++;
      return tuple;
    }
    default:
      return takeFixed(reader);
  }
}

/** Reads elements up to an END, which is left to the caller, or up to the end of the key. */
function takeTuple(reader: Reader, depth: number): Key[] {
  if (depth > keyDepthMax) throw corruptKey('nests too deep', reader.at);
  reader.at++;
  const tuple: Key[] = [];
  while (reader.at < reader.end && reader.bytes[reader.at] !== END) {
    tuple.push(takeElement(reader, depth + 1));
  }
  return tuple;
}

function takeFixed(reader: Reader): Key {
  const tag = reader.bytes[reader.at]!;
  switch (tag) {
    case TAG_FALSE:
    case TAG_TRUE:
      reader.at++;
      return tag === TAG_TRUE;
    case TAG_NUMBER:
      return takeNumber(reader);
    case TAG_BIGINT:
      return takeBigint(reader);
    default:
      throw corruptKey(`has the unknown tag ${tag}`, reader.at);
  }
}

function takeNumber(reader: Reader): number {
  const { bytes, at } = reader;
  if (reader.end - at < NUMBER_BYTES) throw corruptKey('has a number that is cut short', at);
  const negative = bytes[at + 1]! < 0x80;
  for (let i = 0; i < 8; i++) {
    word.setUint8(i, negative ? ~bytes[at + 1 + i]! : bytes[at + 1 + i]!);
  }
  if (!negative) word.setUint8(0, word.getUint8(0) & 0x7f);
  const value = word.getFloat64(0);
  if (Number.isNaN(value) || Object.is(value, -0)) {
    throw corruptKey('has a number that no key holds', at);
  }
  reader.at = at + NUMBER_BYTES;
  return value;
}

function takeBigint(reader: Reader): bigint {
  const { bytes, at, end } = reader;
  if (end - at < 2) throw corruptKey('has a bigint that is cut short', at);
  const flip = bytes[at + 1]! < BIGINT_ZERO ? 0xff : 0;
  let length = (bytes[at + 1]! ^ flip) - BIGINT_ZERO;
  let from = at + 2;
  if (length > BIGINT_SHORT_BYTES_MAX) {
    if (end - at < 4) throw corruptKey('has a bigint that is cut short', at);
    length = ((bytes[at + 2]! ^ flip) << 8) | (bytes[at + 3]! ^ flip);
    from = at + 4;
    if (length <= BIGINT_SHORT_BYTES_MAX) throw corruptKey('has a bigint of odd length', at);
  }
  if (end - from < length) throw corruptKey('has a bigint that is cut short', at);
  if (length === 0 ? flip !== 0 : (bytes[from]! ^ flip) === 0) {
    throw corruptKey('has a bigint that no key holds', at);
  }
  for (let i = 0; i < length; i++) scratch[i] = bytes[from + i]! ^ flip;
  reader.at = from + length;
  if (length === 0) return 0n;
  const magnitude = BigInt(`0x${scratch.toString('hex', 0, length)}`);
  return flip === 0 ? magnitude : -magnitude;
}

/** Copies raw bytes to the scratch space; returns their count. */
function rawToScratch(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > SHORT_TEXT_MAX) scratch.set(bytes.subarray(start, end));
  else for (let i = 0; i < length; i++) scratch[i] = bytes[start + i]!;
  return length;
}

/** Reads a tag, then bytes up to an END, undoing the escapes; returns their count. */
function takeEndedToScratch(reader: Reader): number {
  const { bytes, end } = reader;
  const start = reader.at;
  let length = 0;
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === END) {
      if (at + 1 >= end || bytes[at + 1] !== ESCAPED) {
        reader.at = at + 1;
        return length;
      }
      at++;
    }
    scratch[length++] = byte;
  }
  throw corruptKey('has an unended element', start);
}

function decodeText(length: number, start: number): string {
  let all = 0;
  for (let i = 0; i < length; i++) all |= scratch[i]!;
  if (all < 0x80) return scratch.toString('latin1', 0, length);
  try {
    return decoder.decode(scratch.subarray(0, length));
  } catch (error) {
    throw corruptKey('has a string that is not UTF-8', start, error);
  }
}

/* Checks */

/** The library of ES2023 does not declare it; every supported Node has it. */
interface WellFormedText {
  isWellFormed(): boolean;
}

function checkText(text: string): void {
  if (!(text as unknown as WellFormedText).isWellFormed()) {
    throw invalidKey('lone-surrogate', 'A string in a key has a lone surrogate');
  }
  if (text.length > TEXT_LENGTH_SAFE && Buffer.byteLength(text) >= keyBytesMax) throw tooLong();
}

function checkBigint(key: bigint): void {
  if (key < TWO_64 && key > -TWO_64) return;
  if (key >= BIGINT_LIMIT || key <= -BIGINT_LIMIT) throw tooLong();
}

function tooLong(): InvalidArgumentError {
  return invalidKey('too-long', `A key is at most ${keyBytesMax} bytes when encoded`);
}

function invalidKey(reason: string, message: string): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_KEY', message, { reason });
}

function corruptKey(what: string, at: number, cause?: unknown): CorruptionError {
  return new CorruptionError('CORRUPT_SNAPSHOT', `A stored key ${what}`, { at }, cause);
}
