/*
 * Builds a value from its stored form, strictly: bytes that an encoder never writes are corrupt,
 * whatever they might mean. Nothing of the result aliases the bytes, lengths are checked before
 * anything is allocated, and no reference to the bytes is kept afterwards.
 * Called on reads of images, so the bytes may be shared memory; they must not change meanwhile.
 */
import { CorruptionError } from '../errors.ts';
import { readExt, type ReadContext } from './value-ext-reader.ts';
import { CANONICAL_NAN, EXT_UNDEFINED, VALUE_DEPTH_MAX } from './value-format.ts';
import type { TypeDefinition } from './value-type.ts';

const EMPTY = new Uint8Array(0);
const REPLACEMENT = '\uFFFD';
const SHORT_STRING = 24;
const CACHED_KEYS = 1024;
const PREALLOCATED_ITEMS = 1024;

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);
const { utf8Slice } = Buffer.prototype as unknown as {
  utf8Slice: (this: Uint8Array, start: number, end: number) => string;
};

export class ValueDecoder implements ReadContext {
  readonly types: ReadonlyMap<string, TypeDefinition>;
  /** Short ASCII keys that were read before, by a hash of their bytes. */
  readonly #keys: (string | undefined)[] = Array.from({ length: CACHED_KEYS });
  #bytes: Uint8Array = EMPTY;
  #start = 0;
  #at = 0;
  #end = 0;

