/*
 * Options of long calls: how long they may take, who ends them, who hears how far they are. Those of
 * an opening are among the options of the engine; copies and checks of stores have the same.
 */
import { availableParallelism } from 'node:os';
import type { RunLimits, RunProgress } from '../recovery/limited-run.ts';
import type { OpeningPhase } from '../recovery/opening-run.ts';
import { badOption, wholeNumber } from '../std/option-checks.ts';

/** How far an opening is. */
export type OpeningProgress = RunProgress<OpeningPhase>;

/** Options of an opening that are about its own course. */
export interface OpeningOptions {
  /**
   * Milliseconds after which the opening ends with TIMEOUT; once it has begun to write it is finished.
   * @defaultValue 300000 (5 min)
   */
  readonly timeoutMs?: number;
  /** Ends the opening with ABORTED; afterwards it is not looked at. @defaultValue none */
  readonly signal?: AbortSignal;
  /** Is told how far the opening is. @defaultValue none */
  readonly onProgress?: (progress: OpeningProgress) => void;
  /**
   * Worker threads at most: that many while the engine opens, and of them at most the machine's
   * parallelism less one beside the open engine. @defaultValue the machine's parallelism
   */
  readonly threadsMax?: number;
}

/** Names of the options of an opening. */
export const openingOptionNames: readonly (keyof OpeningOptions)[] = [
  'timeoutMs',
  'signal',
  'onProgress',
  'threadsMax',
];

/** The course of an opening. */
export interface OpeningLimits extends RunLimits<OpeningPhase> {
  readonly threadsMax: number;
}

/** Time that a long call may take unless it is said. */
export const timeoutMsDefault = 300_000;

/** Fills in the defaults. @throws InvalidArgumentError INVALID_OPTION */
export function resolveOpening(options: OpeningOptions): OpeningLimits {
  return { ...resolveLimits(options), threadsMax: resolveThreads(options.threadsMax) };
}

/** Limits of a long call, checked. */
export function resolveLimits<Phase extends string>(options: {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly onProgress?: (progress: RunProgress<Phase>) => void;
}): RunLimits<Phase> {
  const { signal, timeoutMs = timeoutMsDefault, onProgress } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badOption('signal', 'must be an AbortSignal', signal);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw badOption('onProgress', 'must be a function', onProgress);
  }
  return { signal, timeoutMs: wholeNumber('timeoutMs', timeoutMs, 1), onProgress };
}

export function resolveThreads(threadsMax: number | undefined): number {
  return wholeNumber('threadsMax', threadsMax ?? availableParallelism(), 1);
}
