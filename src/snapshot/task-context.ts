/*
 * What a task of a worker gets beside its input: turns to yield, so that two tasks share one thread,
 * and word of being cancelled. Work is counted in bytes and entries; nothing here reads a clock.
 */
import { AbortedError } from '../errors.ts';

/** Given to every task. */
export interface TaskContext {
  /** Lets other work of the thread go on; awaited about every two milliseconds of work. */
  yieldNow(): Promise<void>;
  /** Asked at the same places; true makes the task undo what it did and throw ABORTED. */
  cancelled(): boolean;
}

/** About two milliseconds of work. */
const TURN_BYTES = 1024 * 1024;

/** Counts work and yields when a turn is used up. */
export class Turns {
  readonly #context: TaskContext;
  #spent = 0;

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /** Counts work; true when the turn is used up and `pause` is due. */
  spend(bytes: number): boolean {
    this.#spent += bytes;
    return this.#spent >= TURN_BYTES;
  }

  /** Yields, and throws ABORTED when the task was cancelled. */
  async pause(): Promise<void> {
    this.#spent = 0;
    await this.#context.yieldNow();
    this.check();
  }

  check(): void {
    if (this.#context.cancelled()) throw new AbortedError('ABORTED', 'the task was cancelled');
  }
}
