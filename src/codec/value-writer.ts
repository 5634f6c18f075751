/*
 * Bytes of MessagePack scalars and headers, appended to a buffer that is used again, or to one of the
 * caller. The buffer that is kept stays small: a value that outgrows it gets buffers of its own,
 * which live as long as the caller holds the result. Called by the value encoder only.
 */
import { assert } from '../std/assert.ts';
import {
  CANONICAL_NAN,
  EXT_BIGINT,
  EXT_DATE,
  EXT_UNDEFINED,
  VALUE_BYTES_MAX,
} from './value-format.ts';

const KEPT_BYTES = 0x1_0000;
/** Every append may write this much (a header, a number) before it looks at the room again. */
const HEADROOM = 32;
const SHORT_STRING = 48;

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/** Bytes that a caller collects; a value that does not fit puts a larger buffer in the place of `bytes`. */
export interface ByteTarget {
  bytes: Buffer;
  /** Where the next byte goes. */
  at: number;
}

const lengthProperty = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  'length',
)!;

/** Bytes of an array, whatever property of its own says that it has another length. */
export function lengthOf(bytes: Uint8Array): number {
  return lengthProperty.get!.call(bytes) as number;
}

/** Thrown by `reserve`; the encoder turns it into a refusal that names the path. */
export class ValueTooLarge extends Error {}

export class ValueWriter {
  readonly #kept: Buffer = Buffer.allocUnsafeSlow(KEPT_BYTES);
  #bytes: Buffer = this.#kept;
  #at = 0;
  #safe: number = KEPT_BYTES - HEADROOM;
  #start = 0;

  /** Starts a new value; what `finish` gave out before is written over. */
  start(): void {
    this.#start = 0;
    this.#at = 0;
  }

  /** Starts a new value behind what a target has. */
  startIn({ bytes, at }: ByteTarget): void {
    this.#bytes = bytes;
    this.#safe = bytes.length - HEADROOM;
    this.#start = at;
    this.#at = at;
  }

