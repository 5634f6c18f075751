/*
 * What long calls run with: a limit of time, the caller's signal, and progress. Openings, restores and
 * backups share it. Ended for whatever reason, no timer and no listener is left; threads, files and
 * locks are those of the call, which asks `check` between its steps and gives `signal` to its tasks.
 */
import { setMaxListeners } from 'node:events';
import { AbortedError, systemFailure } from '../errors.ts';
import type { Clock } from '../std/clock.ts';
import { badOption, wholeNumber } from '../std/option-checks.ts';

/** How far a call is. */
export interface RunProgress<Phase extends string = string> {
  readonly phase: Phase;
  /** Done of `bytesTotal`; of a restore in proportion to the parts of the state that are written. */
  readonly bytes: number;
  /** 0 while it is not known. */
  readonly bytesTotal: number;
  /** Read or written so far in this phase; of a backup 0. */
  readonly entries: number;
  /** Since the phase began; 0 until there is something to measure. */
  readonly bytesPerSecond: number;
}

/** How long a call may take, and who hears of it. */
export interface RunLimits<Phase extends string> {
  /** Ends the call. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which it ends with TIMEOUT; undefined: never. */
  readonly timeoutMs: number | undefined;
  readonly onProgress?: ((progress: RunProgress<Phase>) => void) | undefined;
}

/** What callers say of those limits. */
export interface RunOptions<Phase extends string> {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly onProgress?: (progress: RunProgress<Phase>) => void;
}

/** Time that a long call may take unless it is said. */
const timeoutMsDefault = 300_000;

/** Fills in the defaults. @throws InvalidArgumentError INVALID_OPTION */
export function resolveLimits<Phase extends string>(options: RunOptions<Phase>): RunLimits<Phase> {
  const { signal, timeoutMs = timeoutMsDefault, onProgress } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badOption('signal', 'must be an AbortSignal', signal);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw badOption('onProgress', 'must be a function', onProgress);
  }
  return { signal, timeoutMs: wholeNumber('timeoutMs', timeoutMs, 1), onProgress };
}

export class LimitedRun<Phase extends string> {
  readonly clock: Clock;
  readonly #what: string;
  readonly #limit = new AbortController();
  readonly #onProgress: RunLimits<Phase>['onProgress'];
  readonly #stop: () => void;
  readonly #phasesMs = new Map<Phase, number>();
  #phase: Phase | undefined;
  #phaseAt = 0;
  #toldAt = 0;

  /** `what` names the call in errors. */
  constructor(what: string, limits: RunLimits<Phase>, clock: Clock) {
    this.#what = what;
    const { signal, timeoutMs, onProgress } = limits;
    // Every task under way listens.
    setMaxListeners(0, this.#limit.signal);
    this.#onProgress = onProgress;
    this.clock = clock;
    const late = (): void => {
      const text = `the ${what} took longer than ${timeoutMs} ms`;
      this.#limit.abort(new AbortedError('TIMEOUT', text, { timeoutMs }));
    };
    const timer = timeoutMs === undefined ? undefined : clock.setTimer(timeoutMs, late);
    const give = (): void => {
      const reason: unknown = signal?.reason;
      this.#limit.abort(new AbortedError('ABORTED', `the ${what} was aborted`, {}, reason));
    };
    if (signal?.aborted === true) give();
    signal?.addEventListener('abort', give);
    this.#stop = () => {
      timer?.cancel();
      signal?.removeEventListener('abort', give);
    };
  }

  /** Aborted when the time is over or the caller gives up. */
  get signal(): AbortSignal {
    return this.#limit.signal;
  }

  /** Throws ABORTED or TIMEOUT when the call is to end. */
  check(): void {
    if (this.#limit.signal.aborted) throw this.#limit.signal.reason as AbortedError;
  }

  /** What the call failed with: after an abort every part fails for it, and the reason counts. */
  failure(error: unknown): unknown {
    const { aborted, reason } = this.#limit.signal;
    return aborted ? (reason as AbortedError) : systemFailure(error, `the ${this.#what}`);
  }

  /** Tells how far it is; 0 bytes begin the phase, or begin it again. */
  progress(phase: Phase, bytes = 0, bytesTotal = 0, entries = 0): void {
    const now = this.#account();
    if (phase !== this.#phase || bytes === 0) {
      this.#phase = phase;
      this.#phaseAt = now;
    }
    const seconds = (now - this.#phaseAt) / 1000;
    const bytesPerSecond = seconds > 0 ? bytes / seconds : 0;
    this.#onProgress?.({ phase, bytes, bytesTotal, entries, bytesPerSecond });
  }

  /** Milliseconds of each phase so far, in the order in which they began. */
  phasesMs(): Partial<Record<Phase, number>> {
    this.#account();
    return Object.fromEntries(this.#phasesMs) as Partial<Record<Phase, number>>;
  }

  /** Counts the time until now to the phase that is going on. */
  #account(): number {
    const now = this.clock.monotonicMs();
    const phase = this.#phase;
    if (phase !== undefined) {
      this.#phasesMs.set(phase, (this.#phasesMs.get(phase) ?? 0) + now - this.#toldAt);
    }
    this.#toldAt = now;
    return now;
  }

  /** Waits so long, or until the call is to end. */
  async wait(delayMs: number): Promise<void> {
    this.check();
    const { signal } = this.#limit;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.clock.setTimer(delayMs, done, true);
      signal.addEventListener('abort', done);
    });
    this.check();
  }

  /** Ends timer and listener; a second call does nothing more. */
  end(): void {
    this.#stop();
  }
}
