/*
 * How far a verification goes, and what holds it up: the level, the one checkpoint that is asked for,
 * and a pace. Everything that is read is counted here before more is read, so that a caller can
 * show progress, end the check, or let it read no faster than the disk can spare.
 */
import type { FileSystem } from '../fs/file-system.ts';
import {
  verifySnapshot,
  type VerifySnapshotInput,
  type VerifySnapshotOutput,
} from '../snapshot/tasks.ts';
import { Turns } from '../snapshot/task-context.ts';
import type { Verification } from '../snapshot/tasks.ts';
import { badOption } from '../std/option-checks.ts';
import { readerContext } from './reader-moment.ts';

/** Levels of verification, each of which finds all that the one before finds, and more. */
export const verificationLevels: readonly Verification[] = ['none', 'basic', 'standard', 'full'];

/** What the parts of a verification share. */
export interface VerifyTools {
  readonly level: Verification;
  /** Counts bytes that were read; what it waits for holds the verification up. */
  readonly spend: (bytes: number) => Promise<void>;
  /** Turns of whatever else the thread does. */
  readonly turns: Turns;
  /** Checks a file, or slices of it. */
  readonly verifyFile: (
    fs: FileSystem,
    input: VerifySnapshotInput,
  ) => Promise<VerifySnapshotOutput>;
}

/** Tools of a check in this thread; what is given takes the place of what would be used. */
export function verifyTools(given: Partial<VerifyTools>): VerifyTools {
  return {
    level: 'full',
    spend: () => Promise.resolve(),
    turns: new Turns(readerContext),
    verifyFile: (fs, input) => verifySnapshot(fs, input, readerContext),
    ...given,
  };
}

/** Whether a level does what another one does first. */
export function reaches(level: Verification, least: Verification): boolean {
  return verificationLevels.indexOf(level) >= verificationLevels.indexOf(least);
}

/** The level of an option. */
export function checkLevel(name: string, value: unknown, otherwise: Verification): Verification {
  if (value === undefined) return otherwise;
  const level = verificationLevels.find((known) => known === value);
  if (level) return level;
  throw badOption(name, `must be one of ${verificationLevels.join(', ')}`, value);
}
