/*
 * Options of a verification, checked.
 */
import type { Verification } from '../snapshot/tasks.ts';
import { badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';
import type { RunLimits, RunProgress } from './limited-run.ts';
import { locationNames, type StoreLocation } from './reader-moment.ts';
import { checkLevel } from './verify-tools.ts';

/** How a store is checked. */
export interface CheckOptions {
  /**
   * How far the check goes. `none`: identity, records, and that what they name and the segments of the
   * log are there; `basic`: also headers, footers and sizes of snapshots, and the newest segment to
   * its end; `standard`: also every block of every snapshot and every group of the log, by its
   * checksum; `full`: also digests, the order of entries, the index against them, and that the log
   * holds commits. @defaultValue 'full'
   */
  readonly level?: Verification;
  /** Checks only the record of this checkpoint and the snapshots that it names. @defaultValue all */
  readonly checkpoint?: number;
  /** Ends the check with ABORTED. @defaultValue none */
  readonly signal?: AbortSignal;
  /** Milliseconds after which it ends with TIMEOUT. @defaultValue none */
  readonly timeoutMs?: number;
  /** Is told how far the check is. @defaultValue none */
  readonly onProgress?: (progress: RunProgress<'verify'>) => void;
}

/** Options of {@link verifyStore}. */
export interface VerifyOptions extends StoreLocation, CheckOptions {}

export const checkNames: readonly string[] = [
  'level',
  'checkpoint',
  'signal',
  'timeoutMs',
  'onProgress',
] satisfies readonly (keyof CheckOptions)[];

/** Options in force. */
export interface CheckedVerifyOptions {
  readonly level: Verification;
  readonly checkpoint: number | undefined;
  readonly limits: RunLimits<'verify'>;
}

/** Checks the options of a call that names a store. */
export function checkVerifyOptions(options: VerifyOptions): CheckedVerifyOptions {
  knownOnly(options, [...locationNames, ...checkNames]);
  return resolveCheck(options);
}

/** Fills in defaults; names have been checked. */
export function resolveCheck(options: CheckOptions): CheckedVerifyOptions {
  const { level, checkpoint, signal, timeoutMs, onProgress } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badOption('signal', 'must be an AbortSignal', signal);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw badOption('onProgress', 'must be a function', onProgress);
  }
  return {
    level: checkLevel('level', level, 'full'),
    checkpoint: checkpoint === undefined ? undefined : wholeNumber('checkpoint', checkpoint, 1),
    limits: {
      signal,
      timeoutMs: timeoutMs === undefined ? undefined : wholeNumber('timeoutMs', timeoutMs, 1),
      onProgress,
    },
  };
}
