/*
 * A clock that stands still until it is moved: timers that have come due by then fire in order.
 */
import type { Clock, Timer } from '../std/clock.ts';

/** Time that moves when `advance` is called, and at no other moment. */
export class SimulatedClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ dueMs: number; fire: () => void }>();

  nowMicros(): number {
    return this.#nowMs * 1000;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer = { dueMs: this.#nowMs + delayMs, fire };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Timers that are set. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Moves on, and fires what has come due, in order. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#timers].filter((timer) => timer.dueMs <= this.#nowMs);
    for (const timer of due.sort((a, b) => a.dueMs - b.dueMs)) {
      if (this.#timers.delete(timer)) timer.fire();
    }
  }
}
