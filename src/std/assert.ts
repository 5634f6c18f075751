/*
 * Assertions that stay on in production: before a write and after a read. A failed one is a bug of
 * Tidemark, never of its caller.
 */
import { InternalError, type ErrorDetails } from '../errors.ts';

/** Throws InternalError (INVARIANT) unless the condition holds. */
export function assert(
  condition: unknown,
  message: string,
  details?: ErrorDetails,
): asserts condition {
  if (!condition) throw new InternalError(message, details);
}

/** Returns the value, or throws InternalError (INVARIANT) when there is none. */
export function must<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new InternalError(message);
  return value;
}
