/*
 * Compression of blocks by name and by id. The ids stand in files and never change meaning; codecs of
 * users (compression-modules.ts) have ids from 128 up, which each file gives to the names that it
 * lists. A codec is loaded when it is first used, and one that cannot be loaded is an error, never
 * another codec: what a file holds must not depend on what happened to be installed. The caller
 * stores the size before compression and checks the block's CRC before decompressing; even so,
 * damaged bytes give a CorruptionError here, within the memory of the target. Sources and targets may
 * be shared memory.
 */
import { CorruptionError, IncompatibleError } from '../errors.ts';
import { badOption } from '../std/option-checks.ts';
import { loadLz4, loadSnappy, type CodecFunctions } from './compression-native.ts';
import { brotliOfNode, gzipOfNode } from './compression-zlib.ts';
import { loadZstd, zstdLevelMax } from './compression-zstd.ts';

/** Codecs that are here without anybody registering them. */
export type BuiltInCodecName = 'none' | 'lz4' | 'snappy' | 'zstd' | 'gzip' | 'brotli';

/** Codecs that a store can be given: those above, and names of users' own. */
export type CodecName = BuiltInCodecName | (string & {});

/** Compresses and decompresses one block at a time. */
export interface BlockCodec {
  readonly name: BuiltInCodecName;
  /** Stands in files: none 0, lz4 1, snappy 2, zstd 3, gzip 4, brotli 5. */
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

/** Levels that a codec has. */
export interface CodecLevels {
  readonly least: number;
  readonly most: number;
}

interface BuiltIn {
  readonly load: (level: number | undefined) => CodecFunctions;
  readonly levels?: CodecLevels;
}

/** The place in this list is the id. */
export const builtInCodecs: readonly BuiltInCodecName[] = [
  'none',
  'lz4',
  'snappy',
  'zstd',
  'gzip',
  'brotli',
];

const CODECS: Readonly<Record<BuiltInCodecName, BuiltIn>> = {
  none: { load: () => ({ compress: (source) => source, decompressInto: copyInto }) },
  lz4: { load: loadLz4 },
  snappy: { load: loadSnappy },
  zstd: { load: loadZstd, levels: { least: 1, most: zstdLevelMax } },
  gzip: { load: gzipOfNode, levels: { least: 1, most: 9 } },
  brotli: { load: brotliOfNode, levels: { least: 0, most: 11 } },
};
const loaded = new Map<string, BlockCodec>();

export function isBuiltIn(name: unknown): name is BuiltInCodecName {
  return (builtInCodecs as readonly unknown[]).includes(name);
}

/** Levels of a codec; undefined for one that has none, as every codec of a user. */
export function levelsOf(name: CodecName): CodecLevels | undefined {
  return isBuiltIn(name) ? CODECS[name].levels : undefined;
}

/**
 * The codec of that name, loaded on first use. A block of any level is read by any other.
 *
 * @param level the codec's own default when it is left out
 * @throws IncompatibleError CODEC_UNAVAILABLE when its package cannot be loaded.
 */
export function loadCodec(name: BuiltInCodecName, level?: number): BlockCodec {
  const place = `${name} ${level}`;
  const known = loaded.get(place);
  if (known) return known;
  if (!isBuiltIn(name)) {
    throw badOption('codec', `must be one of ${builtInCodecs.join(', ')}`, name);
  }
  const { load, levels } = CODECS[name];
  if (level !== undefined && !isLevel(level, levels)) {
    throw badOption('level', `is one that the codec ${name} does not have`, level);
  }
  const codec: BlockCodec = { name, id: builtInCodecs.indexOf(name), ...load(level) };
  loaded.set(place, codec);
  return codec;
}

/** Whether a codec with these levels has this one. */
export function isLevel(level: unknown, levels: CodecLevels | undefined): level is number {
  if (!levels || typeof level !== 'number' || !Number.isInteger(level)) return false;
  return level >= levels.least && level <= levels.most;
}

/**
 * The codec with the id that a file names, loaded on first use.
 *
 * @throws IncompatibleError UNSUPPORTED_FORMAT for an unknown id, CODEC_UNAVAILABLE as above.
 */
export function codecById(id: number): BlockCodec {
  const name = builtInCodecs[id];
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
