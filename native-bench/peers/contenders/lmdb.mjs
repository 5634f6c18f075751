/*
 * lmdb (lmdb-js). Tuned as its README says: writes of one turn of the event loop go out in one
 * transaction (`eventTurnBatching`, the default), transactions overlap with the sync of the one
 * before (`overlappingSync`, the default on Linux), `noMemInit` because the files are our own, and
 * `compression` only where disk is measured. https://github.com/kriszyp/lmdb-js#readme
 *
 * Durability: with `separateFlushed` a write's promise has a promise `flushed`, which resolves when
 * the transaction is on the disk ("Overlapping Sync Options"); that is what is waited for.
 */
import fs from 'node:fs';
import path from 'node:path';
import { load, versionOf } from '../install.mjs';
import { keyValueFlights } from '../flights-key-value.mjs';

export const name = 'lmdb';
export const durability = 'fdatasync of the transaction (`flushed`)';
export const refuses = {};
export const version = () => load('lmdb') && versionOf('lmdb');

export async function open(dir, { records = false } = {}) {
  const { open: openDatabase } = load('lmdb');
  const root = openDatabase({
    path: path.join(dir, 'lmdb'),
    separateFlushed: true,
    noMemInit: true,
  });
  const database = root.openDB({
    name: 'entries',
    // The default threshold of 1000 would leave records of 200 bytes as they are.
    ...(records ? { compression: { threshold: 100 } } : { encoding: 'binary' }),
  });
  const other = root.openDB({ name: 'other', encoding: 'msgpack' });
  return new Store(root, database, other, dir);
}

class Store {
  reads = 'synchronous';
  #root;
  #database;
  #other;
  #dir;

  constructor(root, database, other, dir) {
    this.#root = root;
    this.#database = database;
    this.#other = other;
    this.#dir = dir;
  }

  async commit(entries) {
    let last;
    for (const [key, value] of entries) last = this.#database.put(key, value);
    await last;
    await last.flushed;
  }

  async remove(keys) {
    let last;
    for (const key of keys) last = this.#database.remove(key);
    await last;
    await last.flushed;
  }

  get(key) {
    return this.#database.get(key);
  }

  async walk() {
    let entries = 0;
    let bytes = 0;
    for (const { value } of this.#database.getRange()) {
      entries++;
      bytes += value.length ?? 1;
    }
    return { entries, bytes };
  }

  /** "Simple transactions": reads and writes in a callback, many callbacks in one LMDB transaction. */
  counters() {
    const other = this.#other;
    return {
      add: async (pairs) => {
        const done = other.transaction(() => {
          for (const [key, amount] of pairs) other.put(key, (other.get(key) ?? 0) + amount);
        });
        await done;
        await done.flushed;
      },
      get: (key) => other.get(key),
    };
  }

  /** One entry an item, keyed by (list, number): an append reads nothing and rewrites no list. */
  lists(itemsMax) {
    const other = this.#other;
    const next = new Map();
    return {
      append: async (pairs) => {
        let last;
        for (const [key, item] of pairs) {
          const number = next.get(key) ?? 0;
          next.set(key, number + 1);
          last = other.put([key, number], item);
          if (number >= itemsMax) last = other.remove([key, number - itemsMax]);
        }
        await last;
        await last.flushed;
      },
      length: (key) => [...other.getKeys({ start: [key, 0], end: [key, Infinity] })].length,
    };
  }

  async copy(to) {
    fs.mkdirSync(to);
    await this.#root.backup(to, false);
  }

  /** LMDB gives no space back to the file; its compacting copy is what its tools recommend. */
  async compact() {
    const to = path.join(this.#dir, 'compact');
    fs.mkdirSync(to);
    await this.#root.backup(to, true);
    await this.#root.close();
    this.#root = undefined;
    fs.rmSync(path.join(this.#dir, 'lmdb'), { recursive: true });
  }

  flights(job) {
    const other = this.#other;
    return keyValueFlights(job, {
      getMany: (keys) => keys.map((key) => other.get(key)),
      write: async (puts, removes) => {
        const done = other.batch(() => {
          for (const [key, value] of puts) other.put(key, value);
          for (const key of removes) other.remove(key);
        });
        await done;
        await done.flushed;
      },
    });
  }

  async close() {
    await this.#root?.close();
  }
}
