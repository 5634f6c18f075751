/*
 * What a store, a state or a file is compressed with, as options say it: plain data that is stored
 * in catalogues and sent to threads. Checked here, for every layer that takes such an option.
 */
import { badOption, knownOnly, oneOf, wholeNumber } from '../std/option-checks.ts';
import { isRegistered } from './compression-modules.ts';
import { builtInCodecs, levelsOf, type CodecName } from './compression.ts';

/** How blocks are compressed. */
export interface CompressionSetting {
  /** A built-in codec, or one of `codecs`. */
  readonly codec: CodecName;
  /**
   * How hard it tries: zstd 1 to 19, gzip 1 to 9, brotli 0 to 11; the others have no levels.
   * @defaultValue zstd 3, gzip 6, brotli 4
   */
  readonly level?: number;
  /** Blocks with fewer bytes are stored as they are. @defaultValue 1024 */
  readonly bytesMin?: number;
}

/** As options take it: the codec's name alone stands for its defaults. */
export type CompressionOption = CodecName | CompressionSetting;

export const compressionBytesMin = 1024;

/** Of a store that says nothing. */
export const compressionDefault: CompressionSetting = Object.freeze({ codec: 'lz4' });

const names: readonly string[] = [
  'codec',
  'level',
  'bytesMin',
] satisfies readonly (keyof CompressionSetting)[];

/**
 * Checks an option.
 *
 * @param path of the option, for errors
 * @param own names of codecs that are about to be registered, beside those that are
 * @throws InvalidArgumentError INVALID_OPTION with the path of what is wrong
 */
export function checkCompression(
  option: unknown,
  path: string,
  own: readonly string[] = [],
): CompressionSetting {
  if (typeof option === 'string') return { codec: checkCodec(option, path, own) };
  if (typeof option !== 'object' || option === null) {
    throw badOption(path, 'must be the name of a codec, or { codec, level, bytesMin }', option);
  }
  knownOnly(option, names, path);
  const { level, bytesMin, ...rest } = option as Partial<Record<string, unknown>>;
  const codec = checkCodec(rest['codec'], `${path}.codec`, own);
  return Object.freeze({
    codec,
    ...(level === undefined ? {} : { level: checkLevel(codec, level, `${path}.level`) }),
    ...(bytesMin === undefined ? {} : { bytesMin: wholeNumber(`${path}.bytesMin`, bytesMin, 0) }),
  });
}

/** Whether two settings are the same. */
export function sameCompression(
  a: CompressionSetting | undefined,
  b: CompressionSetting | undefined,
): boolean {
  return a?.codec === b?.codec && a?.level === b?.level && a?.bytesMin === b?.bytesMin;
}

/** The setting of its stored form, or undefined when it is none. */
export function compressionFromPlain(plain: unknown): CompressionSetting | undefined {
  if (typeof plain !== 'object' || plain === null) return undefined;
  const { codec, level, bytesMin } = plain as Record<string, unknown>;
  const isNumber = (value: unknown): boolean =>
    value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0);
  if (typeof codec !== 'string' || !isNumber(level) || !isNumber(bytesMin)) return undefined;
  return {
    codec,
    ...(level === undefined ? {} : { level: Number(level) }),
    ...(bytesMin === undefined ? {} : { bytesMin: Number(bytesMin) }),
  };
}

function checkCodec(codec: unknown, path: string, own: readonly string[]): CodecName {
  if (typeof codec === 'string' && (own.includes(codec) || isRegistered(codec))) return codec;
  return oneOf<CodecName>(path, codec, [...builtInCodecs, ...own]);
}

function checkLevel(codec: CodecName, level: unknown, path: string): number {
  const levels = levelsOf(codec);
  if (levels) return wholeNumber(path, level, levels.least, levels.most);
  throw badOption(path, `is for codecs that have levels, and ${codec} has none`, level);
}
