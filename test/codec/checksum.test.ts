import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';

/** Bit by bit from the definition: polynomial 0xedb88320, reflected, inverted before and after. */
function checksumByDefinition(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 167 + (i >> 3)) & 0xff);
}

describe('checksum', () => {
  test('the digits 1 to 9: the check value of CRC-32/ISO-HDLC', () => {
    // Source: Greg Cook, Catalogue of parametrised CRC algorithms, CRC-32/ISO-HDLC.
    expect(checksum(new TextEncoder().encode('123456789'))).toBe(0xcbf4_3926);
  });

  test('no bytes: zero, or the seed', () => {
    expect(checksum(new Uint8Array(0))).toBe(0);
    expect(checksum(bytesOf(300), 7, 7, 0xdead_beef)).toBe(0xdead_beef);
  });

  test.each([1, 31, 199, 200, 201, 1000, 70_000])(
    '%i bytes, on either side of the native checksum: the value by definition',
    (length) => {
      expect(checksum(bytesOf(length))).toBe(checksumByDefinition(bytesOf(length)));
    },
  );

  test.each([
    [3, 150],
    [3, 900],
  ])('the range %i to %i of shared memory: the value of those bytes alone', (start, end) => {
    const shared = new Uint8Array(new SharedArrayBuffer(1000));
    shared.set(bytesOf(1000));
    const expected = checksumByDefinition(bytesOf(1000).subarray(start, end));
    expect(checksum(shared, start, end)).toBe(expected);
    expect(checksum(shared.subarray(start, end))).toBe(expected);
  });

  test('cut anywhere and continued through the seed: the value of the whole', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600, size: 'max' }),
        fc.nat(600),
        (bytes, somewhere) => {
          const cut = Math.min(somewhere, bytes.length);
          const head = checksum(bytes, 0, cut);
          const whole = checksum(bytes, cut, bytes.length, head);
          expect(whole).toBe(checksumByDefinition(bytes));
          expect(whole >>> 0).toBe(whole);
        },
      ),
      { seed: 11 },
    );
  });
});
