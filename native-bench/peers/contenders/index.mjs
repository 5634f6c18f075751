/*
 * The contenders, Tidemark first. Each has a name, `version()`, which loads its modules and throws
 * where they are not there, a sentence on its durability, the works that it cannot do with the
 * reason, and `open(dir, options)`, which gives a store:
 *
 *   commit(entries)   puts of one commit; resolves when they are durable, by the stated durability
 *   settle()          where it is there: makes durable what `commit` did not
 *   tidy()            where it is there: what its work in the background comes to in time
 *   remove(keys), get(key), walk(), copy(to), compact(), counters(), lists(itemsMax), flights(job),
 *   close(); `reads` says whether `get` gives a promise
 */
import * as betterSqlite3 from './better-sqlite3.mjs';
import * as classicLevel from './classic-level.mjs';
import * as lmdb from './lmdb.mjs';
import { mapContender } from './map.mjs';
import * as nodeSqlite from './node-sqlite.mjs';
import * as rocksdbNative from './rocksdb-native.mjs';
import * as tidemark from './tidemark.mjs';

export const contenders = [
  tidemark,
  lmdb,
  betterSqlite3,
  nodeSqlite,
  classicLevel,
  rocksdbNative,
  mapContender('JSON'),
  mapContender('msgpackr'),
];

export function contenderNamed(wanted) {
  return contenders.find(({ name }) => name === wanted);
}
