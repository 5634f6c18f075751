/*
 * Limits of calls that read a store and tell no progress: a signal and a time. They are asked for at
 * every call to the file system or object store (`sourceOf` with the run's check), so that no reading has
 * to be threaded through with them, and where much is computed between two of those.
 */
import type { Clock } from '../std/clock.ts';
import { LimitedRun, resolveLimits } from './limited-run.ts';

/** How long a call may take, and who can end it. */
export interface CallLimits {
  /** Ends the call with ABORTED. @defaultValue none */
  readonly signal?: AbortSignal;
  /** Milliseconds after which it ends with TIMEOUT. @defaultValue none */
  readonly timeoutMs?: number;
}

/** Names of the options of {@link CallLimits}. */
export const limitNames: readonly (keyof CallLimits)[] = ['signal', 'timeoutMs'];

/** What a call runs with; it has no phases. */
export type LimitedCall = LimitedRun<never>;

/** Checks the limits, and begins to count. The caller ends it. @throws InvalidArgumentError INVALID_OPTION */
export function beginCall(what: string, options: CallLimits, clock: Clock): LimitedCall {
  const { signal, timeoutMs } = options;
  const { signal: checked, timeoutMs: most } = resolveLimits<never>({
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const limits = { signal: checked, timeoutMs: timeoutMs === undefined ? undefined : most };
  return new LimitedRun<never>(what, limits, clock);
}

/** Does a call within its limits. `what` names it in errors. */
export async function withinLimits<T>(
  what: string,
  options: CallLimits,
  clock: Clock,
  act: (run: LimitedCall) => Promise<T>,
): Promise<T> {
  const run = beginCall(what, options, clock);
  try {
    run.check();
    return await act(run);
  } catch (error) {
    throw run.failure(error);
  } finally {
    run.end();
  }
}
