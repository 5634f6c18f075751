/*
 * CRC-32 in JavaScript against zlib's, by size: where the native call begins to pay.
 */
import crc32 from 'crc-32';
import zlib from 'node:zlib';
import { fixed, medianOf, printTable } from './report.mjs';
import { benchRounds } from './timing.mjs';

const SIZES = [32, 64, 128, 160, 200, 256, 320, 512, 1024, 4096, 65_536, 1_048_576];
const ROUNDS = 5;

export async function benchChecksums() {
  const cases = {};
  for (const size of SIZES) {
    // A part of a larger array, as a group in a log buffer is.
    const whole = Uint8Array.from({ length: size + 16 }, (_, i) => i * 167);
    const bytes = whole.subarray(8, 8 + size);
    cases[`crc-32 ${size}`] = () => crc32.buf(bytes, 0) >>> 0;
    cases[`zlib ${size}`] = () => zlib.crc32(bytes, 0);
  }
  const results = await benchRounds(ROUNDS, cases, 20, 16);
  const rows = SIZES.map((size) => {
    const js = medianOf(results.get(`crc-32 ${size}`), 'microseconds');
    const native = medianOf(results.get(`zlib ${size}`), 'microseconds');
    return [
      size,
      fixed(js * 1000),
      fixed(native * 1000),
      fixed(size / js),
      fixed(size / native),
      fixed(js / native, 2),
    ];
  });
  printTable(
    `CRC-32: median of ${ROUNDS} interleaved rounds`,
    ['bytes', 'crc-32 ns', 'zlib ns', 'crc-32 MB/s', 'zlib MB/s', 'zlib is faster by'],
    rows,
  );
}
