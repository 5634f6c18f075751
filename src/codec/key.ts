/*
 * Encoding of keys (key-format.ts has the bytes), and what stands for a key in a `Map`. Invariants:
 * an invalid key is refused by every function here alike, and equal keys give equal results. Called
 * for each change of state on the main thread, so short ASCII strings and numbers take short ways.
 */
import { types } from 'node:util';
import { InternalError, InvalidArgumentError } from '../errors.ts';
import { decodeKey } from './key-decode.ts';
import {
  BIGINT_LIMIT,
  BIGINT_LONG,
  BIGINT_SHORT_BYTES_MAX,
  BIGINT_ZERO,
  END,
  ESCAPED,
  NUMBER_BYTES,
  TAG_BIGINT,
  TAG_BYTES,
  TAG_FALSE,
  TAG_NUMBER,
  TAG_STRING,
  TAG_TRUE,
  TAG_TUPLE,
  TWO_64,
  keyBytesMax,
  keyDepthMax,
  type Key,
} from './key-format.ts';

export { decodeKey, keyBytesMax, keyDepthMax, type Key };

/** Up to this length a loop over ASCII beats the call into the encoder. */
const SHORT_TEXT_MAX = 48;
/** A string of this length fits whatever its characters are: three bytes each, and the tag. */
const TEXT_LENGTH_SAFE = Math.floor((keyBytesMax - 1) / 3);

/** No string of the user starts with a low surrogate: one that does is not well formed. */
const MAP_KEY_MARK = '\uDC00';
const MAP_KEY_MARK_CODE = 0xdc00;

// Scratch space: filled and read within one call, which runs no code of the user (a tuple whose
// elements are getters that encode keys is nobody's key).
const scratch = Buffer.alloc(keyBytesMax);
const encoded = Buffer.alloc(keyBytesMax);
const word = new DataView(new ArrayBuffer(8));
const encoder = new TextEncoder();

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
  if (target.length - at < keyBytesMax) throw new InternalError('no room for a key', { at });
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
