/*
 * Options of an opening about its own course: how long it may take, who ends it, who hears how far it
 * is, and with how many threads. They are among the options of the engine.
 */
import { availableParallelism } from 'node:os';
import { resolveLimits, type RunLimits, type RunProgress } from '../recovery/limited-run.ts';
import type { OpeningPhase } from '../recovery/opening-run.ts';
import { wholeNumber } from '../std/option-checks.ts';

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

/** Fills in the defaults. @throws InvalidArgumentError INVALID_OPTION */
export function resolveOpening(options: OpeningOptions): OpeningLimits {
  return { ...resolveLimits(options), threadsMax: resolveThreads(options.threadsMax) };
}

export function resolveThreads(threadsMax: number | undefined): number {
  return wholeNumber('threadsMax', threadsMax ?? availableParallelism(), 1);
}
