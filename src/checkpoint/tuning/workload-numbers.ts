/*
 * Numbers of a recording in as few bytes as they need: LEB128 up to 2^53, signed ones zigzag.
 */

/** Writes numbers into memory that grows. */
export class NumberWriter {
  #bytes = new Uint8Array(64 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A whole number from 0. */
  number(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  signed(value: number): void {
    this.number(value < 0 ? -value * 2 - 1 : value * 2);
  }

  u32(value: number): void {
    this.#reserve(4);
    for (let shift = 0; shift < 32; shift += 8) this.#bytes[this.#length++] = value >>> shift;
  }

  /** What was written, as a copy; starts again. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(this.#bytes.length * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** Reads numbers from a range; whatever is not there, too large or too long is `fail`. */
export class NumberReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #fail: (at: number) => Error;
  at: number;

  constructor(
    bytes: Uint8Array,
    range: { readonly start: number; readonly end: number },
    fail: (at: number) => Error,
  ) {
    this.#bytes = bytes;
    this.#end = range.end;
    this.#fail = fail;
    this.at = range.start;
  }

  get done(): boolean {
    return this.at >= this.#end;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (this.at >= this.#end) throw this.#fail(this.at);
      const byte = this.#bytes[this.at++]!;
      value += (byte & 127) * scale;
      if (!Number.isSafeInteger(value)) throw this.#fail(this.at);
      // A last byte of zero adds nothing, and no writer writes it.
      if (byte === 0 && scale > 1) throw this.#fail(this.at);
      if (byte < 128) return value;
      scale *= 128;
    }
  }

  /** Up to `most`. */
  bounded(most: number): number {
    const value = this.number();
    if (value > most) throw this.#fail(this.at);
    return value;
  }

  signed(): number {
    const value = this.number();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  u32(): number {
    if (this.at + 4 > this.#end) throw this.#fail(this.at);
    let value = 0;
    for (let i = 3; i >= 0; i--) value = value * 256 + this.#bytes[this.at + i]!;
    this.at += 4;
    return value;
  }
}
