/*
 * What a recovery says of its choice: the way that it took, the checkpoints that it passed over and
 * why, and, where every way would lose commits, the ways that there are and what each would lose.
 */
import {
  CorruptionError,
  IncompatibleError,
  StorageError,
  TidemarkError,
  type ErrorCode,
} from '../errors.ts';

/** What the damage of a file can be told as. */
const classes = [CorruptionError, IncompatibleError, StorageError];

/**
 * From what the state was made. `newest`: the newest checkpoint and the log behind it. `older`: an
 * older checkpoint and the longer log behind that. `log`: the log alone. `empty`: there was nothing.
 */
export type RecoveryPath = 'empty' | 'newest' | 'older' | 'log';

/** Something that is wrong with a file of a checkpoint. */
export interface SkippedFault {
  /** Of the file, or the name of the object. */
  readonly path: string;
  readonly code: ErrorCode;
  readonly what: string;
}

/** A checkpoint that was passed over. */
export interface SkippedCheckpoint {
  readonly checkpoint: number;
  /** Undefined: its record cannot be read. */
  readonly lsn: number | undefined;
  readonly faults: readonly SkippedFault[];
}

/** LSNs that a way does not reach. */
export interface LostCommits {
  readonly fromLsn: number;
  /** The last one that is known to have been given. */
  readonly throughLsn: number;
  /** The end of the log is missing: there may have been more behind `throughLsn`. */
  readonly mayBeMore: boolean;
}

/** A way to a state, where every way loses commits. */
export interface LosingPath {
  /** Undefined: the log alone. */
  readonly checkpoint: number | undefined;
  /** Last LSN of the state that it gives. */
  readonly lsn: number;
  /** Undefined: nothing that is known of. */
  readonly lost: LostCommits | undefined;
  /** Why it goes no further. */
  readonly why: string;
}

/** What was given up on purpose. */
export interface AcceptedLoss {
  /** The checkpoint that the state was made from; undefined: the log alone. */
  readonly from: number | undefined;
  /** Last LSN of that state. */
  readonly reachedLsn: number;
  /** Undefined: nothing that is known of. */
  readonly lost: LostCommits | undefined;
  /** With `optimistic`: operators that are lost, whole. */
  readonly missing: readonly string[];
  /** Why it goes no further. */
  readonly why: string;
  /** The checkpoint that stands for it from now on, at an LSN above all that were lost. */
  readonly checkpoint: number;
  /** Directory that holds all files as they were. */
  readonly keptIn: string;
}

/** Damage of a file, which another way may do without; anything else is thrown on. */
export function isDamage(error: unknown, isLocal: boolean): error is TidemarkError {
  if (!(error instanceof TidemarkError)) return false;
  if (error.kind === 'corrupt') return true;
  // A disk that cannot read its own sectors. A store over a network may answer the next time.
  return isLocal && error.code === 'IO' && error.details['errno'] === 'EIO';
}

export function skippedFault(error: TidemarkError, path: string): SkippedFault {
  const told = error.details['path'];
  return { path: typeof told === 'string' ? told : path, code: error.code, what: error.message };
}

/** Ways that lose operators are not looked for unless that is asked for. */
const noWay = 'no way is left to all operators, with optimistic there may be one to the sound ones';

/** The error of an opening that every way would make lose commits; nothing was changed. */
export function lossError(first: TidemarkError, paths: readonly LosingPath[]): TidemarkError {
  const ways = paths.map(pathText).join('; ');
  const text = paths.length === 0 ? noWay : `every way would lose commits: ${ways}`;
  const message = `${first.message}; ${text}`;
  const details = { ...first.details, paths };
  const Class = classes.find((candidate) => first instanceof candidate) ?? CorruptionError;
  return new Class(first.code as never, message, details, first);
}

function pathText({ checkpoint, lsn, lost }: LosingPath): string {
  const way = checkpoint === undefined ? 'the log alone' : `checkpoint ${checkpoint}`;
  if (!lost) return `${way} reaches LSN ${lsn}`;
  const { fromLsn, throughLsn, mayBeMore } = lost;
  const through = throughLsn < fromLsn ? 'what came behind' : `LSN ${fromLsn} to ${throughLsn}`;
  const more = mayBeMore && throughLsn >= fromLsn ? ' and what came behind' : '';
  return `${way} reaches LSN ${lsn} and loses ${through}${more}`;
}
