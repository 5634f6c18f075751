/*
 * Compression of groups, off unless asked for. It runs on the thread that writes the log, between the
 * sync before and the write, a little at a time: groups of many frames are closed early, writes are
 * cut so that the event loop turns between two of them, and a frame that would hold it goes out raw.
 * So does a group that would not get smaller by an eighth. Figures: docs/adr/0016.
 */
import { isBuiltIn, loadCodec, type BlockCodec } from '../codec/compression.ts';
import {
  checkCompression,
  compressionBytesMin,
  type CompressionSetting,
} from '../codec/compression-setting.ts';
import { badOption } from '../std/option-checks.ts';
import { compressedFrameBytesMost } from './group-format.ts';

/** Frames are gathered into groups of at most so many bytes when groups are compressed. */
export const compressedGroupBytesMax: number = 64 * 1024;
/** Bytes of frames that are compressed before the event loop turns. */
export const compressedTurnBytes: number = 256 * 1024;

/**
 * Checks `logCompression`, and that its codec can be loaded; undefined: off.
 * @throws InvalidArgumentError INVALID_OPTION
 * @throws IncompatibleError CODEC_UNAVAILABLE
 */
export function resolveLogCompression(option: unknown): CompressionSetting | undefined {
  if (option === undefined) return undefined;
  const setting = checkCompression(option, 'logCompression');
  if (setting.codec === 'none') return undefined;
  if (!isBuiltIn(setting.codec)) {
    // Groups name codecs by their number, and only those of the format have one.
    throw badOption('logCompression.codec', 'must be a built-in codec', setting.codec);
  }
  loadCodec(setting.codec, setting.level);
  return setting;
}

export class GroupCompressor {
  readonly #codec: BlockCodec;
  readonly #bytesMin: number;

  /** The setting is one that was resolved. */
  constructor({ codec, level, bytesMin = compressionBytesMin }: CompressionSetting) {
    if (!isBuiltIn(codec)) throw badOption('logCompression.codec', 'must be built in', codec);
    this.#codec = loadCodec(codec, level);
    this.#bytesMin = bytesMin;
  }

  /** As the header of a group names it. */
  get codecId(): number {
    return this.#codec.id;
  }

  /** The compressed frames, or undefined where they go out as they are. */
  compress(frames: Uint8Array): Uint8Array | undefined {
    const { length } = frames;
    if (length < this.#bytesMin || length > compressedFrameBytesMost) return undefined;
    const packed = this.#codec.compress(frames);
    return packed.length <= length - length / 8 ? packed : undefined;
  }
}
