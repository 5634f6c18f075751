/*
 * Content-defined chunking: where a blob is cut depends only on the bytes before the cut, so a
 * change in one place moves no cut elsewhere, and unchanged chunks are stored once. Gear hashing
 * with two masks (Xia et al., "FastCDC", USENIX ATC 2016). The table, masks and bounds are format:
 * other cuts would still be read, but nothing would be shared with what is stored.
 */

/** How large chunks are: between two bounds, and about a power of two on random data. */
export interface ChunkShape {
  readonly bytesMin: number;
  readonly usualBits: number;
  readonly bytesMax: number;
}

/** A quarter of a power of two to four times it. */
export function chunkShape(usualBits: number): ChunkShape {
  return { bytesMin: 2 ** (usualBits - 2), usualBits, bytesMax: 2 ** (usualBits + 2) };
}

/** The shape of every chunk that is stored: 4 KiB to 64 KiB, 18 KiB in the mean (docs/adr/0014). */
export const storedShape: ChunkShape = chunkShape(14);

/** Before the usual size a cut is this many bits rarer than it would be, behind it more frequent. */
const NORMAL_BITS = 2;

const gear = makeGear();

/** 256 numbers from xorshift32 with a fixed seed. */
function makeGear(): Int32Array {
  const table = new Int32Array(256);
  let state = 0x9e37_79b9;
  for (let i = 0; i < table.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    table[i] = state;
  }
  return table;
}

/** Ends of the chunks of some bytes, ascending; the last is the length. Empty for no bytes. */
export function chunkEnds(bytes: Uint8Array, shape: ChunkShape = storedShape): number[] {
  const ends: number[] = [];
  for (let start = 0; start < bytes.length;) {
    start = chunkEnd(bytes, start, shape);
    ends.push(start);
  }
  return ends;
}

function chunkEnd(bytes: Uint8Array, start: number, shape: ChunkShape): number {
  const { usualBits, bytesMin, bytesMax } = shape;
  const limit = Math.min(bytes.length, start + bytesMax);
  const usual = Math.min(limit, start + 2 ** usualBits);
  let at = start + bytesMin;
  if (at >= limit) return limit;
  // The hash is shifted left by each byte, so its top bits depend on the last bytes most.
  const rare = -1 << (32 - usualBits - NORMAL_BITS);
  const frequent = -1 << (32 - usualBits + NORMAL_BITS);
  let hash = 0;
  for (; at < usual; at++) {
    hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
    if ((hash & rare) === 0) return at + 1;
  }
  for (; at < limit; at++) {
    hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
    if ((hash & frequent) === 0) return at + 1;
  }
  return limit;
}
