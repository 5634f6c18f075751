/*
 * Errors between threads: the fields of a TidemarkError survive the crossing, so that a caller sees
 * the same class, code and details wherever the work ran.
 */
import {
  AbortedError,
  ClosedError,
  ConflictError,
  CorruptionError,
  IncompatibleError,
  InternalError,
  InvalidArgumentError,
  NotFoundError,
  OutcomeUnknownError,
  StorageError,
  TidemarkError,
  errnoOf,
  type ErrorKind,
} from '../errors.ts';

/** An error as plain data. */
export interface PlainError {
  readonly kind: ErrorKind | undefined;
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly stack: string | undefined;
  readonly cause: PlainError | undefined;
}

export function errorToPlain(error: unknown): PlainError {
  if (error instanceof TidemarkError) {
    const { kind, code, message, details, stack } = error;
    const cause = error.cause === undefined ? undefined : errorToPlain(error.cause);
    return { kind, code, message, details, stack, cause };
  }
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  // Of an error of the file system the code is what the caller goes by.
  const code = errnoOf(error) ?? '';
  return { kind: undefined, code, message, details: {}, stack, cause: undefined };
}

const classes = {
  invalid: InvalidArgumentError,
  conflict: ConflictError,
  unavailable: StorageError,
  corrupt: CorruptionError,
  incompatible: IncompatibleError,
  missing: NotFoundError,
} as const;

export function errorFromPlain(plain: PlainError): Error {
  const cause = plain.cause && errorFromPlain(plain.cause);
  const error = construct(plain, cause);
  if (plain.stack !== undefined) error.stack = plain.stack;
  return error;
}

function construct(plain: PlainError, cause: Error | undefined): Error {
  const { kind, code, message, details } = plain;
  if (kind === undefined) return Object.assign(new Error(message), code === '' ? {} : { code });
  if (kind === 'unknown') return new OutcomeUnknownError(message, details, cause);
  if (kind === 'closed') return new ClosedError(code as 'CLOSED', message, cause);
  if (kind === 'aborted') return new AbortedError(code as 'ABORTED', message, details, cause);
  if (kind === 'internal') return new InternalError(message, details, cause);
  const Class = classes[kind] as new (
    code: string,
    message: string,
    details: object,
    cause?: unknown,
  ) => TidemarkError;
  return new Class(code, message, details, cause);
}
