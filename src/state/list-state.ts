/*
 * The `list` kind: items in the order in which they were appended. An append is blind: it reads
 * nothing, and no stored value grows. With `itemsMax` the newest items are kept.
 */
import type { Key } from '../codec/key.ts';
import { deepFreeze } from '../codec/value.ts';
import { emptyListCell, type ListCell, type MapKey } from './cells.ts';
import { AppendChange, ClearKeyChange, listCellNow } from './changes.ts';
import { keyIn } from './keys.ts';
import { distinct } from './map-state.ts';
import { scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { clearAll } from './value-state.ts';
import { timesOf, type WriteOptions } from './write-options.ts';

/** Lists by key. */
export class ListState<V = unknown> {
  readonly #space: StateSpace;
  readonly #table: Table<ListCell>;
  readonly #ttlMs: number | undefined;

  /** @internal Handles are made by an operator. */
  constructor(space: StateSpace, table: Table<ListCell>, ttlMs: number | undefined) {
    this.#space = space;
    this.#table = table;
    this.#ttlMs = ttlMs;
  }

  /** Appends an item in the open transaction. */
  append(key: Key, value: V, options?: WriteOptions): void {
    const space = this.#space;
    space.assertWritable();
    const mapKey = keyIn(this.#table, key);
    const { expiry, eventTime } = timesOf(options, this.#ttlMs, space);
    const cell = listCellNow(this.#table, mapKey);
    if (cell.pending.length === 0) {
      space.transaction.add(new AppendChange(space, this.#table, mapKey));
    }
    cell.pending.push({ value, lsn: 0, ordinal: 0, timestamp: 0, expiry, eventTime, crc: 0 });
  }

  /** The items of a key, oldest first; empty when there are none. */
  get(key: Key): V[] {
    const mapKey = keyIn(this.#table, key);
    return this.#recent(mapKey) ?? this.#all(mapKey);
  }

  /** Deletes all items of a key. */
  clear(key: Key): void {
    this.#space.assertWritable();
    const change = new ClearKeyChange(this.#table, keyIn(this.#table, key), emptyListCell(true));
    this.#space.transaction.add(change);
  }

  /** Deletes all keys. */
  clearAll(): void {
    clearAll(this.#space, this.#table);
  }

  /** Keys that have items, in the order of their hash. */
  keys(): IterableIterator<Key> {
    return distinct(scan(this.#space, this.#table, undefined, (entry) => entry.key()));
  }

  /** The newest items, where the active memtable holds enough of them and none can expire. */
  #recent(key: MapKey): V[] | undefined {
    this.#space.assertOpen();
    const { itemsMax } = this.#table.definition;
    const { active } = this.#table;
    const cell = active.cells.get(key);
    if (!cell) return undefined;
    const held = cell.items.length + cell.pending.length;
    const enough = cell.cleared || active.cleared || held >= (itemsMax ?? Number.POSITIVE_INFINITY);
    if (!enough) return undefined;
    const items = cell.pending.length === 0 ? cell.items : [...cell.items, ...cell.pending];
    if (items.some((item) => item.expiry !== 0)) return undefined;
    const newest = itemsMax === undefined ? items : items.slice(-itemsMax);
    const { checks } = this.#space;
    return newest.map(({ value }) => (checks ? deepFreeze(value) : value) as V);
  }

  #all(key: MapKey): V[] {
    const { checks } = this.#space;
    const give = scan(this.#space, this.#table, key, (entry) => {
      const value = entry.value();
      return (checks ? deepFreeze(value) : value) as V;
    });
    return [...give];
  }
}