  /** Gives a target the bytes since `startIn`. */
  finishIn(target: ByteTarget): void {
    const isValue = Number.isSafeInteger(this.#at) && this.#at > this.#start;
    assert(isValue, 'a value has bytes', { at: this.#at, start: this.#start });
    target.bytes = this.#bytes;
    target.at = this.#at;
    this.reset();
  }

  /** The bytes since `start`, borrowed until the next `start`. */
  finish(): Uint8Array {
    // A view made from the buffer costs half of what `subarray` does.
    const result = new Uint8Array(this.#bytes.buffer, 0, this.#at);
    this.reset();
    return result;
  }

  /** Lets go of a buffer that is larger than the one that is kept. */
  reset(): void {
    this.#bytes = this.#kept;
    this.#safe = KEPT_BYTES - HEADROOM;
  }

  byte(value: number): void {
    if (this.#at > this.#safe) this.#grow(0);
    this.#bytes[this.#at++] = value;
  }

  number(value: number): void {
    if (this.#at > this.#safe) this.#grow(0);
    if (value >>> 0 === value) {
      if (value < 0x80) {
        // 0 and -0 are equal; only the second is not the same value as 0.
        if (value === 0 && Object.is(value, -0)) this.#float64(value);
        else this.#bytes[this.#at++] = value;
      } else this.#head(value, 0xcc, 0xcd, 0xce);
    } else if (value >> 0 === value) this.#negative(value);
    else this.#float64(value);
  }

  bigint(value: bigint): void {
    if (this.#at > this.#safe) this.#grow(0);
    if (BigInt.asIntN(64, value) === value) {
      scratch.setBigInt64(0, value);
      this.#eight(0xd3);
    } else if (BigInt.asUintN(64, value) === value) {
      scratch.setBigUint64(0, value);
      this.#eight(0xcf);
    } else this.#wideBigint(value);
  }

  /** Writes a string; returns false, having written nothing of use, when it is not well-formed. */
  string(text: string): boolean {
    const length = text.length;
    if (length > SHORT_STRING) return this.#longString(text);
    if (this.#at + length > this.#safe) this.#grow(length);
    const bytes = this.#bytes;
    let at = this.#at;
    if (length < 0x20) bytes[at++] = 0xa0 | length;
    else {
      bytes[at++] = 0xd9;
      bytes[at++] = length;
    }
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) return this.#shortString(text);
      bytes[at++] = unit;
    }
    this.#at = at;
    return true;
  }

  array(length: number): void {
    if (this.#at > this.#safe) this.#grow(0);
    if (length < 0x10) this.#bytes[this.#at++] = 0x90 | length;
    else this.#head(length, 0, 0xdc, 0xdd);
  }

  map(length: number): void {
    if (this.#at > this.#safe) this.#grow(0);
    if (length < 0x10) this.#bytes[this.#at++] = 0x80 | length;
    else this.#head(length, 0, 0xde, 0xdf);
  }

  bin(bytes: Uint8Array): void {
    const length = lengthOf(bytes);
    this.reserve(length);
    this.#head(length, 0xc4, 0xc5, 0xc6);
    this.raw(bytes, length);
  }

  /** Header of an ext whose length is known. */
  ext(type: number, length: number): void {
    this.reserve(length);
    this.#head(length, 0xc7, 0xc8, 0xc9);
    this.#bytes[this.#at++] = type;
  }

  /** Header of an ext whose length `endExt` fills in; returns what `endExt` needs. */
  beginExt(type: number): number {
    if (this.#at > this.#safe) this.#grow(0);
    this.#bytes[this.#at] = 0xc9;
    this.#bytes[this.#at + 5] = type;
    this.#at += 6;
    return this.#at;
  }

  endExt(begin: number): void {
    this.#bytes.writeUInt32BE(this.#at - begin, begin - 5);
  }

  /** The milliseconds of a date. */
  date(time: number): void {
    if (this.#at > this.#safe) this.#grow(0);
    this.#bytes[this.#at++] = 0xd7;
    setFloat64(time);
    this.#eight(EXT_DATE);
  }

  undefined(): void {
    if (this.#at > this.#safe) this.#grow(0);
    this.#bytes[this.#at] = 0xd4;
    this.#bytes[this.#at + 1] = EXT_UNDEFINED;
    this.#bytes[this.#at + 2] = 0;
    this.#at += 3;
  }

  /** Appends all bytes of an array, whose number is `lengthOf` it; the room was made before. */
  raw(bytes: Uint8Array, length: number): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += length;
  }

  /** Makes room for so many bytes and a header. */
  reserve(bytes: number): void {
    if (this.#at + bytes > this.#safe) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    const needed = this.#at + bytes + HEADROOM;
    const most = this.#start + VALUE_BYTES_MAX;
    if (needed > most) throw new ValueTooLarge();
    const size = Math.min(most, Math.max(needed, this.#bytes.length * 2));
    const larger = Buffer.allocUnsafeSlow(size);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
    this.#safe = size - HEADROOM;
  }

  #head(value: number, head8: number, head16: number, head32: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    if (value < 0x100 && head8 !== 0) {
      bytes[at++] = head8;
    } else if (value < 0x1_0000) {
      bytes[at++] = head16;
      bytes[at++] = value >>> 8;
    } else {
      bytes[at++] = head32;
      bytes[at++] = value >>> 24;
      bytes[at++] = value >>> 16;
      bytes[at++] = value >>> 8;
    }
    bytes[at++] = value;
    this.#at = at;
  }

  #negative(value: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    if (value >= -0x20) bytes[at++] = value;
    else if (value >= -0x80) {
      bytes[at++] = 0xd0;
      bytes[at++] = value;
    } else if (value >= -0x8000) {
      bytes[at++] = 0xd1;
      bytes[at++] = value >> 8;
      bytes[at++] = value;
    } else {
      bytes[at++] = 0xd2;
      bytes[at++] = value >> 24;
      bytes[at++] = value >> 16;
      bytes[at++] = value >> 8;
      bytes[at++] = value;
    }
    this.#at = at;
  }

  #float64(value: number): void {
    setFloat64(value);
    this.#eight(0xcb);
  }

  #eight(head: number): void {
    const bytes = this.#bytes;
    const at = this.#at;
    bytes[at] = head;
    for (let i = 0; i < 8; i++) bytes[at + 1 + i] = scratchBytes[i]!;
    this.#at = at + 9;
  }

  #shortString(text: string): boolean {
    this.reserve(text.length * 3);
    const bytes = this.#bytes;
    const start = this.#at + 2;
    let at = start;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x80) bytes[at++] = unit;
      else if (unit < 0x800) {
        bytes[at++] = 0xc0 | (unit >> 6);
        bytes[at++] = 0x80 | (unit & 0x3f);
      } else if (unit < 0xd800 || unit > 0xdfff) {
        bytes[at++] = 0xe0 | (unit >> 12);
        bytes[at++] = 0x80 | ((unit >> 6) & 0x3f);
        bytes[at++] = 0x80 | (unit & 0x3f);
      } else {
        const point = text.codePointAt(i++)!;
        if (point < 0x1_0000 || unit > 0xdbff) return false;
        bytes[at++] = 0xf0 | (point >> 18);
        bytes[at++] = 0x80 | ((point >> 12) & 0x3f);
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
        bytes[at++] = 0x80 | (point & 0x3f);
      }
    }
    const length = at - start;
    if (length < 0x20) {
      bytes[start - 2] = 0xa0 | length;
      bytes.copyWithin(start - 1, start, at);
      this.#at = at - 1;
    } else {
      bytes[start - 2] = 0xd9;
      bytes[start - 1] = length;
      this.#at = at;
    }
    return true;
  }

  #longString(text: string): boolean {
    if (!isWellFormed(text)) return false;
    const length = Buffer.byteLength(text, 'utf8');
    this.reserve(length);
    if (length < 0x20) this.#bytes[this.#at++] = 0xa0 | length;
    else this.#head(length, 0xd9, 0xda, 0xdb);
    this.#at += this.#bytes.write(text, this.#at, length, 'utf8');
    return true;
  }

  #wideBigint(value: bigint): void {
    const negative = value < 0n;
    let hex = (negative ? -value : value).toString(16);
    if (hex.length % 2 !== 0) hex = `0${hex}`;
    this.ext(EXT_BIGINT, hex.length / 2 + 1);
    this.#bytes[this.#at++] = negative ? 1 : 0;
    this.#at += this.#bytes.write(hex, this.#at, 'hex');
  }
}

function setFloat64(value: number): void {
  // The bits of a NaN are the choice of the runtime, and equal values must have equal bytes.
  if (Number.isNaN(value)) scratch.setBigUint64(0, CANONICAL_NAN);
  else scratch.setFloat64(0, value);
}

/** `String.prototype.isWellFormed` is in every supported Node, not yet in this library level. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed: () => boolean }).isWellFormed();
}
