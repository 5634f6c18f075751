/*
 * node:sqlite, where this Node has it (22.5 and later; its backup 22.16 and later); see sqlite.mjs.
 */
import { openSqlite, sqliteDurability } from './sqlite.mjs';

export const name = 'node:sqlite';
export const durability = sqliteDurability;
export const refuses = {};

export async function version() {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(':memory:');
  const { version: found } = database.prepare('SELECT sqlite_version() AS version').get();
  database.close();
  return `SQLite ${found}`;
}

export async function open(dir, options = {}) {
  const { DatabaseSync, backup } = await import('node:sqlite');
  return openSqlite(dir, { connect: (file) => new DatabaseSync(file), backup }, options);
}
