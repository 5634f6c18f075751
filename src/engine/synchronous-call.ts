/*
 * Calling the function of a transaction, which has to be synchronous: what it did later would be
 * outside the transaction.
 */
import { InvalidArgumentError } from '../errors.ts';

/** Calls a function; INVALID_CALL when it returns a promise. */
export function callSynchronously(change: () => unknown): void {
  const result = change();
  if (typeof (result as { then?: unknown } | undefined)?.then !== 'function') return;
  // What the function does later would be outside the transaction; its outcome is not ours.
  void Promise.resolve(result).catch(() => {});
  throw new InvalidArgumentError(
    'INVALID_CALL',
    'transact takes a synchronous function; this one returned a promise',
  );
}
