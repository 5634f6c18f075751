/*
 * Which durable writes hold the calling thread. To hand a write to a thread of the pool and to hear
 * back takes about as long as a fast disk needs for a small one, and the loop mostly waits for it
 * anyway. So small writes are made at once while the disk is quick and the loop idle: both show in the
 * time from the call to its answer. A disk that slows down, or a loop that has other work, sends
 * them to the pool again; a disk does so for longer, the more often it was slow.
 */

/** Larger writes always go to the pool. */
const heldBytesMax = 64 * 1024;
/** Longer ones are not quick: a program does not notice that its loop stood still for so long. */
const quickMs = 1;
/** Quick answers in a row before a write is held: doubled by a held one that is not quick … */
const wantedMin = 8;
const wantedMax = 1024;
/** … and halved by so many held ones in a row that are. */
const quickRun = 256;

/** What is known of the durable writes of one file; @internal */
export class HeldWrites {
  #quick = 0;
  #wanted = wantedMin;
  #heldQuick = 0;

  allow(bytes: number): boolean {
    return bytes <= heldBytesMax && this.#quick >= this.#wanted;
  }

  /** A write was answered by the pool, so long after its call. */
  answered(ms: number): void {
    this.#quick = ms <= quickMs ? this.#quick + 1 : 0;
  }

  /** A write was held: how long it took itself, and from its call until the loop came back to it. */
  held(writeMs: number, answerMs: number): void {
    this.answered(answerMs);
    this.#heldQuick = writeMs <= quickMs ? this.#heldQuick + 1 : 0;
    if (this.#heldQuick === 0) this.#wanted = Math.min(2 * this.#wanted, wantedMax);
    else if (this.#heldQuick % quickRun === 0) this.#wanted = Math.max(this.#wanted / 2, wantedMin);
  }
}
