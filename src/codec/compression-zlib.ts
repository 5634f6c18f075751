/*
 * Gzip (RFC 1952) and Brotli (RFC 7932) through node:zlib, synchronously. A block that says more
 * than its target is refused as soon as it has filled it, so that damaged bytes cannot ask for
 * memory.
 */
import zlib from 'node:zlib';
import { damaged, type CodecFunctions } from './compression-native.ts';

/** Level 6 is the usual one of gzip. */
export const gzipLevelDefault = 6;
/** Quality 11, the default of node:zlib, compresses a hundred times slower than 4 (docs/adr/0014). */
export const brotliLevelDefault = 4;

/** Gzip of a level from 1 to 9. */
export function gzipOfNode(level: number = gzipLevelDefault): CodecFunctions {
  return {
    compress: (source) => zlib.gzipSync(source, { level }),
    decompressInto(source, target) {
      fill(target, 'gzip', (bounds) => zlib.gunzipSync(source, bounds));
    },
  };
}

/** Brotli of a quality from 0 to 11. */
export function brotliOfNode(level: number = brotliLevelDefault): CodecFunctions {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = zlib.constants;
  return {
    compress: (source) =>
      zlib.brotliCompressSync(source, {
        params: { [BROTLI_PARAM_QUALITY]: level, [BROTLI_PARAM_SIZE_HINT]: source.length },
      }),
    decompressInto(source, target) {
      fill(target, 'brotli', (bounds) => zlib.brotliDecompressSync(source, bounds));
    },
  };
}

/** The least chunk that node:zlib takes. */
const CHUNK_BYTES_MIN = 64;

function fill(
  target: Uint8Array,
  codec: string,
  decompress: (bounds: { maxOutputLength: number; chunkSize: number }) => Uint8Array,
): void {
  const chunkSize = Math.max(CHUNK_BYTES_MIN, target.length);
  let bytes: Uint8Array;
  try {
    bytes = decompress({ maxOutputLength: chunkSize, chunkSize });
  } catch (error) {
    throw damaged(codec, target.length, undefined, error);
  }
  if (bytes.length !== target.length) throw damaged(codec, target.length, bytes.length);
  target.set(bytes);
}
