/*
 * Versions in front of stored values: their bytes, and what is refused of them.
 */
import { expect, test } from 'vitest';
import {
  decodeVersioned,
  hasVersion,
  storedVersion,
  versionBytes,
} from '../../src/codec/value-version.ts';
import { createValueCodec } from '../../src/codec/value.ts';

const codec = createValueCodec();

test('a value of version 1: has the bytes that a value without a version has', () => {
  expect(Buffer.from(codec.encode({ a: 1 }, 1)).toString('hex')).toBe('81a16101');
  const bytes = codec.encode({ a: 1 }).slice();
  expect([hasVersion(bytes, 0, 4), versionBytes(bytes, 0, 4), storedVersion(bytes, 0, 4)]).toEqual([
    false,
    0,
    1,
  ]);
  expect(decodeVersioned(codec, bytes, 0, 4)).toEqual({ a: 1 });
});

test.each([
  [2, 'c1000281a16101'],
  [0x1234, 'c1123481a16101'],
  [0xffff, 'c1ffff81a16101'],
])('version %i: stands in front, behind a byte that heads no value', (version, expected) => {
  const bytes = codec.encode({ a: 1 }, version).slice();
  const { length } = bytes;
  expect(Buffer.from(bytes).toString('hex')).toBe(expected);
  expect([versionBytes(bytes, 0, length), storedVersion(bytes, 0, length)]).toEqual([3, version]);
  expect(decodeVersioned(codec, bytes, 0, length)).toEqual({ a: 1 });
});

test('a version, where none belongs: is no value', () => {
  const bytes = codec.encode(1, 2).slice();
  expect(() => codec.decode(bytes, 0, bytes.length)).toThrow(
    expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' }),
  );
});

test.each([
  ['c1', /version of a stored value is cut short/],
  ['c100', /version of a stored value is cut short/],
  ['c1000001', /version of a stored value is 0/],
  ['c1000101', /version of a stored value is 1/],
  ['c10002', /holds no value/],
  ['c10002c1000301', /unknown head 0xc1/],
])('%s: is refused', (hex, message) => {
  const bytes = Buffer.from(hex, 'hex');
  const decode = (): unknown => decodeVersioned(codec, bytes, 0, bytes.length);
  expect(decode).toThrow(expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' }));
  expect(decode).toThrow(message);
});
