/** A codec for tests: deflates, and turns the bytes round. Its memory is used again at each call. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';

const scratch = new Uint8Array(1 << 20);

export function compress(bytes) {
  const packed = deflateRawSync(bytes);
  scratch.set(packed);
  bytes.fill(0);
  return scratch.subarray(0, packed.length).reverse();
}

export function decompress(bytes, rawBytes) {
  return inflateRawSync(bytes.reverse(), { maxOutputLength: Math.max(1, rawBytes) });
}
