/*
 * The `map` kind: values by (key, sub-key), the sub-keys of a key side by side, so that a key's
 * entries are read, and cleared, together.
 */
import { mapKeyOf, type Key } from '../codec/key.ts';
import { deepFreeze } from '../codec/value.ts';
import { deleted, emptyMapCell, type Cell, type MapCell, type MapKey } from './cells.ts';
import { ClearKeyChange } from './changes.ts';
import { keyIn, subKeyIn } from './keys.ts';
import { scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { clearAll, putCell } from './value-state.ts';
import { noTimes, timesOf, type WriteOptions, type WriteTimes } from './write-options.ts';

/** Values by key and sub-key. */
export class MapState<K extends Key = Key, V = unknown> {
  readonly #space: StateSpace;
  readonly #table: Table<MapCell>;
  readonly #ttlMs: number | undefined;

  /** @internal Handles are made by an operator. */
  constructor(space: StateSpace, table: Table<MapCell>, ttlMs: number | undefined) {
    this.#space = space;
    this.#table = table;
    this.#ttlMs = ttlMs;
  }

  /** The value of a sub-key, or undefined when there is none. */
  get(key: Key, subKey: K): V | undefined {
    const space = this.#space;
    space.assertOpen();
    const mapKey = keyIn(this.#table, key);
    const mapSubKey = subKeyIn(this.#table, subKey);
    const found = this.#find(mapKey, mapSubKey);
    if (found === 'older') {
      if (this.#table.hidesImages) return undefined;
      const entry = space.images.find(this.#table.id, mapKey, mapSubKey, space);
      if (!entry) return undefined;
      const value = space.decode(this.#table, entry);
      return (space.checks ? deepFreeze(value) : value) as V;
    }
    if (found === undefined || found.value === deleted) return undefined;
    if (found.expiry !== 0 && found.expiry <= space.now()) return undefined;
    return (space.checks ? deepFreeze(found.value) : found.value) as V;
  }

  has(key: Key, subKey: K): boolean {
    const space = this.#space;
    space.assertOpen();
    const mapKey = keyIn(this.#table, key);
    const mapSubKey = subKeyIn(this.#table, subKey);
    const found = this.#find(mapKey, mapSubKey);
    if (found === 'older') {
      if (this.#table.hidesImages) return false;
      return space.images.find(this.#table.id, mapKey, mapSubKey, space) !== undefined;
    }
    if (found === undefined || found.value === deleted) return false;
    return found.expiry === 0 || found.expiry > space.now();
  }

  /** Sets a value in the open transaction. */
  set(key: Key, subKey: K, value: V, options?: WriteOptions): void {
    const times = timesOf(options, this.#ttlMs, this.#space);
    this.#put(keyIn(this.#table, key), subKeyIn(this.#table, subKey), value, times);
  }

  delete(key: Key, subKey: K): void {
    this.#put(keyIn(this.#table, key), subKeyIn(this.#table, subKey), deleted, noTimes);
  }

  /** Deletes all sub-keys of a key. */
  clear(key: Key): void {
    this.#space.assertWritable();
    const change = new ClearKeyChange(this.#table, keyIn(this.#table, key), emptyMapCell(true));
    this.#space.transaction.add(change);
  }

  /** Deletes all keys. */
  clearAll(): void {
    clearAll(this.#space, this.#table);
  }

  /** Sub-keys and values of one key, in the order of the sub-keys. */
  entries(key: Key): IterableIterator<[K, V]>;
  /** Keys, sub-keys and values of all keys, in the order of the keys' hash, then of the sub-keys. */
  entries(): IterableIterator<[Key, K, V]>;
  entries(...only: [Key?]): IterableIterator<[K, V] | [Key, K, V]> {
    const { checks } = this.#space;
    const one = only.length > 0;
    return scan(
      this.#space,
      this.#table,
      one ? keyIn(this.#table, only[0]!) : undefined,
      (entry) => {
        const value = entry.value();
        const given = (checks ? deepFreeze(value) : value) as V;
        const subKey = entry.subKey() as K;
        return one ? [subKey, given] : [entry.key(), subKey, given];
      },
    );
  }

  /** Sub-keys of one key, in order. */
  keys(key: Key): IterableIterator<K>;
  /** Keys that have a sub-key, in the order of their hash. */
  keys(): IterableIterator<Key>;
  keys(...only: [Key?]): IterableIterator<Key> {
    if (only.length > 0) {
      return scan(this.#space, this.#table, keyIn(this.#table, only[0]!), (entry) =>
        entry.subKey(),
      );
    }
    return distinct(scan(this.#space, this.#table, undefined, (entry) => entry.key()));
  }

  /** The newest cell of a sub-key, or 'older' when no memtable says anything. */
  #find(key: MapKey, subKey: MapKey): Cell | undefined | 'older' {
    // No generator here: this is the hot path of every read of a map.
    const { active, frozen } = this.#table;
    let layer = active;
    for (let i = 0; ; i++) {
      const outer = layer.cells.get(key);
      const cell = outer?.cells.get(subKey);
      if (cell) return cell;
      if (outer?.cleared || layer.cleared) return undefined;
      if (i >= frozen.length) break;
      layer = frozen[i]!;
    }
    return 'older';
  }

  #put(key: MapKey, subKey: MapKey, value: unknown, times: WriteTimes): void {
    putCell(this.#space, this.#table, { key, subKey }, value, times);
  }
}

/** Equal keys stand side by side: each is given once. */
export function* distinct(keys: IterableIterator<Key>): Generator<Key> {
  let last: MapKey | undefined;
  for (const key of keys) {
    const mapKey = mapKeyOf(key);
    if (mapKey === last) continue;
    last = mapKey;
    yield key;
  }
}
