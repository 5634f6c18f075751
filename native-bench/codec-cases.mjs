/*
 * The codecs that are compared, each as compress(source) and decompress(source, target), which has
 * the bytes in the target when it returns, as a reader of snapshots needs them.
 */
import { createRequire } from 'node:module';
import zlib from 'node:zlib';

const require = createRequire(import.meta.url);

export function codecCases() {
  const lz4 = require('lz4-napi');
  const snappy = require('snappy');
  const oldSnappy = require('@napi-rs/snappy');
  const inHeap = { copyOutputData: true };
  const cases = {
    'lz4-napi 2.10': {
      compress: (source) => lz4.compressSync(source).subarray(4),
      decompress: decompressLz4(lz4),
    },
    'snappy 7.4, copied': {
      compress: (source) => snappy.compressSync(source, inHeap),
      decompress: (source, target) => target.set(snappy.uncompressSync(source, inHeap)),
    },
    'snappy 7.4, as it comes': {
      compress: (source) => snappy.compressSync(source),
      decompress: (source, target) => target.set(snappy.uncompressSync(source)),
    },
    '@napi-rs/snappy 1.0': {
      compress: (source) => oldSnappy.compressSync(source),
      decompress: (source, target) => target.set(oldSnappy.uncompressSync(source)),
    },
  };
  if (zlib.zstdCompressSync) cases['node:zlib zstd'] = nodeZstd();
  const napiZstd = zstdNapi();
  if (napiZstd) cases['zstd-napi 0.0.13'] = napiZstd;
  return cases;
}

/** The package wants the size before a block; a raw block is what would stand in a file. */
function decompressLz4(lz4) {
  return (source, target) => {
    const sized = Buffer.allocUnsafe(4 + source.length);
    sized.writeUInt32LE(target.length, 0);
    sized.set(source, 4);
    target.set(lz4.uncompressSync(sized));
  };
}

function nodeZstd() {
  return {
    compress: (source) => zlib.zstdCompressSync(source),
    decompress: (source, target) =>
      target.set(
        zlib.zstdDecompressSync(source, {
          maxOutputLength: target.length,
          chunkSize: target.length,
        }),
      ),
  };
}

/** Undefined where the optional package was not installed. */
function zstdNapi() {
  let zstd;
  try {
    zstd = require('zstd-napi');
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return undefined;
  }
  const context = new (require('zstd-napi/binding').DCtx)();
  return {
    compress: (source) => zstd.compress(source),
    decompress: (source, target) => context.decompress(target, source),
  };
}
