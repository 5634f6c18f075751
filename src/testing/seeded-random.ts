/*
 * Random numbers from a seed (mulberry32): the same in each run, on each machine. For simulations;
 * nothing about them is secret.
 */
import { wholeNumber } from '../std/option-checks.ts';
import type { Random } from '../std/random.ts';

/** Random numbers that are the same for the same seed. */
export class SeededRandom implements Random {
  #state: number;

  /**
   * `seed` is a whole number and counts modulo 2^32.
   * @throws InvalidArgumentError INVALID_OPTION
   */
  constructor(seed: number) {
    wholeNumber('seed', seed, Number.MIN_SAFE_INTEGER);
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * bound);
  }

  /** One of a list that is not empty. */
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** True so often out of a hundred times. */
  percent(chance: number): boolean {
    return this.below(10_000) < chance * 100;
  }

  /** Fills with random bytes. */
  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) target[i] = this.below(256);
  }
}
