/*
 * Callers that each wait for their own commit before they make the next, so many at a time; and
 * the grouping that a peer needs that commits one after the other.
 */

/**
 * Calls `act(i)` up to `count` times and for at most `secondsMax`, by `depth` callers. The first tenth
 * of the calls, at most a second of it, warms up and is not counted. `processorUs` is the time of all
 * threads of the process, which other work on the machine disturbs less than the clock.
 */
export async function inFlight({ count, depth, secondsMax }, act) {
  const warm = Math.max(depth, Math.floor(count / 10));
  await drive({ from: 0, to: warm, depth, secondsMax: 1 }, act);
  return drive({ from: warm, to: warm + count, depth, secondsMax }, act);
}

async function drive({ from, to, depth, secondsMax }, act) {
  const latencies = [];
  const processor = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + secondsMax * 1000;
  let next = from;
  const caller = async () => {
    while (next < to) {
      const began = performance.now();
      if (began > until) return;
      await act(next++);
      latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: Math.min(depth, to - from) }, caller));
  const ms = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(processor);
  latencies.sort((a, b) => a - b);
  const at = (part) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))];
  return {
    calls: latencies.length,
    ms,
    processorUs: user + system,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/**
 * Group commit for a peer that has none of its own: what is asked for while a write runs, or in one
 * turn of the event loop, goes out as one durable write. Nobody who cares for speed would do without.
 */
export class Groups {
  #waiting = [];
  #running = false;
  #write;

  /** `write` makes a list of items durable. */
  constructor(write) {
    this.#write = write;
  }

  /** Resolves when the item is durable. */
  add(item) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      setImmediate(() => this.#run());
    });
  }

  async #run() {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(group.map(({ item }) => item));
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
      // A turn for those who were answered, so that their next items make the next group.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    this.#running = false;
  }
}
