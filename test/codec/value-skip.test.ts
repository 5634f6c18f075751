/*
 * Ends of stored values, and stored numbers, found without a codec.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readNumber } from '../../src/codec/value-number.ts';
import { skipValue } from '../../src/codec/value-skip.ts';
import { createValueCodec } from '../../src/codec/value.ts';
import { keptCases, pointType } from './value-kept-cases.ts';

const codec = createValueCodec([pointType]);
const encode = (value: unknown): Uint8Array => codec.encode(value).slice();

describe('the end of a value', () => {
  test('of every type that can be stored: where its bytes end', () => {
    for (const value of Object.values(keptCases).flat()) {
      const bytes = encode(value);
      const padded = Buffer.concat([Buffer.from([1, 2]), bytes, Buffer.from([3])]);
      expect(skipValue(padded, 2, padded.length)).toBe(2 + bytes.length);
    }
  });

  test('of bytes cut short anywhere: -1', () => {
    const property = fc.property(fc.anything({ maxDepth: 3 }), fc.nat(), (value, cut) => {
      let bytes: Uint8Array;
      try {
        bytes = encode(value);
      } catch {
        return; // Not every value of anything can be stored.
      }
      expect(skipValue(bytes, 0, bytes.length)).toBe(bytes.length);
      expect(skipValue(bytes, 0, cut % bytes.length)).toBe(-1);
    });
    fc.assert(property, { seed: 7, numRuns: 500 });
  });

  test.each([0xc1, 0xca, 0xd5, 0xd6, 0xd8])('of the head %i, which no value has: -1', (head) => {
    expect(skipValue(new Uint8Array(64).fill(head, 0, 1), 0, 64)).toBe(-1);
  });

  test('of a marked value: only where marks are taken', () => {
    const marked = Uint8Array.of(0x81, 0xa1, 0x61, 0xc1, 0x80);
    expect([skipValue(marked, 0, 5), skipValue(marked, 0, 5, true)]).toEqual([-1, 5]);
  });
});

describe('a stored number', () => {
  const numbers = [0, -0, 1, 127, 128, 65_536, 2 ** 32, 2 ** 53, -1, -33, -40_000, -(2 ** 31), 0.5];
  const bigints = [0n, -1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n, -(2n ** 200n), 2n ** 3000n];
  test.each([...numbers, ...bigints])('%s: read', (value) => {
    const bytes = encode(value);
    expect(readNumber(bytes, 0, bytes.length)).toBe(value);
  });

  const others = [Number.NaN, Infinity, -Infinity, '1', null, true, new Date(1), [1], { a: 1 }];
  test.each([...others, new Set([1]), new Uint8Array(3)])('%s: none', (value) => {
    const bytes = encode(value);
    expect(readNumber(bytes, 0, bytes.length)).toBeUndefined();
  });

  test('no bytes: none; cut short, or with bytes left over: refused', () => {
    expect(readNumber(new Uint8Array(0), 0, 0)).toBeUndefined();
    expect(() => readNumber(Uint8Array.of(0xcb, 0), 0, 2)).toThrow(/cut short/);
    expect(() => readNumber(Uint8Array.of(1, 1), 0, 2)).toThrow(/left over/);
  });
});
