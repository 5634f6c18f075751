/*
 * The seam of time. Nothing else in the package reads a clock or sets a timer, so a test (or a
 * simulation) owns time completely.
 */

/** Time and timers, injected. */
export interface Clock {
  /** Wall-clock time in microseconds since 1970; may step backwards. */
  nowMicros(): number;
  /** Monotonic time in milliseconds, for durations. */
  monotonicMs(): number;
  /** Calls once after at least `delayMs`; the process is kept alive for it only when asked. */
  setTimer(delayMs: number, fire: () => void, keepsAlive?: boolean): Timer;
}

/** A timer that has been set. */
export interface Timer {
  cancel(): void;
}

/** A longer delay would end at once: Node takes it for 1 ms. */
const delayMsMost = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMicros: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire, keepsAlive = false) {
    let timer: NodeJS.Timeout | undefined;
    const wait = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, delayMsMost);
      timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : fire()), stepMs);
      if (!keepsAlive) timer.unref();
    };
    wait(delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
