/*
 * What an engine takes at a moment: open or closed, writable or stopped by an error in writing, or
 * in the middle of encoding a commit. Handles, engine and opening share one.
 *
 * User code runs while a commit is encoded (holders, registered types). It may read; a change that
 * it made then would be in memory and not in the record, so it is refused.
 */
import { ClosedError, InvalidArgumentError } from '../errors.ts';

export class EngineLife {
  closed = false;
  poisoned: unknown;
  #encoding = false;

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
    if (!this.#encoding) return;
    throw new InvalidArgumentError(
      'INVALID_CALL',
      'a commit is being encoded: code that it calls may read, and change nothing',
    );
  }

  /** Runs what encodes a commit, user code included. */
  whileEncoding<T>(encode: () => T): T {
    this.#encoding = true;
    try {
      return encode();
    } finally {
      this.#encoding = false;
    }
  }
}
