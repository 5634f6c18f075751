/*
 * Which codec a block of a snapshot is stored with, and back. A table of its own setting has that,
 * every other table, reserved ones too, the store's. Small blocks, and those where compression does
 * not pay, are stored as they are.
 *
 * Ids of blocks: those of built-in codecs as in compression.ts; users' codecs have `ownCodecIdMin`
 * plus their place in the list that the footer holds. The list follows from the setting alone, so
 * that slices can be packed apart from each other and from the file.
 */
import { registeredCodec } from '../codec/compression-modules.ts';
import type { CodecFunctions } from '../codec/compression-native.ts';
import { compressionBytesMin, type CompressionSetting } from '../codec/compression-setting.ts';
import { builtInCodecs, codecById, isBuiltIn, loadCodec } from '../codec/compression.ts';
import { CorruptionError } from '../errors.ts';

/** How the blocks of a snapshot are compressed; plain data. */
export interface SnapshotCompression extends CompressionSetting {
  /** Tables that have a setting of their own. */
  readonly tables?: readonly TableCompression[];
}

/** The setting of one table. */
export interface TableCompression extends CompressionSetting {
  readonly table: number;
}

/** A block as it is stored. */
export interface PackedBlock {
  readonly stored: Uint8Array;
  readonly codec: number;
}

export const ownCodecIdMin = 128;
export const ownCodecsMax = 128;

/**
 * A block is compressed only where that saves more than a part in sixteen: reading it back costs a
 * decompression, which less than that does not repay.
 */
const SAVED_PART = 1 / 16;

interface Packing {
  readonly id: number;
  readonly bytesMin: number;
  readonly codec: CodecFunctions;
}

/** Packs the blocks of one snapshot. */
export class BlockPacker {
  /** Users' codecs by name, for the footer. */
  readonly ownCodecs: readonly string[];
  readonly #packings = new Map<number, Packing>();
  readonly #default: Packing;

  /** @throws IncompatibleError CODEC_UNAVAILABLE */
  constructor(compression: SnapshotCompression) {
    const { tables = [] } = compression;
    const names = [compression, ...tables].map((setting) => setting.codec);
    this.ownCodecs = [...new Set(names.filter((name) => !isBuiltIn(name)))];
    this.#default = this.#packing(compression, compression);
    for (const setting of tables) {
      this.#packings.set(setting.table, this.#packing(setting, compression));
    }
  }

  pack(raw: Uint8Array, table: number): PackedBlock {
    const { id, bytesMin, codec } = this.#packings.get(table) ?? this.#default;
    if (id === 0 || raw.length < bytesMin) return { stored: raw, codec: 0 };
    const stored = codec.compress(raw);
    if (stored.length > raw.length * (1 - SAVED_PART)) return { stored: raw, codec: 0 };
    return { stored, codec: id };
  }

  /** A table's setting without a threshold has that of the store. */
  #packing(setting: CompressionSetting, store: CompressionSetting): Packing {
    const { codec: name, level } = setting;
    const bytesMin = setting.bytesMin ?? store.bytesMin ?? compressionBytesMin;
    if (isBuiltIn(name)) {
      return { id: builtInCodecs.indexOf(name), bytesMin, codec: loadCodec(name, level) };
    }
    const id = ownCodecIdMin + this.ownCodecs.indexOf(name);
    return { id, bytesMin, codec: registeredCodec(name) };
  }
}

/**
 * What decompresses a block.
 *
 * @param ownCodecs of the footer
 * @throws IncompatibleError CODEC_UNAVAILABLE, UNSUPPORTED_FORMAT
 * @throws CorruptionError CORRUPT_SNAPSHOT for a place that the list does not have
 */
export function blockCodec(id: number, ownCodecs: readonly string[]): CodecFunctions {
  if (id < ownCodecIdMin) return codecById(id);
  const name = ownCodecs[id - ownCodecIdMin];
  if (name !== undefined) return registeredCodec(name);
  throw new CorruptionError('CORRUPT_SNAPSHOT', `no codec of the file has the id ${id}`, { id });
}
