/*
 * Random numbers that a seed decides, so that a run of the demo can be repeated. The generator is
 * SplitMix32: a counter stepped by the golden ratio, then the 32-bit finalizer of MurmurHash3
 * (Appleby, public domain). Not for secrets.
 */

/** Returns a function that gives the next number of the seed's sequence, from 0 up to but not 1. */
export function seededRandom(seed: number): () => number {
  let counter = seed | 0;
  return () => {
    counter = (counter + 0x9e37_79b9) | 0;
    let mixed = counter ^ (counter >>> 16);
    mixed = Math.imul(mixed, 0x85eb_ca6b);
    mixed ^= mixed >>> 13;
    mixed = Math.imul(mixed, 0xc2b2_ae35);
    mixed ^= mixed >>> 16;
    return (mixed >>> 0) / 0x1_0000_0000;
  };
}
