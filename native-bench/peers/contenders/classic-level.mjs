/*
 * classic-level (LevelDB). Tuned by the options that its README gives for it: a write buffer of
 * 64 MiB ("larger values increase performance"), a cache of 256 MiB, Snappy on (the default).
 * https://github.com/Level/classic-level#readme
 *
 * Durability: `sync: true` at each batch, which fsyncs LevelDB's log ("Writing"). LevelDB joins the
 * writes of at most the four threads of libuv, so callers of one turn share a batch (Groups).
 */
import fs from 'node:fs';
import path from 'node:path';
import { load, versionOf } from '../install.mjs';
import { keyValueFlights } from '../flights-key-value.mjs';
import { Groups } from '../in-flight.mjs';
import { GroupedCounters, GroupedLists } from '../grouped-jobs.mjs';

const MIB = 1024 * 1024;

export const name = 'classic-level';
export const durability = 'fsync of its log at each batch (`sync: true`)';
export const refuses = {};
export const version = () => load('classic-level') && versionOf('classic-level');

export async function open(dir, options = {}) {
  const { ClassicLevel } = load('classic-level');
  const place = path.join(dir, 'level');
  const database = new ClassicLevel(place, {
    keyEncoding: 'utf8',
    valueEncoding: options.records ? 'json' : 'buffer',
    writeBufferSize: 64 * MIB,
    cacheSize: 256 * MIB,
  });
  await database.open();
  return new Store(database, place, options);
}

class Store {
  reads = 'synchronous';
  #database;
  #place;

  constructor(database, place, { callers = 1 }) {
    this.#database = database;
    this.#place = place;
    const write = (entries) =>
      this.#write(entries.map(([key, value]) => ({ type: 'put', key, value })));
    const groups = new Groups((lists) => write(lists.flat()));
    this.commit = callers > 1 ? (entries) => groups.add(entries) : write;
  }

  #write(operations, encoding = {}) {
    return this.#database.batch(operations, { sync: true, ...encoding });
  }

  remove(keys) {
    return this.#write(keys.map((key) => ({ type: 'del', key })));
  }

  get(key) {
    return this.#database.getSync(key);
  }

  async walk() {
    let entries = 0;
    let bytes = 0;
    const values = this.#database.values({ highWaterMarkBytes: MIB });
    for (;;) {
      const some = await values.nextv(1000);
      if (some.length === 0) break;
      entries += some.length;
      for (const value of some) bytes += value.length ?? 1;
    }
    await values.close();
    return { entries, bytes };
  }

  #json = {
    // Synchronous reads: quicker than `getMany` for keys that are in memory, as these are.
    getMany: (keys) => keys.map((key) => this.#database.getSync(key, { valueEncoding: 'json' })),
    write: (puts, removes) =>
      this.#write(
        [
          ...puts.map(([key, value]) => ({ type: 'put', key, value })),
          ...removes.map((key) => ({ type: 'del', key })),
        ],
        { valueEncoding: 'json' },
      ),
  };

  counters() {
    return new GroupedCounters(this.#json);
  }

  lists(itemsMax) {
    return new GroupedLists(this.#json, itemsMax);
  }

  /** LevelDB has no copy of its own: the database is closed, its files are copied, and it goes on. */
  async copy(to) {
    await this.#database.close();
    fs.cpSync(this.#place, to, { recursive: true });
    await this.#database.open();
  }

  async compact() {
    await this.#database.compactRange('', '\u{10ffff}');
  }

  tidy() {
    return this.compact();
  }

  flights(job) {
    return keyValueFlights(job, this.#json);
  }

  close() {
    return this.#database.close();
  }
}
