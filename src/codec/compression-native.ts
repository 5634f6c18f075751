/*
 * LZ4 and Snappy through their native packages, and what all codecs here share: loading a package
 * and turning a library's complaint into a typed error. Both libraries allocate what the block
 * itself says it decompresses to, so that number is compared with the target before they see it.
 */
import { createRequire } from 'node:module';
import { CorruptionError, IncompatibleError } from '../errors.ts';
import { writeU32 } from '../std/bytes.ts';

/** The two functions of a codec. */
export interface CodecFunctions {
  compress(source: Uint8Array): Uint8Array;
  decompressInto(source: Uint8Array, target: Uint8Array): void;
}

interface Lz4Package {
  compressSync(data: Uint8Array): Uint8Array;
  uncompressSync(data: Uint8Array): Uint8Array;
}

interface SnappyPackage {
  compressSync(input: Uint8Array, options: { copyOutputData: boolean }): Uint8Array;
  uncompressSync(input: Uint8Array, options: { copyOutputData: boolean }): Uint8Array;
}

const require = createRequire(import.meta.url);

/** Bytes that lz4-napi puts before a block: the size it decompresses to. */
const LZ4_SIZE_BYTES = 4;
/** Holds blocks of the size that snapshots have. */
const LZ4_SCRATCH_BYTES = 128 * 1024;

// Without this, snappy hands out memory outside the heap that the collector learns of too late:
// blocks of 64 KiB then take several times as long and memory grows (ADR 0001).
const IN_HEAP = { copyOutputData: true };

/** Loads a package, or throws IncompatibleError CODEC_UNAVAILABLE that says what to install. */
export function requireCodecPackage(codec: string, packageName: string): unknown {
  try {
    return require(packageName) as unknown;
  } catch (error) {
    throw new IncompatibleError(
      'CODEC_UNAVAILABLE',
      `The codec ${codec} cannot be loaded; install the package ${packageName} for this platform`,
      { codec, packageName },
      error,
    );
  }
}

/** LZ4 block format, without the size that the package puts before it. */
export function loadLz4(): CodecFunctions {
  const lz4 = requireCodecPackage('lz4', 'lz4-napi') as Lz4Package;
  // Blocks come one after the other, and memory of its own for each is a fifth of what they cost.
  const scratch = Buffer.allocUnsafeSlow(LZ4_SCRATCH_BYTES);
  return {
    compress: (source) => lz4.compressSync(source).subarray(LZ4_SIZE_BYTES),
    decompressInto(source, target) {
      const bytes = LZ4_SIZE_BYTES + source.length;
      const fits = bytes <= LZ4_SCRATCH_BYTES;
      const sized = fits ? scratch.subarray(0, bytes) : Buffer.allocUnsafe(bytes);
      writeU32(sized, 0, target.length);
      sized.set(source, LZ4_SIZE_BYTES);
      fill(target, 'lz4', () => lz4.uncompressSync(sized));
    },
  };
}

/** Snappy block format: it starts with its size as a varint. */
export function loadSnappy(): CodecFunctions {
  const snappy = requireCodecPackage('snappy', 'snappy') as SnappyPackage;
  return {
    compress: (source) => snappy.compressSync(source, IN_HEAP),
    decompressInto(source, target) {
      const size = readVarint32(source);
      if (size !== target.length) throw damaged('snappy', target.length, size);
      fill(target, 'snappy', () => snappy.uncompressSync(source, IN_HEAP));
    },
  };
}

/** The error of a block that does not decompress to what it should. */
export function damaged(
  codec: string,
  expected: number,
  actual: number | undefined,
  cause?: unknown,
): CorruptionError {
  return new CorruptionError(
    'CORRUPT_SNAPSHOT',
    `A block compressed with ${codec} does not decompress to its ${expected} bytes`,
    { codec, expected, actual },
    cause,
  );
}

function fill(target: Uint8Array, codec: string, decompress: () => Uint8Array): void {
  let bytes: Uint8Array;
  try {
    bytes = decompress();
  } catch (error) {
    throw damaged(codec, target.length, undefined, error);
  }
  if (bytes.length !== target.length) throw damaged(codec, target.length, bytes.length);
  target.set(bytes);
}

function readVarint32(bytes: Uint8Array): number | undefined {
  let value = 0;
  for (let i = 0; i < 5 && i < bytes.length; i++) {
    value += (bytes[i]! & 0x7f) * 2 ** (7 * i);
    if (bytes[i]! < 0x80) return value;
  }
  return undefined;
}
