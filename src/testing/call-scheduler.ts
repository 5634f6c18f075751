/*
 * The order in which the calls of a simulated file system are done: at once, or one by one in an
 * order drawn from a seed, so that each of several calls under way may be the first. Given the same
 * seed and the same program, the order is the same.
 */
import { yieldNow } from '../std/turns.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Lets calls go on in a random order. */
export class CallScheduler {
  readonly #random: SeededRandom;
  readonly #waiting: (() => void)[] = [];
  #running = false;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Resolves when it is this call's turn. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#running) return;
      this.#running = true;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await yieldNow();
      const next = this.#random.below(this.#waiting.length);
      this.#waiting.splice(next, 1)[0]!();
    }
    this.#running = false;
  }
}
