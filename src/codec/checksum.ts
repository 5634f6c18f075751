/*
 * CRC-32 (IEEE 802.3, reflected, as in zip and PNG), always unsigned. Short inputs go to the
 * table-driven `crc-32`, longer ones to zlib, whose call costs more than it saves below the
 * crossover; both give the same value (docs/adr/0001-codecs-and-checksums.md has the figures).
 * The bytes may lie in a SharedArrayBuffer; nothing here writes to them or keeps them.
 */
import crc32 from 'crc-32';
import { crc32 as zlibCrc32 } from 'node:zlib';

/** From this many bytes on the native checksum is the faster one. */
const NATIVE_BYTES_MIN = 200;

/**
 * CRC-32 of a range of bytes as an unsigned integer. Giving the checksum of what came before as
 * `seed` continues it: `checksum(b, 0, b.length, checksum(a))` is the checksum of a followed by b.
 */
export function checksum(
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.length,
  seed: number = 0,
): number {
  const range = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  if (range.length >= NATIVE_BYTES_MIN) return zlibCrc32(range, seed);
  // crc-32 works on signed integers; the conversions keep every bit.
  return crc32.buf(range, seed | 0) >>> 0;
}
