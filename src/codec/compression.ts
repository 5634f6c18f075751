/*
 * Compression of blocks by name and by id. The ids stand in files and never change meaning. A codec
 * is loaded when it is first used, and one that cannot be loaded is an error, never another codec:
 * what a file holds must not depend on what happened to be installed. The caller stores the size
 * before compression and checks the block's CRC before decompressing; even so, damaged bytes give a
 * CorruptionError here, within the memory of the target. Sources and targets may be shared memory.
 */
import { CorruptionError, IncompatibleError } from '../errors.ts';
import { badOption } from '../std/option-checks.ts';
import { loadLz4, loadSnappy, type CodecFunctions } from './compression-native.ts';
import { loadZstd } from './compression-zstd.ts';

/** Codecs that a store can be given. */
export type CodecName = 'none' | 'lz4' | 'snappy' | 'zstd';

/** Compresses and decompresses one block at a time. */
export interface BlockCodec {
  readonly name: CodecName;
  /** Stands in files: none 0, lz4 1, snappy 2, zstd 3. */
  readonly id: number;
  /** The compressed bytes, maybe longer than the source; `none` returns the source itself. */
  compress(source: Uint8Array): Uint8Array;
  /**
   * Fills the target exactly.
   *
   * @throws CorruptionError CORRUPT_SNAPSHOT when the bytes are bad or of another size; what the
   * target then holds is undefined.
   */
  decompressInto(source: Uint8Array, target: Uint8Array): void;
}

const NAMES: readonly CodecName[] = ['none', 'lz4', 'snappy', 'zstd'];
const LOADERS: Readonly<Record<CodecName, () => CodecFunctions>> = {
  none: () => ({ compress: (source) => source, decompressInto: copyInto }),
  lz4: loadLz4,
  snappy: loadSnappy,
  zstd: loadZstd,
};
const loaded = new Map<CodecName, BlockCodec>();

/**
 * The codec of that name, loaded on first use.
 *
 * @throws IncompatibleError CODEC_UNAVAILABLE when its package cannot be loaded.
 */
export function loadCodec(name: CodecName): BlockCodec {
  const known = loaded.get(name);
  if (known) return known;
  const id = NAMES.indexOf(name);
  if (id < 0) {
    throw badOption('codec', `must be one of ${NAMES.join(', ')}`, name);
  }
  const codec: BlockCodec = { name, id, ...LOADERS[name]() };
  loaded.set(name, codec);
  return codec;
}

/**
 * The codec with the id that a file names, loaded on first use.
 *
 * @throws IncompatibleError UNSUPPORTED_FORMAT for an unknown id, CODEC_UNAVAILABLE as above.
 */
export function codecById(id: number): BlockCodec {
  const name = NAMES[id];
  if (name !== undefined) return loadCodec(name);
  throw new IncompatibleError('UNSUPPORTED_FORMAT', `Compression with the unknown codec ${id}`, {
    id,
  });
}

function copyInto(source: Uint8Array, target: Uint8Array): void {
  if (source.length !== target.length) {
    throw new CorruptionError('CORRUPT_SNAPSHOT', 'An uncompressed block is of another size', {
      expected: target.length,
      actual: source.length,
    });
  }
  target.set(source);
}
