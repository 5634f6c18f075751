/*
 * Errors of Tidemark. `kind` is what the caller should do, `code` is a stable fact, `message` is
 * free text with the values last. Every error that the package throws on purpose is a
 * TidemarkError; anything else is a bug.
 */

/** What the caller should do about an error. */
export type ErrorKind =
  | 'invalid'
  | 'conflict'
  | 'unavailable'
  | 'corrupt'
  | 'incompatible'
  | 'missing'
  | 'unknown'
  | 'closed'
  | 'aborted'
  | 'internal';

/** Stable error codes; the table in docs/ERRORS.md says what each means. */
export type ErrorCode =
  | 'INVALID_OPTION'
  | 'INVALID_KEY'
  | 'INVALID_VALUE'
  | 'INVALID_NAME'
  | 'INVALID_CALL'
  | 'POSITIONS_DIFFER'
  | 'HOLDERS_DIFFER'
  | 'NOT_A_STORE'
  | 'RECORD_TOO_LARGE'
  | 'COMMIT_TOO_LARGE'
  | 'VALUE_MUTATED'
  | 'TRANSACTION_OPEN'
  | 'READ_ONLY'
  | 'CODEC_FAILED'
  | 'LOCKED'
  | 'FENCED'
  | 'STATE_EXISTS'
  | 'SAVEPOINT_EXISTS'
  | 'TIMELINE_LEFT'
  | 'CLAIMED'
  | 'IO'
  | 'NO_SPACE'
  | 'SYNC_FAILED'
  | 'OVERLOADED'
  | 'CHECKPOINT_FAILED'
  | 'THREAD_LOST'
  | 'CORRUPT_FRAME'
  | 'CORRUPT_SEGMENT'
  | 'CORRUPT_SNAPSHOT'
  | 'CORRUPT_RECORD'
  | 'CORRUPT_RECORDING'
  | 'CORRUPT_STORE'
  | 'BROKEN_CHAIN'
  | 'LOG_HOLE'
  | 'UNSUPPORTED_FORMAT'
  | 'SCHEMA_CHANGED'
  | 'CODEC_UNAVAILABLE'
  | 'STORE_MISMATCH'
  | 'CHECKPOINT_NOT_FOUND'
  | 'SAVEPOINT_NOT_FOUND'
  | 'STATE_NOT_FOUND'
  | 'TIMELINE_NOT_FOUND'
  | 'FILE_NOT_FOUND'
  | 'OUT_OF_RETENTION'
  | 'OPERATOR_MISSING'
  | 'OUTCOME_UNKNOWN'
  | 'CLOSED'
  | 'POISONED'
  | 'ABORTED'
  | 'TIMEOUT'
  | 'INVARIANT';

/** Facts of an error: paths, offsets, LSNs, names, bounds. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** Base class of every error that Tidemark throws. */
export class TidemarkError extends Error {
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(
    kind: ErrorKind,
    code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.kind = kind;
    this.code = code;
    this.details = details;
  }
}

type CodeOf<Codes extends ErrorCode> = Codes;

/** The call is wrong: fix it. Nothing was changed. */
export class InvalidArgumentError extends TidemarkError {
  constructor(
    code: CodeOf<
      | 'INVALID_OPTION'
      | 'INVALID_KEY'
      | 'INVALID_VALUE'
      | 'INVALID_NAME'
      | 'INVALID_CALL'
      | 'POSITIONS_DIFFER'
      | 'HOLDERS_DIFFER'
      | 'NOT_A_STORE'
      | 'RECORD_TOO_LARGE'
      | 'COMMIT_TOO_LARGE'
      | 'VALUE_MUTATED'
      | 'TRANSACTION_OPEN'
      | 'READ_ONLY'
      | 'CODEC_FAILED'
    >,
    message: string,
    details?: ErrorDetails,
    cause?: unknown,
  ) {
    super('invalid', code, message, details, cause);
  }
}

/** Somebody else holds what the call needs: stop, or open again. */
export class ConflictError extends TidemarkError {
  constructor(
    code: CodeOf<
      'LOCKED' | 'FENCED' | 'STATE_EXISTS' | 'SAVEPOINT_EXISTS' | 'TIMELINE_LEFT' | 'CLAIMED'
    >,
    message: string,
    details?: ErrorDetails,
    cause?: unknown,
  ) {
    super('conflict', code, message, details, cause);
  }
}

/** The directory is held by another writer. */
export class LockedError extends ConflictError {
  constructor(message: string, details?: ErrorDetails) {
    super('LOCKED', message, details);
  }
}

