/*
 * What restores and backups run with: workers, a limit of time, the caller's signal, and progress.
 * Ended for whatever reason, nothing of it is left: no thread, no timer, no listener.
 */
import { setMaxListeners } from 'node:events';
import { AbortedError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { SlabPool } from '../snapshot/slab-pool.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import { InlinePool, ThreadPool, type TaskPool } from '../threads/task-pool.ts';

/** What a copy stands on. */
export interface CopyComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether workers are threads; else tasks run inline over `fs`. */
  readonly threads: boolean;
}

/** What a copy is doing. */
export type CopyPhase = 'plan' | 'replay' | 'write' | 'copy' | 'verify';

/** How far a copy is. */
export interface CopyProgress {
  readonly phase: CopyPhase;
  /** Done of `bytesTotal`; of a restore in proportion to the parts of the state that are written. */
  readonly bytes: number;
  /** 0 while it is not known. */
  readonly bytesTotal: number;
  /** Entries written so far; of a backup 0. */
  readonly entries: number;
  /** Since the phase began; 0 until there is something to measure. */
  readonly bytesPerSecond: number;
}

/** How a copy is done; every copy takes these. */
export interface CopyLimits {
  /** Ends the copy. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which it ends with TIMEOUT; undefined: never. */
  readonly timeoutMs: number | undefined;
  readonly threadsMax: number;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/** Slabs kept for the next slices. */
const idleSlabBytesMax = 64 * 1024 * 1024;

export class CopyRun {
  readonly pool: TaskPool;
  readonly slabs: SlabPool = new SlabPool(idleSlabBytesMax);
  readonly clock: Clock;
  readonly threadsMax: number;
  readonly #limit = new AbortController();
  readonly #onProgress: CopyLimits['onProgress'];
  readonly #stop: () => void;
  #phase: CopyPhase | undefined;
  #phaseAt = 0;

  /** `what` names the copy in errors. */
  constructor(
    what: string,
    limits: CopyLimits,
    { fs, clock, threads }: Omit<CopyComponents, 'random'>,
  ) {
    const { signal, timeoutMs, threadsMax, onProgress } = limits;
    // Every task under way listens.
    setMaxListeners(0, this.#limit.signal);
    this.#onProgress = onProgress;
    this.clock = clock;
    this.threadsMax = threadsMax;
    this.pool = threads ? new ThreadPool(threadsMax) : new InlinePool(fs);
    const end = (): void => {
      const text = `the ${what} took longer than ${timeoutMs} ms`;
      this.#limit.abort(new AbortedError('TIMEOUT', text, { timeoutMs }));
    };
    const timer = timeoutMs === undefined ? undefined : clock.setTimer(timeoutMs, end);
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

  /** Throws ABORTED or TIMEOUT when the copy is to end. */
  check(): void {
    if (this.#limit.signal.aborted) throw this.#limit.signal.reason as AbortedError;
  }

  /** What the copy failed with: after an abort every part fails for it, and the reason counts. */
  failure(error: unknown): unknown {
    return this.#limit.signal.aborted ? (this.#limit.signal.reason as AbortedError) : error;
  }

  progress(phase: CopyPhase, bytes = 0, bytesTotal = 0, entries = 0): void {
    const now = this.clock.monotonicMs();
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#phaseAt = now;
    }
    const seconds = (now - this.#phaseAt) / 1000;
    const bytesPerSecond = seconds > 0 ? bytes / seconds : 0;
    this.#onProgress?.({ phase, bytes, bytesTotal, entries, bytesPerSecond });
  }

  /** Waits so long, or until the copy is to end. */
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

  /** Ends workers, timer and listener; a second call does nothing more. */
  async close(): Promise<void> {
    this.#stop();
    await this.pool.close();
  }
}
