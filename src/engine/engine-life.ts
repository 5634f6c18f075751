/*
 * What an engine takes at a moment: open or closed, writable or stopped by an error in writing, or
 * in the middle of encoding a commit. Handles, engine and opening share one.
 *
 * User code runs while a commit is encoded (holders, registered types) and while some changes are
 * made (functions of states). It may read; a change that it made then would be in memory and not in
 * the record, or would stay when the function throws, so it is refused.
 */
import { ClosedError, InvalidArgumentError } from '../errors.ts';

/** What is busy while a commit is encoded. */
export const encodingCommit = 'a commit is being encoded';

export class EngineLife {
  closed = false;
  poisoned: unknown;
  /** What runs that may change nothing. */
  #busy: string | undefined;

  assertOpen(): void {
    if (this.closed) throw new ClosedError('CLOSED', 'the engine is closed');
  }

  assertWritable(): void {
    this.assertOpen();
    if (this.poisoned !== undefined) {
      throw new ClosedError(
        'POISONED',
        'the engine stopped after an error in writing; open it again to go on',
        this.poisoned,
      );
    }
    this.assertNotEncoding();
  }

  assertNotEncoding(): void {
    if (this.#busy === undefined) return;
    throw new InvalidArgumentError(
      'INVALID_CALL',
      `${this.#busy}: code that it calls may read, and change nothing`,
    );
  }

  /** Runs what encodes a commit, user code included. */
  whileEncoding<T>(encode: () => T): T {
    return this.#while(encodingCommit, encode);
  }

  /** Runs code of the user that a change of a state calls. */
  whileCalling<T>(call: () => T): T {
    return this.#while('a change is being made', call);
  }

  #while<T>(what: string, run: () => T): T {
    const outer = this.enter(what);
    try {
      return run();
    } finally {
      this.leave(outer);
    }
  }

  /** Begins what may change nothing, without a closure: the hot path. To be left in any case. */
  enter(what: string): string | undefined {
    const outer = this.#busy;
    this.#busy = what;
    return outer;
  }

  /** Ends it; takes what `enter` returned. */
  leave(outer: string | undefined): void {
    this.#busy = outer;
  }
}
