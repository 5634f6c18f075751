/*
 * Failures of work that nobody waits for. A listener of 'failure' is told at once; without one the
 * newest failure is kept, shows in `stats()`, and fails the next `checkpoint()`: nothing is lost in
 * silence. Opening makes it, before the engine that reports through it.
 */
import { unheardFailure } from '../checkpoint/checkpointer-input.ts';
import type { EventHub } from './events.ts';

export class BackgroundFailures {
  readonly #hub: EventHub;
  #unheard: unknown;

  constructor(hub: EventHub) {
    this.#hub = hub;
  }

  /** The newest failure that no listener was told; undefined: none. */
  get unheard(): unknown {
    return this.#unheard;
  }

  report(error: unknown): void {
    if (this.#hub.has('failure')) this.#hub.emit('failure', error);
    else this.#unheard = error;
  }

  /** Throws what nobody heard, once. */
  throwUnheard(): void {
    if (this.#unheard === undefined) return;
    const cause = this.#unheard;
    this.#unheard = undefined;
    throw unheardFailure(cause);
  }
}
