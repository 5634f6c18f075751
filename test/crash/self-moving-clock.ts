/*
 * A clock that moves on by itself: a timer fires in one of the next turns, at its time. For code that
 * waits and looks again; nothing waits in earnest.
 */
import { SimulatedClock, type Timer } from '../../src/testing/index.ts';

export class SelfMovingClock extends SimulatedClock {
  override setTimer(delayMs: number, fire: () => void, keepsAlive = false): Timer {
    const timer = super.setTimer(delayMs, fire);
    // What keeps the process alive is waited for; the rest are bounds that nothing comes to.
    if (keepsAlive) setImmediate(() => this.advance(delayMs));
    return timer;
  }
}
