/*
 * Zstandard frames (RFC 8878) through node:zlib where it has them (Node 22.15, 23.8 and later), else
 * through the optional package zstd-napi; each reads what the other wrote. Invariant: a frame says
 * the size of its content and needs no more window than a writer here uses, so that damaged bytes
 * cannot ask for memory.
 */
import zlib from 'node:zlib';
import { damaged, requireCodecPackage, type CodecFunctions } from './compression-native.ts';
import { readU16, readU32, readU64 } from '../std/bytes.ts';

/** What @types/node of Node 20 does not declare. */
interface ZlibWithZstd {
  zstdCompressSync?: (
    source: Uint8Array,
    options: { params: Readonly<Record<number, number>> },
  ) => Uint8Array;
  zstdDecompressSync?: (
    source: Uint8Array,
    options: { maxOutputLength: number; chunkSize: number },
  ) => Uint8Array;
}

interface ZstdPackage {
  compress(source: Uint8Array, parameters: { compressionLevel: number }): Uint8Array;
}

interface ZstdBinding {
  DCtx: new () => { decompress(target: Uint8Array, source: Uint8Array): number };
}

const MAGIC = 0xfd2fb528;
/** Level 19 uses at most 8 MiB; the levels above it ask a reader for up to 128 MiB. */
const WINDOW_BYTES_MAX = 8 * 1024 * 1024;
/** ZSTD_c_compressionLevel, which node:zlib has as a constant only where it has Zstandard. */
const LEVEL_PARAMETER = 100;

export const zstdLevelDefault = 3;
export const zstdLevelMax = 19;
/** The least chunk that node:zlib takes. */
const CHUNK_BYTES_MIN = 64;

/** Zstandard of a level from 1 to 19, through whichever of the two this Node has. */
export function loadZstd(level: number = zstdLevelDefault): CodecFunctions {
  return zstdOfNode(level) ?? zstdOfPackage(level);
}

/** Through node:zlib, or undefined on a Node without it. */
export function zstdOfNode(level: number = zstdLevelDefault): CodecFunctions | undefined {
  const { zstdCompressSync, zstdDecompressSync } = zlib as ZlibWithZstd;
  if (!zstdCompressSync || !zstdDecompressSync) return undefined;
  return {
    compress: (source) => zstdCompressSync(source, { params: { [LEVEL_PARAMETER]: level } }),
    decompressInto(source, target) {
      checkFrame(source, target.length);
      const chunkSize = Math.max(CHUNK_BYTES_MIN, target.length);
      const bytes = attempt(target.length, () =>
        zstdDecompressSync(source, { maxOutputLength: chunkSize, chunkSize }),
      );
      if (bytes.length !== target.length) throw damaged('zstd', target.length, bytes.length);
      target.set(bytes);
    },
  };
}

/** Through zstd-napi; throws IncompatibleError CODEC_UNAVAILABLE when it cannot be loaded. */
export function zstdOfPackage(level: number = zstdLevelDefault): CodecFunctions {
  const zstd = requireCodecPackage('zstd', 'zstd-napi') as ZstdPackage;
  const { DCtx } = requireCodecPackage('zstd', 'zstd-napi/binding') as ZstdBinding;
  const context = new DCtx();
  return {
    compress: (source) => zstd.compress(source, { compressionLevel: level }),
    decompressInto(source, target) {
      checkFrame(source, target.length);
      const size = attempt(target.length, () => context.decompress(target, source));
      if (size !== target.length) throw damaged('zstd', target.length, size);
    },
  };
}

function attempt<T>(expected: number, decompress: () => T): T {
  try {
    return decompress();
  } catch (error) {
    throw damaged('zstd', expected, undefined, error);
  }
}

/** Reads the frame header: the content must be of the expected size, the window a known one. */
function checkFrame(frame: Uint8Array, expected: number): void {
  const header = frame.length >= 5 && readU32(frame, 0) === MAGIC ? frame[4]! : undefined;
  if (header === undefined) throw damaged('zstd', expected, undefined);
  const singleSegment = (header & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][header & 3]!;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][header >>> 6]!;
  const sizeAt = 5 + (singleSegment ? 0 : 1) + dictionaryIdBytes;
  if (sizeBytes === 0 || frame.length < sizeAt + sizeBytes) {
    throw damaged('zstd', expected, undefined);
  }
  const size = readSize(frame, sizeAt, sizeBytes);
  if (size !== expected) throw damaged('zstd', expected, size);
  if (!singleSegment && windowBytes(frame[5]!) > WINDOW_BYTES_MAX) {
    throw damaged('zstd', expected, size);
  }
}

function readSize(frame: Uint8Array, at: number, bytes: number): number {
  switch (bytes) {
    case 1:
      return frame[at]!;
    case 2:
      return readU16(frame, at) + 256;
    case 4:
      return readU32(frame, at);
    default:
      return readU64(frame, at);
  }
}

function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3));
  return base + (base / 8) * (descriptor & 7);
}
