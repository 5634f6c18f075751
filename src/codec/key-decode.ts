/*
 * Decoding of keys (key-format.ts). Only what the encoder writes is taken, so a key has one
 * encoding; whatever else is there is corruption. The bytes may lie in a SharedArrayBuffer and
 * nothing decoded aliases them.
 */
import { CorruptionError } from '../errors.ts';
import {
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
  keyBytesMax,
  keyDepthMax,
  type Key,
} from './key-format.ts';

/** Up to this length a loop beats `set(subarray())`. */
const SHORT_BYTES_MAX = 48;

// Scratch space, used up before anything else can run.
const scratch = Buffer.alloc(keyBytesMax);
const word = new DataView(new ArrayBuffer(8));
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

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
  if (length > SHORT_BYTES_MAX) scratch.set(bytes.subarray(start, end));
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

function corruptKey(what: string, at: number, cause?: unknown): CorruptionError {
  return new CorruptionError('CORRUPT_SNAPSHOT', `A stored key ${what}`, { at }, cause);
}
