/*
 * An end that a caller sets to work of the library: a signal, or a time. Work asks at its turns.
 */
import { AbortedError } from '../../errors.ts';
import { Turns } from '../../snapshot/task-context.ts';
import type { Clock } from '../../std/clock.ts';
import { yieldNow } from '../../std/turns.ts';
import { badOption, wholeNumber } from '../../std/option-checks.ts';

const timeoutMsMost = 2 ** 31 - 1;

/** Options of calls that can take long. */
export interface DeadlineOptions {
  /** Ends the call with ABORTED; nothing stays of what it began. */
  readonly signal?: AbortSignal;
  /** Milliseconds after which the call ends with TIMEOUT. @defaultValue none */
  readonly timeoutMs?: number;
}

/** How work hears of its end. */
export interface Deadline {
  /** Pauses throw ABORTED when the end has come. */
  readonly turns: Turns;
  /** Aborted when the end has come. */
  readonly ended: AbortSignal;
}

/** Runs work until it is done or its end comes: ABORTED, or TIMEOUT. */
export async function withDeadline<T>(
  { signal, timeoutMs }: DeadlineOptions,
  clock: Clock,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  if (signal !== undefined && typeof signal?.aborted !== 'boolean') {
    throw badOption('signal', 'must be an AbortSignal', undefined);
  }
  if (timeoutMs !== undefined) wholeNumber('timeoutMs', timeoutMs, 1, timeoutMsMost);
  if (signal?.aborted) throw aborted(signal);
  const end = new AbortController();
  let late = false;
  const stop = (): void => end.abort();
  const timer =
    timeoutMs === undefined
      ? undefined
      : clock.setTimer(timeoutMs, () => {
          late = true;
          stop();
        });
  signal?.addEventListener('abort', stop);
  try {
    const turns = new Turns({ yieldNow, cancelled: () => end.signal.aborted });
    return await work({ turns, ended: end.signal });
  } catch (error) {
    if (!(error instanceof AbortedError)) throw error;
    if (late) {
      throw new AbortedError('TIMEOUT', `not done within ${timeoutMs} ms`, { timeoutMs }, error);
    }
    throw signal?.aborted ? aborted(signal) : error;
  } finally {
    signal?.removeEventListener('abort', stop);
    timer?.cancel();
  }
}

function aborted({ reason }: AbortSignal): AbortedError {
  return new AbortedError('ABORTED', 'aborted by the signal of the caller', {}, reason);
}