  /** Types by their names. */
  constructor(types: ReadonlyMap<string, TypeDefinition>) {
    this.types = types;
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    // The decode of a registered type may read another value meanwhile.
    const outer = { bytes: this.#bytes, start: this.#start, at: this.#at, end: this.#end };
    this.#bytes = bytes;
    this.#start = start;
    this.#at = start;
    this.#end = end;
    try {
      if (end > bytes.length || start >= end) this.fail('holds no value');
      const value = this.read(0);
      if (this.#at !== this.#end) this.fail('has bytes left over');
      return value;
    } finally {
      this.#bytes = outer.bytes;
      this.#start = outer.start;
      this.#at = outer.at;
      this.#end = outer.end;
    }
  }

  /** Reads a value that lies `depth` containers deep. */
  read(depth: number): unknown {
    const head = this.byte();
    if (head < 0x80) return head;
    if (head < 0x90) return this.#object(head & 0x0f, depth);
    if (head < 0xa0) return this.#array(head & 0x0f, depth);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    if (head >= 0xcc && head <= 0xce) return this.#positive(head);
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xcb:
        return this.#float64();
      case 0xd9:
        return this.#text(this.#length(1, 0x20));
      case 0xda:
        return this.#text(this.#length(2, 0x100));
      case 0xdb:
        return this.#text(this.#length(4, 0x1_0000));
      default:
        return this.#rare(head, depth);
    }
  }

  byte(): number {
    if (this.#at >= this.#end) this.fail('is cut short');
    return this.#bytes[this.#at++]!;
  }

  string(): string {
    const text = this.scalar();
    return typeof text === 'string' ? text : this.fail('has no string where one belongs');
  }

  /**
   * Reads a value where only one without depth belongs. A container is refused before it is read: it
   * would begin to count its depth anew, and damaged bytes nest without end.
   */
  scalar(): unknown {
    const head = this.#at < this.#end ? this.#bytes[this.#at]! : 0;
    const isContainer =
      (head >= 0x80 && head < 0xa0) || head === 0xc9 || (head >= 0xdc && head <= 0xdf);
    if (isContainer) this.fail('has a container where a string, number or boolean belongs');
    return this.read(0);
  }

  /** A copy of the next bytes, in a buffer of its own. */
  copy(length: number): Uint8Array {
    const from = this.#take(length);
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(from, from + length));
    return copy;
  }

  float64(): number {
    this.#load();
    const value = scratch.getFloat64(0);
    if (Number.isNaN(value) && scratch.getBigUint64(0) !== CANONICAL_NAN) {
      this.fail('has a NaN with other bits');
    }
    return value;
  }

  /** True while the ext has bytes left; only inside `within`. */
  more(): boolean {
    return this.#at < this.#end;
  }

  /** Runs a reader over exactly the next `length` bytes. */
  within<T>(length: number, reader: () => T): T {
    const outerEnd = this.#end;
    this.#take(length);
    this.#end = this.#at;
    this.#at -= length;
    const value = reader();
    if (this.#at !== this.#end) this.fail('has an extension with bytes left over');
    this.#end = outerEnd;
    return value;
  }

  checkDepth(depth: number): void {
    if (depth >= VALUE_DEPTH_MAX) this.fail(`is nested deeper than ${VALUE_DEPTH_MAX} containers`);
  }

  fail(reason: string, cause?: unknown): never {
    const offset = this.#at - this.#start;
    throw new CorruptionError(
      'CORRUPT_SNAPSHOT',
      `a stored value ${reason}, at byte ${offset}`,
      { reason, offset, start: this.#start, end: this.#end },
      cause,
    );
  }

  #rare(head: number, depth: number): unknown {
    switch (head) {
      case 0xc4:
        return this.copy(this.#length(1, 0));
      case 0xc5:
        return this.copy(this.#length(2, 0x100));
      case 0xc6:
        return this.copy(this.#length(4, 0x1_0000));
      case 0xcf:
        return this.#bigint(false);
      case 0xd0:
        return this.#negative(1, -0x20);
      case 0xd1:
        return this.#negative(2, -0x80);
      case 0xd2:
        return this.#negative(4, -0x8000);
      case 0xd3:
        return this.#bigint(true);
      case 0xdc:
        return this.#array(this.#length(2, 0x10), depth);
      case 0xdd:
        return this.#array(this.#length(4, 0x1_0000), depth);
      case 0xde:
        return this.#object(this.#length(2, 0x10), depth);
      case 0xdf:
        return this.#object(this.#length(4, 0x1_0000), depth);
      default:
        return this.#ext(head, depth);
    }
  }

  #ext(head: number, depth: number): unknown {
    if (head === 0xd4) {
      if (this.byte() === EXT_UNDEFINED && this.byte() === 0) return undefined;
    } else if (head >= 0xc7 && head <= 0xc9) {
      const width = 1 << (head - 0xc7);
      const length = this.#unsigned(width);
      return readExt(this, this.byte(), length, width, depth);
    } else if (head === 0xd7) {
      return readExt(this, this.byte(), 8, 0, depth);
    }
    return this.fail(`has the unknown head 0x${head.toString(16)}`);
  }

  #object(count: number, depth: number): Record<string, unknown> {
    this.checkDepth(depth);
    if (count > (this.#end - this.#at) / 2) this.fail('is cut short');
    const object: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) this.property(object, this.key(), depth);
    // A repeated key leaves fewer properties than entries.
    if (Object.keys(object).length !== count) this.fail('has an object with a repeated key');
    return object;
  }

  /** Reads the value of a key into an object. */
  property(object: Record<string, unknown>, key: string, depth: number): void {
    const value = this.read(depth + 1);
    if (key === '__proto__') {
      Object.defineProperty(object, key, {
        value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    } else object[key] = value;
  }

  #array(count: number, depth: number): unknown[] {
    this.checkDepth(depth);
    if (count > this.#end - this.#at) this.fail('is cut short');
    // The claimed length is only trusted so far, because every level of damaged bytes can claim one.
    const made = Math.min(count, PREALLOCATED_ITEMS);
    const array: unknown[] = new Array(made);
    for (let i = 0; i < made; i++) array[i] = this.read(depth + 1);
    for (let i = made; i < count; i++) array.push(this.read(depth + 1));
    return array;
  }

  /** Reads a string that is likely to come again. */
  key(): string {
    const head = this.byte();
    const length = head & 0x1f;
    const from = this.#at;
    if (head < 0xa0 || head >= 0xc0 || from + length > this.#end || length === 0) {
      this.#at--;
      return this.string();
    }
    const bytes = this.#bytes;
    const slot =
      (bytes[from]! * 31 + bytes[from + length - 1]! * 7 + bytes[from + (length >> 1)]! + length) %
      CACHED_KEYS;
    const cached = this.#keys[slot];
    if (cached !== undefined && cached.length === length) {
      let i = 0;
      while (i < length && cached.charCodeAt(i) === bytes[from + i]) i++;
      if (i === length) {
        this.#at = from + length;
        return cached;
      }
    }
    const text = this.#text(length);
    // As many units as bytes: the text is ASCII, so its units can stand for its bytes.
    if (text.length === length) this.#keys[slot] = text;
    return text;
  }

  #text(length: number): string {
    const from = this.#take(length);
    const bytes = this.#bytes;
    if (length <= SHORT_STRING) {
      let text = '';
      let i = from;
      for (; i < from + length; i++) {
        const unit = bytes[i]!;
        if (unit >= 0x80) break;
        text += String.fromCharCode(unit);
      }
      if (i === from + length) return text;
    }
    const text = utf8Slice.call(bytes, from, from + length);
    // Ill-formed bytes become U+FFFD; so does U+FFFD itself, which comes back as the same bytes.
    if (text.includes(REPLACEMENT)) this.#checkUtf8(text, from, length);
    return text;
  }

  #checkUtf8(text: string, from: number, length: number): void {
    const again = Buffer.from(text, 'utf8');
    if (again.compare(this.#bytes, from, from + length) !== 0) this.fail('has ill-formed UTF-8');
  }

  #float64(): number {
    const value = this.float64();
    if (value >>> 0 === value || value >> 0 === value) {
      if (!Object.is(value, -0)) this.fail('has an integer in a longer form than it needs');
    }
    return value;
  }

  #bigint(signed: boolean): bigint {
    this.#load();
    if (signed) return scratch.getBigInt64(0);
    const value = scratch.getBigUint64(0);
    if (value >> 63n === 0n) this.fail('has an integer in a longer form than it needs');
    return value;
  }

  #positive(head: number): number {
    const from = this.#take(1 << (head - 0xcc));
    const bytes = this.#bytes;
    let value = bytes[from]!;
    let least = 0x80;
    if (head !== 0xcc) {
      value = (value << 8) | bytes[from + 1]!;
      least = 0x100;
      if (head === 0xce) {
        value = value * 0x1_0000 + ((bytes[from + 2]! << 8) | bytes[from + 3]!);
        least = 0x1_0000;
      }
    }
    if (value < least) this.fail('has an integer in a longer form than it needs');
    return value;
  }

  #negative(width: number, above: number): number {
    const shift = 32 - width * 8;
    const value = (this.#unsigned(width) << shift) >> shift;
    if (value >= above) this.fail('has an integer in a longer form than it needs');
    return value;
  }

  /** Copies the next eight bytes to where they can be read as a number. */
  #load(): void {
    const from = this.#take(8);
    for (let i = 0; i < 8; i++) scratchBytes[i] = this.#bytes[from + i]!;
  }

  /** An unsigned integer that a shorter head could not have held. */
  #length(width: number, least: number): number {
    const value = this.#unsigned(width);
    if (value < least) this.fail('has a head in a longer form than it needs');
    return value;
  }

  #unsigned(width: number): number {
    let from = this.#take(width);
    let value = 0;
    for (; from < this.#at; from++) value = value * 0x100 + this.#bytes[from]!;
    return value;
  }

  /** Steps over so many bytes, which are there, and returns where they begin. */
  #take(length: number): number {
    const from = this.#at;
    if (length > this.#end - from) this.fail('is cut short');
    this.#at = from + length;
    return from;
  }
}
