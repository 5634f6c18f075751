/*
 * Options about the chain: how long it may become, what a restore may cost, how it is merged.
 */
import { availableParallelism } from 'node:os';
import {
  mergeStrategies,
  type ChainPolicy,
  type MergeStrategy,
} from '../checkpoint/record-notes.ts';
import type { MergeLimits } from '../checkpoint/checkpointer-input.ts';
import { amount, badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';

/** How the chain is merged. */
export interface MergeOptions {
  /**
   * 'sequential': the whole chain into a base, in one worker; 'parallel': the same over key groups
   * in several; 'optimal': the run of snapshots that costs least for what it gives: several deltas
   * into one, overlapping ones first, the base when it pays. @defaultValue 'optimal'
   */
  readonly strategy?: MergeStrategy;
  /**
   * Key groups are merged in so many threads at once; while an engine is open at most the machine's
   * parallelism less one, whatever is given. @defaultValue that
   */
  readonly threadsMax?: number;
  /** Blocks of fewer bytes are stored as they are. @defaultValue `compression.bytesMin`, 1024 */
  readonly compressionBytesMin?: number;
  /**
   * Leaves out of a delta that deltas are merged into what changes nothing in the chain below:
   * deletes of keys that are not there, and values that are there already. The commit that wrote such
   * a value again is no longer seen in the snapshot, and `mergeLineages` refuses the file.
   * @defaultValue false
   */
  readonly deduplicate?: boolean;
  /** Milliseconds after which a merge is given up; the old chain stays. @defaultValue none */
  readonly timeoutMs?: number;
  /** Gives up the merge that runs, and every later one. @defaultValue none */
  readonly signal?: AbortSignal;
}

/** Options about the chain. */
export interface ChainOptions {
  /**
   * Snapshots of a chain at which it is merged, up to 1000: each is a file that an opening reads, and a
   * plan looks at all runs of them. @defaultValue 10
   */
  readonly maxChainLength?: number;
  /**
   * Seconds that opening the store may take: the chain is merged and checkpoints are taken before
   * the estimate, from rates measured here, exceeds it. @defaultValue no bound
   */
  readonly restoreSecondsMax?: number;
  /** Bytes of snapshots and log that opening the store may read. @defaultValue no bound */
  readonly restoreBytesMax?: number;
  /** Bytes that merges may write for each byte of log, since the store was made. @defaultValue 10 */
  readonly mergeBytesPerLogByteMax?: number;
  /**
   * A new base is made when the log behind the old one has so many bytes for each byte of a base,
   * and at least 64 MiB: two bases and the log from the older one are kept. @defaultValue 4
   */
  readonly logBytesPerBaseByteMax?: number;
  readonly merge?: MergeOptions;
}

/** Options about the chain, in force. */
export interface ResolvedChainOptions {
  readonly policy: ChainPolicy;
  readonly limits: Omit<MergeLimits, 'threadsMax'> & { readonly threadsMax: number | undefined };
}

export const chainOptionNames: readonly (keyof ChainOptions)[] = [
  'maxChainLength',
  'restoreSecondsMax',
  'restoreBytesMax',
  'mergeBytesPerLogByteMax',
  'logBytesPerBaseByteMax',
  'merge',
];

const mergeOptionNames: readonly (keyof MergeOptions)[] = [
  'strategy',
  'threadsMax',
  'compressionBytesMin',
  'deduplicate',
  'timeoutMs',
  'signal',
];

export const maxChainLengthDefault = 10;
/** Work and memory of a plan grow with the square of it. */
const maxChainLengthMost = 1000;
export const mergeBytesPerLogByteDefault = 10;
export const logBytesPerBaseByteDefault = 4;

/** Fills in the defaults; a bad value is INVALID_OPTION with its name. */
export function resolveChainOptions(options: ChainOptions): ResolvedChainOptions {
  const merge = options.merge === undefined ? {} : options.merge;
  knownOnly(merge, mergeOptionNames, 'merge');
  const { strategy = 'optimal', signal, timeoutMs, threadsMax, compressionBytesMin } = merge;
  if (!mergeStrategies.includes(strategy)) {
    throw badOption('merge.strategy', `must be one of ${mergeStrategies.join(', ')}`, strategy);
  }
  const { deduplicate = false } = merge;
  if (typeof deduplicate !== 'boolean') {
    throw badOption('merge.deduplicate', 'must be true or false', deduplicate);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badOption('merge.signal', 'must be an AbortSignal', signal);
  }
  const { maxChainLength, restoreSecondsMax, restoreBytesMax } = options;
  const { mergeBytesPerLogByteMax, logBytesPerBaseByteMax } = options;
  return Object.freeze({
    policy: Object.freeze({
      strategy,
      maxChainLength: wholeNumber(
        'maxChainLength',
        maxChainLength ?? maxChainLengthDefault,
        1,
        maxChainLengthMost,
      ),
      restoreSecondsMax: optional(restoreSecondsMax, (value) => amount('restoreSecondsMax', value)),
      restoreBytesMax: optional(restoreBytesMax, (value) =>
        wholeNumber('restoreBytesMax', value, 1),
      ),
      mergeBytesPerLogByteMax: amount(
        'mergeBytesPerLogByteMax',
        mergeBytesPerLogByteMax ?? mergeBytesPerLogByteDefault,
      ),
      logBytesPerBaseByteMax: amount(
        'logBytesPerBaseByteMax',
        logBytesPerBaseByteMax ?? logBytesPerBaseByteDefault,
      ),
    }),
    limits: Object.freeze({
      compressionBytesMin: optional(compressionBytesMin, (value) =>
        wholeNumber('merge.compressionBytesMin', value, 0),
      ),
      timeoutMs: optional(timeoutMs, (value) => wholeNumber('merge.timeoutMs', value, 1)),
      signal,
      deduplicate,
      threadsMax: optional(threadsMax, (value) => wholeNumber('merge.threadsMax', value, 1)),
    }),
  });
}

/** Threads that work in the background while the engine is open. */
export function backgroundThreadsMax(): number {
  return Math.max(1, availableParallelism() - 1);
}

function optional<T, R>(value: T | undefined, check: (value: T) => R): R | undefined {
  return value === undefined ? undefined : check(value);
}
