/*
 * Settings of the log, their defaults and their bounds: one place for the engine and for `openLog`.
 */
import type { CompressionOption, CompressionSetting } from '../codec/compression-setting.ts';
import { badOption, oneOf, wholeNumber } from '../std/option-checks.ts';
import { resolveLogCompression } from './group-compression.ts';

/** When the promise of a commit resolves: what the commit has survived by then. */
export type Durability = 'memory' | 'os' | 'disk';

/** Settings of the log. */
export interface LogOptions {
  /** Bytes of a segment, filled with zeros ahead. @defaultValue 67108864 (64 MiB) */
  readonly segmentBytesMax?: number;
  /** Bytes of the frames of one group; a larger frame gets a group of its own. @defaultValue 1048576 */
  readonly groupBytesMax?: number;
  /** Records of one group; a larger batch gets a group of its own. @defaultValue 65536 */
  readonly groupRecordsMax?: number;
  /**
   * Bytes that are sealed and not yet durable: past it a commit waits, past twice it is refused
   * with OVERLOADED. @defaultValue 16777216, or half a segment if that is less
   */
  readonly undurableBytesMax?: number;
  /** Bytes of one record of `openLog`, or of key and value of one change. @defaultValue 67108864 */
  readonly recordBytesMax?: number;
  /** Bytes of one batch or commit. @defaultValue 268435456 (256 MiB) */
  readonly commitBytesMax?: number;
  /**
   * Compression of groups of the log: the name of a built-in codec, or `{ codec, level, bytesMin }`.
   * Groups of fewer bytes than `bytesMin`, of more than 1 MiB, and those that would not get smaller by
   * an eighth go out as they are. @defaultValue 'none'
   */
  readonly logCompression?: CompressionOption;
}

/** All settings of the log, in force; without compression there is none. */
export type ResolvedLogOptions = Required<Omit<LogOptions, 'logCompression'>> & {
  readonly logCompression: CompressionSetting | undefined;
};

export const logOptionNames: readonly (keyof LogOptions)[] = [
  'segmentBytesMax',
  'groupBytesMax',
  'groupRecordsMax',
  'undurableBytesMax',
  'recordBytesMax',
  'commitBytesMax',
  'logCompression',
];

const MIB = 1024 * 1024;
const segmentBytesLeast = 4096;
/** 32-bit fields of a group leave room for headers below 1 GiB. */
const bytesMost = 1024 * MIB;

/** Fills in the defaults; a contradiction or a value out of range is INVALID_OPTION. */
export function resolveLogOptions(options: LogOptions): ResolvedLogOptions {
  const segmentBytesMax = within(options, 'segmentBytesMax', 64 * MIB, segmentBytesLeast);
  const commitBytesMax = within(options, 'commitBytesMax', 256 * MIB, 1024);
  const recordDefault = Math.min(64 * MIB, commitBytesMax);
  const resolved = {
    segmentBytesMax,
    commitBytesMax,
    groupBytesMax: within(options, 'groupBytesMax', MIB, 1024),
    groupRecordsMax: within(options, 'groupRecordsMax', 65_536, 1),
    undurableBytesMax: within(
      options,
      'undurableBytesMax',
      Math.min(16 * MIB, Math.floor(segmentBytesMax / 2)),
      1024,
    ),
    recordBytesMax: within(options, 'recordBytesMax', recordDefault, 1),
    logCompression: resolveLogCompression(options.logCompression),
  };
  if (resolved.recordBytesMax > commitBytesMax) {
    const why = `is above commitBytesMax, ${commitBytesMax}`;
    throw badOption('recordBytesMax', why, resolved.recordBytesMax);
  }
  return Object.freeze(resolved);
}

function within(
  options: LogOptions,
  name: Exclude<keyof LogOptions, 'logCompression'>,
  defaultValue: number,
  least: number,
): number {
  return wholeNumber(name, options[name] ?? defaultValue, least, bytesMost);
}

const levels: readonly Durability[] = ['memory', 'os', 'disk'];

/** Checks a durability level. */
export function resolveDurability(value: unknown, otherwise: Durability): Durability {
  return value === undefined ? otherwise : oneOf('durability', value, levels);
}
