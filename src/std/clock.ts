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
  /** Calls once after at least `delayMs`; the timer never keeps the process alive. */
  setTimer(delayMs: number, fire: () => void): Timer;
}

/** A timer that has been set. */
export interface Timer {
  cancel(): void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMicros: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
