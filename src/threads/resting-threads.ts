/*
 * Threads that are done with their work and end a moment later. On Node 20 a thread gives up its
 * place in the platform before its compiler is stopped; code that is still being optimised then can
 * abort the process (`GetForegroundTaskRunner`), whether the thread ends by itself or is terminated.
 * The compiler has nothing to do any more when a thread has been idle for a while.
 *
 * Invariant: at most `threadsMax` rest at a time; beyond it the one that has rested longest ends.
 */
import { availableParallelism } from 'node:os';
import { systemClock, type Clock, type Timer } from '../std/clock.ts';

/** Milliseconds for which a thread rests: many times what optimising a function takes. */
export const restMs = 1000;

/** A thread that nobody has work for. */
export interface RestingThread {
  end(): Promise<void>;
}

export class RestingThreads {
  readonly #clock: Clock;
  readonly #threadsMax: number;
  /** In the order in which they came; each with the timer that ends it. */
  readonly #resting = new Map<RestingThread, Timer>();

  constructor(clock: Clock, threadsMax: number) {
    this.#clock = clock;
    this.#threadsMax = threadsMax;
  }

  /** Threads that have not been told to end. */
  get count(): number {
    return this.#resting.size;
  }

  /** Ends a thread when it has rested. It does not keep the process alive. */
  add(thread: RestingThread): void {
    this.#resting.set(
      thread,
      this.#clock.setTimer(restMs, () => this.#end(thread)),
    );
    for (const oldest of this.#resting.keys()) {
      if (this.#resting.size <= this.#threadsMax) break;
      this.#end(oldest);
    }
  }

  #end(thread: RestingThread): void {
    this.#resting.get(thread)?.cancel();
    this.#resting.delete(thread);
    // Its work was done before; a thread that has ended by itself meanwhile is no matter.
    thread.end().catch(() => {});
  }
}

/** Of this process: those of two pools as wide as the machine, and of a few narrow ones. */
export const restingThreads: RestingThreads = new RestingThreads(
  systemClock,
  Math.max(8, 2 * availableParallelism()),
);
