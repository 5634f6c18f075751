/*
 * Which durable writes hold the calling thread. To hand a write to a thread of the pool and to hear
 * back takes about as long as a fast disk needs for a small one, and the loop mostly waits for it
 * anyway. So small writes are made at once while the disk is quick and the loop idle: both show in the
 * time from the call to its answer. A disk that slows down, or a loop that has other work, sends
 * them to the pool again, and the longer the more often that happened.
 */

/** Larger writes always go to the pool. */
const heldBytesMax = 64 * 1024;
/** Longer ones are not quick: a program does not notice that its loop stood still for so long. */
const quickMs = 1;
/** Quick answers in a row before a write is held: doubled by a held one that is not quick … */
const wantedMin = 8;
const wantedMax = 1024;
/** … and halved by so many quick answers in a row. */
const quickRun = 256;

/** What is known of the durable writes of one file; @internal */
export class HeldWrites {
  #quick = 0;
  #wanted = wantedMin;

  allow(bytes: number): boolean {
    return bytes <= heldBytesMax && this.#quick >= this.#wanted;
  }

  /** How long a write took from its call to its answer. */
  took(ms: number, held: boolean): void {
    if (ms > quickMs) {
      if (held) this.#wanted = Math.min(2 * this.#wanted, wantedMax);
      this.#quick = 0;
      return;
    }
    this.#quick++;
    if (this.#quick % quickRun === 0) this.#wanted = Math.max(this.#wanted / 2, wantedMin);
  }
}
