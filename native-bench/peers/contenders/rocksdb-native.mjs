/*
 * rocksdb-native (RocksDB). The defaults of the package; `Promise.all` over a read batch is its way
 * of reading many keys. https://github.com/holepunchto/rocksdb-native
 *
 * Durability: none for a commit. Its writes take no options (lib/batch.js), and a trace of system
 * calls shows a write to the log and no sync. `flush()` writes the whole memtable out as a table
 * and syncs that: 11.6 ms for one entry here. So durable works are refused; works on a state that
 * was flushed are run.
 */
import fs from 'node:fs';
import path from 'node:path';
import { load, versionOf } from '../install.mjs';

const why = 'writes cannot be synced; only a flush of the whole memtable can';

export const name = 'rocksdb-native';
export const durability = 'a flush at the end; commits are not synced';
export const refuses = { a: why, b: why, d: why, e: why, i: why };
export const version = () => load('rocksdb-native') && versionOf('rocksdb-native');

export async function open(dir, options = {}) {
  const RocksDB = load('rocksdb-native');
  const place = path.join(dir, 'rocksdb');
  const connect = async () => {
    const database = new RocksDB(place);
    await database.ready();
    return database;
  };
  return new Store(await connect(), place, connect, options);
}

class Store {
  reads = 'asynchronous';
  #database;
  #place;
  #connect;
  #encode;

  constructor(database, place, connect, { records = false }) {
    this.#database = database;
    this.#place = place;
    this.#connect = connect;
    this.#encode = records ? JSON.stringify : (value) => value;
  }

  async commit(entries) {
    const batch = this.#database.write({ capacity: entries.length, autoDestroy: true });
    for (const [key, value] of entries) batch.tryPut(key, this.#encode(value));
    await batch.flush();
  }

  async remove(keys) {
    const batch = this.#database.write({ capacity: keys.length, autoDestroy: true });
    for (const key of keys) batch.tryDelete(key);
    await batch.flush();
  }

  /** Makes durable what was committed. */
  settle() {
    return this.#database.flush();
  }

  async get(key) {
    return (await this.#database.get(key)) ?? undefined;
  }

  async getMany(keys) {
    const batch = this.#database.read({ capacity: keys.length, autoDestroy: true });
    const values = keys.map((key) => batch.get(key));
    batch.tryFlush();
    return Promise.all(values);
  }

  async walk() {
    let entries = 0;
    let bytes = 0;
    for await (const { value } of this.#database.iterator({ gte: Buffer.alloc(0) })) {
      entries++;
      bytes += value.length;
    }
    return { entries, bytes };
  }

  /** The package has no checkpoint of RocksDB: flushed, closed, its files copied, opened again. */
  async copy(to) {
    await this.#database.flush();
    await this.#database.close();
    fs.cpSync(this.#place, to, { recursive: true });
    this.#database = await this.#connect();
  }

  async compact() {
    await this.#database.flush();
    await this.#database.compactRange();
  }

  tidy() {
    return this.compact();
  }

  close() {
    return this.#database.close();
  }
}
