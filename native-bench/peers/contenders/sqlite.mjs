/*
 * SQLite by a driver that has `exec` and `prepare`: better-sqlite3 and node:sqlite differ in little
 * else. Tuned: WAL, as better-sqlite3's docs/performance.md recommends; `synchronous = FULL`, which
 * syncs the WAL at each commit (https://www.sqlite.org/pragma.html#pragma_synchronous; NORMAL does
 * not); WITHOUT ROWID for keys that are not integers (https://www.sqlite.org/withoutrowid.html);
 * prepared statements; a page cache of 256 MiB.
 *
 * Commits are synchronous. With several callers, those of one turn share a transaction (Groups).
 */
import fs from 'node:fs';
import path from 'node:path';
import { Groups } from '../in-flight.mjs';
import { sqlFlights } from '../flights-sql.mjs';

export const sqliteDurability = 'WAL, synchronous = FULL: fsync of the WAL at each commit';

/** `backup(to)` copies the database the way that the driver does it. */
export async function openSqlite(dir, { connect, backup }, { records = false, callers = 1 }) {
  const file = path.join(dir, 'sqlite.db');
  const database = connect(file);
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -262144;
    CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS counters (key INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS items (list INTEGER, at INTEGER, item, PRIMARY KEY (list, at))
      WITHOUT ROWID;
  `);
  return new Store(database, file, { backup, records, callers });
}

class Store {
  reads = 'synchronous';
  #database;
  #file;
  #options;
  #begin;
  #end;
  #set;
  #get;
  #remove;

  constructor(database, file, options) {
    this.#database = database;
    this.#file = file;
    this.#options = options;
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#end = database.prepare('COMMIT');
    this.#set = database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)');
    this.#get = database.prepare('SELECT value FROM entries WHERE key = ?');
    this.#remove = database.prepare('DELETE FROM entries WHERE key = ?');
    const groups = new Groups((lists) => this.#commitNow(lists.flat()));
    this.commit =
      options.callers > 1
        ? (entries) => groups.add(entries)
        : async (entries) => this.#commitNow(entries);
  }

  #transaction(change) {
    this.#begin.run();
    change();
    this.#end.run();
  }

  #commitNow(entries) {
    const { records } = this.#options;
    this.#transaction(() => {
      for (const [key, value] of entries) {
        this.#set.run(key, records ? JSON.stringify(value) : value);
      }
    });
  }

  async remove(keys) {
    this.#transaction(() => {
      for (const key of keys) this.#remove.run(key);
    });
  }

  get(key) {
    return this.#get.get(key)?.value;
  }

  async walk() {
    let entries = 0;
    let bytes = 0;
    for (const { value } of this.#database.prepare('SELECT value FROM entries').iterate()) {
      entries++;
      bytes += value.length;
    }
    return { entries, bytes };
  }

  /** An upsert, https://www.sqlite.org/lang_upsert.html */
  counters() {
    const add = this.#database.prepare(
      'INSERT INTO counters VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET n = n + excluded.n',
    );
    const get = this.#database.prepare('SELECT n FROM counters WHERE key = ?');
    const addAll = (lists) =>
      this.#transaction(() => {
        for (const pairs of lists) for (const [key, amount] of pairs) add.run(key, amount);
      });
    const groups = new Groups(addAll);
    return { add: (pairs) => groups.add(pairs), get: (key) => get.get(key)?.n };
  }

  lists(itemsMax) {
    const insert = this.#database.prepare('INSERT INTO items VALUES (?, ?, ?)');
    const remove = this.#database.prepare('DELETE FROM items WHERE list = ? AND at = ?');
    const count = this.#database.prepare('SELECT count(*) AS n FROM items WHERE list = ?');
    const next = new Map();
    const append = (pairs) => {
      for (const [list, item] of pairs) {
        const at = next.get(list) ?? 0;
        next.set(list, at + 1);
        insert.run(list, at, item);
        if (at >= itemsMax) remove.run(list, at - itemsMax);
      }
    };
    const groups = new Groups((lists) => this.#transaction(() => append(lists.flat())));
    return { append: (pairs) => groups.add(pairs), length: (list) => count.get(list).n };
  }

  /** The online backup, https://www.sqlite.org/backup.html */
  async copy(to) {
    fs.mkdirSync(to, { recursive: true });
    await this.#options.backup(this.#database, path.join(to, 'copy.db'));
  }

  async compact() {
    this.#database.exec('VACUUM');
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  flights(job) {
    return sqlFlights(job, this.#database, (change) => this.#transaction(change));
  }

  async close() {
    this.#database.close();
  }

  get file() {
    return this.#file;
  }
}
