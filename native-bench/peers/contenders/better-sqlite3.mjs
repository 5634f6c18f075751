/*
 * better-sqlite3: SQLite, built with the package; see sqlite.mjs.
 */
import { load, versionOf } from '../install.mjs';
import { openSqlite, sqliteDurability } from './sqlite.mjs';

export const name = 'better-sqlite3';
export const durability = sqliteDurability;
export const refuses = {};

export function version() {
  const Database = load('better-sqlite3');
  // Its native part is loaded when a database is opened.
  new Database(':memory:').close();
  return versionOf('better-sqlite3');
}

export async function open(dir, options = {}) {
  const Database = load('better-sqlite3');
  const connect = (file) => new Database(file);
  const backup = (database, to) => database.backup(to);
  return openSqlite(dir, { connect, backup }, options);
}