/** Storage failed or is full: retry, free space, or slow down. */
export class StorageError extends TidemarkError {
  constructor(
    code: CodeOf<
      'IO' | 'NO_SPACE' | 'SYNC_FAILED' | 'OVERLOADED' | 'CHECKPOINT_FAILED' | 'THREAD_LOST'
    >,
    message: string,
    details?: ErrorDetails,
    cause?: unknown,
  ) {
    super('unavailable', code, message, details, cause);
  }
}

/** Bytes are damaged: restore or repair. Nothing was cut or overwritten. */
export class CorruptionError extends TidemarkError {
  constructor(
    code: CodeOf<
      | 'CORRUPT_FRAME'
      | 'CORRUPT_SEGMENT'
      | 'CORRUPT_SNAPSHOT'
      | 'CORRUPT_RECORD'
      | 'CORRUPT_RECORDING'
      | 'CORRUPT_STORE'
      | 'BROKEN_CHAIN'
      | 'LOG_HOLE'
      | 'OPERATOR_MISSING'
    >,
    message: string,
    details?: ErrorDetails,
    cause?: unknown,
  ) {
    super('corrupt', code, message, details, cause);
  }
}

/** The bytes are sound, but this program cannot take them: migrate, or use another version. */
export class IncompatibleError extends TidemarkError {
  constructor(
    code: CodeOf<'UNSUPPORTED_FORMAT' | 'SCHEMA_CHANGED' | 'CODEC_UNAVAILABLE' | 'STORE_MISMATCH'>,
    message: string,
    details?: ErrorDetails,
    cause?: unknown,
  ) {
    super('incompatible', code, message, details, cause);
  }
}

/** What was asked for does not exist: choose another target. */
export class NotFoundError extends TidemarkError {
  constructor(
    code: CodeOf<
      | 'CHECKPOINT_NOT_FOUND'
      | 'SAVEPOINT_NOT_FOUND'
      | 'STATE_NOT_FOUND'
      | 'TIMELINE_NOT_FOUND'
      | 'FILE_NOT_FOUND'
      | 'OUT_OF_RETENTION'
    >,
    message: string,
    details?: ErrorDetails,
    cause?: unknown,
  ) {
    super('missing', code, message, details, cause);
  }
}

/**
 * A commit was sealed and its outcome is not known. Open again, read `positions`, continue from
 * there; never repeat blindly.
 */
export class OutcomeUnknownError extends TidemarkError {
  constructor(message: string, details?: ErrorDetails, cause?: unknown) {
    super('unknown', 'OUTCOME_UNKNOWN', message, details, cause);
  }
}

/** The engine was closed, or an error after sealing made it read-only: open again. */
export class ClosedError extends TidemarkError {
  constructor(code: CodeOf<'CLOSED' | 'POISONED'>, message: string, cause?: unknown) {
    super('closed', code, message, {}, cause);
  }
}

/** The call was ended: the engine closes, a signal was aborted, or it took too long. */
export class AbortedError extends TidemarkError {
  constructor(
    code: CodeOf<'ABORTED' | 'TIMEOUT'>,
    message: string,
    details: ErrorDetails = {},
    cause?: unknown,
  ) {
    super('aborted', code, message, details, cause);
  }
}

/** An invariant of Tidemark itself does not hold: report a bug. */
export class InternalError extends TidemarkError {
  constructor(message: string, details?: ErrorDetails, cause?: unknown) {
    super('internal', 'INVARIANT', message, details, cause);
  }
}

/**
 * What the file system said in the middle of an act of ours, where nobody below has given it a type,
 * as a StorageError that names the act. Everything else passes unchanged.
 */
export function systemFailure(error: unknown, action: string): unknown {
  if (error instanceof TidemarkError || errnoOf(error) === undefined) return error;
  const { path } = error as { readonly path?: unknown };
  return toStorageError(error, action, typeof path === 'string' ? path : '');
}

/** Runs an act; what fails in it has the type of {@link systemFailure}. */
export async function withSystemFailures<T>(action: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw systemFailure(error, action);
  }
}

/**
 * Turns an error of the file system into a StorageError. A TidemarkError passes unchanged; anything
 * that is no error of the file system is a bug, and is not passed off as one of storage.
 */
export function toStorageError(error: unknown, action: string, path: string): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const errno = errnoOf(error);
  const text = error instanceof Error ? error.message : String(error);
  if (errno === undefined) {
    return new InternalError(`${action} failed: ${path}: ${text}`, { path }, error);
  }
  const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'NO_SPACE' : 'IO';
  return new StorageError(code, `${action} failed: ${path}: ${text}`, { path, errno }, error);
}

/** The errno name of a file-system error (`ENOENT`, `EEXIST` …), if it has one. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
