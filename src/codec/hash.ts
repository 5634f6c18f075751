/*
 * The keyed hash that orders entries and assigns key groups: HalfSipHash-1-3, 64-bit key, 32-bit
 * output. The hash is part of the format. A key that an attacker chooses must not decide where it
 * lands, and the simpler hashes with a seed have collisions that no seed removes; SipHash was
 * designed against that (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), and
 * Linux keys its hash tables with this variant (lib/siphash.c, `hsiphash` on 32-bit machines).
 * The bytes may lie in a SharedArrayBuffer.
 */

/** Key of the hash: two unsigned 32-bit integers, random for each store. */
export interface HashSeed {
  readonly low: number;
  readonly high: number;
}

/** Keyed hash of the bytes from `start` to `end`, an unsigned 32-bit integer. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed: HashSeed): number {
  let v0 = seed.low | 0;
  let v1 = seed.high | 0;
  let v2 = 0x6c796765 ^ seed.low;
  let v3 = 0x74656462 ^ seed.high;
  const length = end - start;
  const tail = start + (length & ~3);
  // The last word carries the length, so that no two inputs of different length are padded alike.
  let last = length << 24;
  if ((length & 3) === 3) last |= bytes[tail + 2]! << 16;
  if ((length & 3) >= 2) last |= bytes[tail + 1]! << 8;
  if ((length & 3) >= 1) last |= bytes[tail]!;
  for (let at = start; at <= tail; at += 4) {
    const word =
      at === tail
        ? last
        : bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return (v1 ^ v3) >>> 0;
}
