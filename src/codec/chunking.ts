/*
 * Content-defined chunking: where a blob is cut depends only on the bytes before the cut, so a
 * change in one place moves no cut elsewhere, and unchanged chunks are stored once. Gear hashing
 * with two masks (Xia et al., "FastCDC", USENIX ATC 2016). The table, masks and bounds are format:
 * other cuts would still be read, but nothing would be shared with what is stored.
 */

/** Bounds of a chunk; about `chunkBytesUsual` on random data. */
export const chunkBytesMin: number = 16 * 1024;
export const chunkBytesUsual: number = 64 * 1024;
export const chunkBytesMax: number = 256 * 1024;

/** Before the usual size a cut is rarer, behind it more frequent. */
const MASK_RARE = 0xffff_c000 >>> 0;
const MASK_FREQUENT = 0xfffc_0000 >>> 0;

const gear = makeGear();

/** 256 numbers from xorshift32 with a fixed seed. */
function makeGear(): Uint32Array {
  const table = new Uint32Array(256);
  let state = 0x9e37_79b9;
  for (let i = 0; i < table.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    table[i] = state >>> 0;
  }
  return table;
}

/** Ends of the chunks of some bytes, ascending; the last is the length. Empty for no bytes. */
export function chunkEnds(bytes: Uint8Array): number[] {
  const ends: number[] = [];
  for (let start = 0; start < bytes.length;) {
    start = chunkEnd(bytes, start);
    ends.push(start);
  }
  return ends;
}

function chunkEnd(bytes: Uint8Array, start: number): number {
  const limit = Math.min(bytes.length, start + chunkBytesMax);
  const usual = Math.min(limit, start + chunkBytesUsual);
  let hash = 0;
  let at = start + chunkBytesMin;
  if (at >= limit) return limit;
  for (; at < usual; at++) {
    hash = (hash << 1) + gear[bytes[at]!]!;
    if ((hash & MASK_RARE) === 0) return at + 1;
  }
  for (; at < limit; at++) {
    hash = (hash << 1) + gear[bytes[at]!]!;
    if ((hash & MASK_FREQUENT) === 0) return at + 1;
  }
  return limit;
}
