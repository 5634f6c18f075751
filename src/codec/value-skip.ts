/*
 * Where a stored value ends, found without decoding it: the merge kernel copies the parts of values
 * as bytes and knows no types of the user. Walks heads and lengths only, in a loop, so the depth of
 * a value costs no stack. What a head means is in value-format.ts.
 */

/**
 * Never the head of a value: it stands before the version of one (value-version.ts), and marks what
 * replaces in a merge patch (patch-format.ts).
 */
export const MARK = 0xc1;

/** Bytes of payload, or of a length, behind the heads 0xc4 to 0xdf; -1: a head of no value. */
// prettier-ignore
const WIDTHS: readonly number[] = [
  /* bin */ 1, 2, 4, /* ext */ 1, 2, 4, /* float32 */ -1, /* float64 */ 8, /* uint */ 1, 2, 4, 8,
  /* int */ 1, 2, 4, 8, /* fixext */ 2, -1, -1, 9, -1, /* str */ 1, 2, 4, /* array */ 2, 4,
  /* map */ 2, 4,
];

/** Whether a value with this head is a plain object. */
export function isObjectHead(head: number): boolean {
  return (head >= 0x80 && head < 0x90) || head === 0xde || head === 0xdf;
}

/**
 * Where the value at `at` ends, or -1 when the bytes up to `end` are not those of one.
 * @param marks takes marks in front of items, which a merge patch may have
 */
export function skipValue(bytes: Uint8Array, at: number, end: number, marks = false): number {
  let next = at;
  for (let left = 1; left > 0; left--) {
    if (next >= end) return -1;
    const head = bytes[next++]!;
    if (head < 0x80 || head >= 0xe0) continue;
    if (head < 0x90) left += 2 * (head & 0x0f);
    else if (head < 0xa0) left += head & 0x0f;
    else if (head < 0xc0) next += head & 0x1f;
    else if (head < 0xc4) {
      if (head !== MARK) continue;
      if (!marks) return -1;
      left++;
    } else {
      const width = WIDTHS[head - 0xc4]!;
      if (width < 0 || next + width > end) return -1;
      const start = next;
      next += width;
      if (head >= 0xdc) left += readLength(bytes, start, width) * (head >= 0xde ? 2 : 1);
      else if (head <= 0xc6 || head >= 0xd9) next += readLength(bytes, start, width);
      else if (head <= 0xc9) next += readLength(bytes, start, width) + 1;
    }
    if (next > end) return -1;
  }
  return next;
}

/** A big-endian length of 1, 2 or 4 bytes. */
export function readLength(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let i = at; i < at + width; i++) value = value * 0x100 + bytes[i]!;
  return value;
}
