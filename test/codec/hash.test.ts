import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashBytes, type HashSeed } from '../../src/codec/hash.ts';

/*
 * HalfSipHash-1-3 of the bytes 0, 1, 2 … under the key bytes 0 to 7. Source: the test vectors of the
 * Linux kernel for 32-bit machines (lib/tests/siphash_kunit.c, `test_vectors_hsiphash`).
 */
const VECTORS = [
  0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6,
  0x577999b1, 0xc839caed, 0xe4fa32cf, 0x959246ee, 0x6b28096c, 0x66dd9cd6, 0x16658a7c, 0xd0257b04,
  0x8b31d501, 0x2b1cd04b, 0x06712339, 0x522aca67, 0x911bb605, 0x90a65f0e, 0xf826ef7b, 0x62512deb,
];
const VECTOR_OF_63_BYTES = 0x87178304;
const SEED: HashSeed = { low: 0x03020100, high: 0x07060504 };

const counting = Uint8Array.from({ length: 64 }, (_, i) => i);

describe('hashBytes', () => {
  test.each(VECTORS.map((hash, length) => ({ length, hash })))(
    'the first $length counting bytes: the published hash',
    ({ length, hash }) => {
      expect(hashBytes(counting, 0, length, SEED)).toBe(hash);
    },
  );

  test('63 counting bytes: the published hash', () => {
    expect(hashBytes(counting, 0, 63, SEED)).toBe(VECTOR_OF_63_BYTES);
  });

  test('a range of a larger array, shared or not: the hash of those bytes alone', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(40));
    for (let at = 0; at < 5; at++) {
      shared.fill(0xee);
      shared.set(counting.subarray(0, 23), at);
      expect(hashBytes(shared, at, at + 23, SEED)).toBe(VECTORS[23]);
    }
  });

  test('either half of the seed differs: the hash differs', () => {
    const hash = hashBytes(counting, 0, 9, SEED);
    expect(hashBytes(counting, 0, 9, { low: SEED.low ^ 1, high: SEED.high })).not.toBe(hash);
    expect(hashBytes(counting, 0, 9, { low: SEED.low, high: SEED.high ^ 1 })).not.toBe(hash);
  });

  test('seed halves with the top bit set: an unsigned hash, the same for signed halves', () => {
    const hash = hashBytes(counting, 0, 9, { low: 0xffff_fffe, high: 0x8000_0001 });
    expect(hash).toBe(hashBytes(counting, 0, 9, { low: -2, high: 0x8000_0001 | 0 }));
    expect(hash >>> 0).toBe(hash);
  });

  test('inputs that differ only in trailing zeros: different hashes', () => {
    const zeros = new Uint8Array(64);
    const hashes = new Set(Array.from({ length: 64 }, (_, n) => hashBytes(zeros, 0, n, SEED)));
    expect(hashes.size).toBe(64);
  });

  test('any bytes: an unsigned 32-bit integer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(), fc.nat(), (bytes, low, high) => {
        const hash = hashBytes(bytes, 0, bytes.length, { low, high });
        return Number.isInteger(hash) && hash >= 0 && hash <= 0xffff_ffff;
      }),
      { seed: 7 },
    );
  });
});
