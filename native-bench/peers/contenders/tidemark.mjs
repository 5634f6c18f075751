/*
 * Tidemark, from the built dist of this clone. The defaults stand unless a work says otherwise.
 *
 * Durability: level `disk`; a commit resolves when its record is written and fdatasync has returned.
 */
import fs from 'node:fs';
import path from 'node:path';

const dist = new URL('../../../dist/', import.meta.url);
/** What `commit` may have sealed and not synced; callers past it wait here, and not in the engine. */
const bytesInFlightMax = 12 * 1024 * 1024;

export const name = 'tidemark';
export const durability = 'fdatasync of the log before a commit resolves';
export const refuses = {};

export async function version() {
  await import(new URL('bundle/index.js', dist));
  return JSON.parse(fs.readFileSync(new URL('../package.json', dist), 'utf8')).version;
}

export async function open(dir, { engine: options = {} } = {}) {
  const { openEngine } = await import(new URL('bundle/index.js', dist));
  const engine = await openEngine({ dir: path.join(dir, 'state'), ...options });
  return new Store(engine, dir);
}

class Store {
  /** Reads are synchronous. */
  reads = 'synchronous';
  #engine;
  #dir;
  #state;
  #bytes = 0;
  #held = [];

  constructor(engine, dir) {
    this.#engine = engine;
    this.#dir = dir;
    this.#state = engine.operator('bench').value('state');
  }

  get engine() {
    return this.#engine;
  }

  async commit(entries) {
    const bytes = entries.length * 128;
    while (this.#bytes > 0 && this.#bytes + bytes > bytesInFlightMax) await this.#room();
    this.#bytes += bytes;
    for (const [key, value] of entries) this.#state.set(key, value);
    try {
      await this.#engine.commit();
    } finally {
      this.#bytes -= bytes;
      this.#held.shift()?.();
    }
  }

  #room() {
    return new Promise((resolve) => {
      this.#held.push(resolve);
    });
  }

  async remove(keys) {
    for (const key of keys) this.#state.delete(key);
    await this.#engine.commit();
  }

  get(key) {
    return this.#state.get(key);
  }

  /** The state is read into memory behind the opening, in turns of the loop. */
  ready() {
    return this.#engine.prefetch();
  }

  /** Entries and the sum of the lengths of their values, by a walk over all. */
  async walk() {
    let entries = 0;
    let bytes = 0;
    for (const [, value] of this.#state.entries()) {
      entries++;
      bytes += value.length ?? 1;
    }
    return { entries, bytes };
  }

  counters() {
    const counter = this.#engine.operator('bench').counter('counter');
    return {
      add: (pairs) => {
        for (const [key, amount] of pairs) counter.add(key, amount);
        return this.#engine.commit();
      },
      get: (key) => counter.get(key),
    };
  }

  lists(itemsMax) {
    const lists = this.#engine.operator('bench').list('list', { itemsMax });
    return {
      append: (pairs) => {
        for (const [key, item] of pairs) lists.append(key, item);
        return this.#engine.commit();
      },
      length: (key) => [...lists.get(key)].length,
    };
  }

  /** A checkpoint: what changed since the last one. */
  async copy() {
    const record = await this.#engine.checkpoint();
    return { bytes: record.chain.at(-1).bytes };
  }

  /** One snapshot that all that was committed is in. */
  async tidy() {
    await this.#engine.checkpoint();
    await this.#engine.merge({ strategy: 'sequential' });
  }

  /** One base; then a second one, since the two newest are kept, and what neither needs goes. */
  async compact() {
    for (let base = 0; base < 2; base++) {
      await this.commit([['key-of-compact', base]]);
      await this.#engine.checkpoint();
      await this.#engine.merge({ strategy: 'sequential' });
    }
    await this.#engine.collect();
  }

  /** One checkpoint by itself: a restore of the newest state into a store that holds nothing else. */
  async onlyOne() {
    const { restore } = await import(new URL('bundle/index.js', dist));
    const to = path.join(this.#dir, 'one');
    await this.#engine.close();
    await restore({ from: { dir: path.join(this.#dir, 'state') }, to });
    return to;
  }

  async flights(job) {
    const { tidemarkFlights } = await import('../flights-tidemark.mjs');
    return tidemarkFlights(this.#engine, job);
  }

  close() {
    return this.#engine.close();
  }
}
