/*
 * Options about reading, slowly, what nobody asks for: damage is found while there is another way to
 * what was damaged, and not when it is needed.
 */
import type { RunProgress } from '../recovery/limited-run.ts';
import { badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';

/** How a store is scrubbed. */
export interface ScrubOptions {
  /**
   * Milliseconds from the opening, or the end of one scrub, to the next; false: only when it is asked
   * for. @defaultValue false
   */
  readonly intervalMs?: number | false;
  /** Bytes a second that are read at most. @defaultValue 16777216 (16 MiB) */
  readonly bytesPerSecond?: number;
}

/** Options of the engine about scrubbing. */
export interface EngineScrubOptions {
  /**
   * Reads every block of every snapshot and every group of the log in the background, and checks them,
   * as `verify` does at level `standard`; the event `scrub` tells what was found.
   * @defaultValue { intervalMs: false }
   */
  readonly scrub?: ScrubOptions;
}

/** Options of `engine.scrub`. */
export interface ScrubCallOptions extends Pick<ScrubOptions, 'bytesPerSecond'> {
  /** Ends the scrub with ABORTED. @defaultValue none */
  readonly signal?: AbortSignal;
  /** Is told how far the scrub is. @defaultValue none */
  readonly onProgress?: (progress: RunProgress<'verify'>) => void;
}

/** Options in force. */
export interface ResolvedScrubOptions {
  /** Undefined: only when it is asked for. */
  readonly intervalMs: number | undefined;
  readonly bytesPerSecond: number;
}

export const scrubOptionNames: readonly (keyof EngineScrubOptions)[] = ['scrub'];

const bytesPerSecondDefault = 16 * 1024 * 1024;
const bytesPerSecondLeast = 1024;

export function resolveScrubOptions({ scrub = {} }: EngineScrubOptions): ResolvedScrubOptions {
  knownOnly(scrub, ['intervalMs', 'bytesPerSecond'], 'scrub');
  const { intervalMs = false, bytesPerSecond } = scrub;
  return {
    intervalMs: intervalMs === false ? undefined : wholeNumber('scrub.intervalMs', intervalMs, 1),
    bytesPerSecond: scrubRate('scrub.bytesPerSecond', bytesPerSecond, bytesPerSecondDefault),
  };
}

/** Checks the options of a call; undefined: at full speed. */
export function checkScrubCall(options: ScrubCallOptions): number | undefined {
  knownOnly(options, ['bytesPerSecond', 'signal', 'onProgress']);
  const { bytesPerSecond, signal, onProgress } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badOption('signal', 'must be an AbortSignal', signal);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw badOption('onProgress', 'must be a function', onProgress);
  }
  return bytesPerSecond === undefined
    ? undefined
    : scrubRate('bytesPerSecond', bytesPerSecond, bytesPerSecondDefault);
}

function scrubRate(name: string, value: number | undefined, otherwise: number): number {
  return wholeNumber(name, value ?? otherwise, bytesPerSecondLeast);
}
