/*
 * The `value` kind: one value a key. Reads go transaction, memtables, images; writes go into the
 * open transaction and are visible at once.
 */
import type { Key } from '../codec/key.ts';
import { typeOf } from '../codec/value-path.ts';
import { deepFreeze } from '../codec/value.ts';
import { storedVersion } from '../codec/value-version.ts';
import { InvalidArgumentError } from '../errors.ts';
import { deleted, emptyTableCells, openCell, type Cell, type MapKey } from './cells.ts';
import { CellChange, cellOwner, ClearTableChange, type CellKey } from './changes.ts';
import { keyIn } from './keys.ts';
import { countLive, scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { forgetPatch, patchValue, type MergePatch } from './value-patch.ts';
import { noTimes, timesOf, type WriteOptions, type WriteTimes } from './write-options.ts';

/** A value with what is known of its last change. */
export interface ValueEntry<V> {
  readonly value: V;
  /** LSN of the commit; 0 while the change is in the open transaction. */
  readonly lsn: number;
  /** Time of the commit in microseconds; 0 while the change is in the open transaction. */
  readonly timestamp: number;
  /** Microseconds; undefined when the entry never expires. */
  readonly expiresAt: number | undefined;
  /** As the write, or its commit, gave it; microseconds. */
  readonly eventTime: number | undefined;
  /**
   * Version that the value was written with. `value` is of that of the handle, unless this is a view
   * to which nobody said one.
   */
  readonly version: number;
}

/**
 * Values by key. A value belongs to the engine once it is set: change it by setting another.
 *
 * @throws InvalidArgumentError INVALID_KEY from every method that takes a key
 */
export class ValueState<V = unknown> {
  readonly #space: StateSpace;
  readonly #table: Table<Cell>;
  readonly #ttlMs: number | undefined;

  /** @internal Handles are made by an operator. */
  constructor(space: StateSpace, table: Table<Cell>, ttlMs: number | undefined) {
    this.#space = space;
    this.#table = table;
    this.#ttlMs = ttlMs;
  }

  /** The value of a key, or undefined when there is none. */
  get(key: Key): V | undefined {
    const space = this.#space;
    space.assertOpen();
    const mapKey = keyIn(this.#table, key);
    const cell = this.#table.find(mapKey);
    if (cell !== undefined) {
      if (cell.value === deleted) return undefined;
      if (cell.expiry !== 0 && cell.expiry <= space.now()) return undefined;
      return (space.checks ? deepFreeze(cell.value) : cell.value) as V;
    }
    if (this.#table.hidesImages) return undefined;
    const entry = space.images.find(this.#table.id, mapKey, undefined, space);
    if (entry === undefined) return undefined;
    const value = space.decode(this.#table, entry);
    return (space.checks ? deepFreeze(value) : value) as V;
  }

  /** The value with LSN and time of its commit and its expiry. */
  getEntry(key: Key): ValueEntry<V> | undefined {
    const space = this.#space;
    space.assertOpen();
    const mapKey = keyIn(this.#table, key);
    const cell = this.#table.find(mapKey);
    if (cell === undefined) return this.#entryFromImages(mapKey);
    if (cell.value === deleted || (cell.expiry !== 0 && cell.expiry <= space.now())) {
      return undefined;
    }
    const value = (space.checks ? deepFreeze(cell.value) : cell.value) as V;
    return entryOf(value, cell, this.#table.versioning.version);
  }

  has(key: Key): boolean {
    const space = this.#space;
    space.assertOpen();
    const mapKey = keyIn(this.#table, key);
    const cell = this.#table.find(mapKey);
    if (cell !== undefined) {
      return cell.value !== deleted && (cell.expiry === 0 || cell.expiry > space.now());
    }
    if (this.#table.hidesImages) return false;
    return space.images.find(this.#table.id, mapKey, undefined, space) !== undefined;
  }

  /**
   * Sets a value in the open transaction.
   * @throws InvalidArgumentError INVALID_KEY, INVALID_OPTION; INVALID_VALUE at the latest from `commit`
   */
  set(key: Key, value: V, options?: WriteOptions): void {
    this.#put(keyIn(this.#table, key), value, timesOf(options, this.#ttlMs, this.#space));
  }

  /**
   * Sets what the function makes of the value, and returns it.
   * @throws InvalidArgumentError INVALID_CALL when `change` is no function
   */
  update(key: Key, change: (value: V | undefined) => V, options?: WriteOptions): V {
    if (typeof change !== 'function') throw notAFunction(this.#table, change);
    const value = change(this.get(key));
    this.set(key, value, options);
    return value;
  }

  /**
   * Patches the value in the open transaction, and returns what it is then. Fields of the patch take
   * the place of those of the value; a field that is null is deleted; a plain object patches the
   * field, or makes an object of it; any other value, arrays too, replaces it (RFC 7386). A value
   * that is no plain object is replaced by one. Only the patch is logged.
   *
   * The names of every object that is patched are put in order: array indices by their number, then
   * the others by their UTF-8.
   * @throws InvalidArgumentError INVALID_KEY, INVALID_OPTION; INVALID_VALUE when the patch is no
   *   plain object, or cannot be stored; RECORD_TOO_LARGE: nothing was changed
   */
  patch(key: Key, patch: MergePatch<V>, options?: WriteOptions): V {
    const space = this.#space;
    space.assertWritable();
    const mapKey = keyIn(this.#table, key);
    const times = timesOf(options, this.#ttlMs, space);
    const value = patchValue(space, this.#table, { key: mapKey, patch, times });
    return (space.checks ? deepFreeze(value) : value) as V;
  }

  delete(key: Key): void {
    this.#put(keyIn(this.#table, key), deleted, noTimes);
  }

  /** Keys, in the order of their hash; the state as it is now. */
  keys(): IterableIterator<Key> {
    return scan(this.#space, this.#table, undefined, (entry) => entry.key());
  }

  /** Keys and values, in the order of the keys' hash; the state as it is now. */
  entries(): IterableIterator<[Key, V]> {
    const { checks } = this.#space;
    return scan(this.#space, this.#table, undefined, (entry) => {
      const value = entry.value();
      return [entry.key(), (checks ? deepFreeze(value) : value) as V];
    });
  }

  /** Counts the keys: O(n). */
  count(): number {
    return countLive(this.#space, this.#table);
  }

  /** Deletes all keys. */
  clearAll(): void {
    clearAll(this.#space, this.#table);
  }

  #entryFromImages(key: MapKey): ValueEntry<V> | undefined {
    const space = this.#space;
    if (this.#table.hidesImages) return undefined;
    const entry = space.images.find(this.#table.id, key, undefined, space);
    if (!entry) return undefined;
    // Decoding may run code of the user, which may read: the entry is borrowed.
    const { bytes, subKeyEnd, valueEnd } = entry;
    const found = entryOf(undefined, entry, storedVersion(bytes, subKeyEnd, valueEnd));
    const value = space.decode(this.#table, entry);
    return { ...found, value: (space.checks ? deepFreeze(value) : value) as V };
  }

  #put(key: MapKey, value: unknown, times: WriteTimes): void {
    const table = this.#table;
    if (table.patched) forgetPatch(this.#space, table.active.cells.get(key));
    putCell(this.#space, table, { key, subKey: undefined }, value, times);
  }
}

function entryOf<V>(value: V, of: Omit<Cell, 'value' | 'crc'>, version: number): ValueEntry<V> {
  const { lsn, timestamp, expiry, eventTime } = of;
  return {
    value,
    lsn,
    timestamp,
    expiresAt: expiry === 0 ? undefined : expiry,
    eventTime: eventTime === 0 ? undefined : eventTime,
    version,
  };
}

function notAFunction(table: Table<Cell>, given: unknown): InvalidArgumentError {
  const { operator, state } = table.definition;
  return new InvalidArgumentError(
    'INVALID_CALL',
    `update of ${operator}.${state} takes a function: this is a ${typeOf(given)}`,
    { operator, state },
  );
}

/** Puts a value, or a delete, into the open transaction. */
export function putCell(
  space: StateSpace,
  table: Table<unknown>,
  at: CellKey,
  value: unknown,
  times: WriteTimes,
): void {
  space.assertWritable();
  const owner = cellOwner(table, at);
  const previous = owner.cells.get(at.subKey ?? at.key);
  if (previous !== undefined && previous.lsn === 0) {
    previous.value = value;
    previous.expiry = times.expiry;
    previous.eventTime = times.eventTime;
    return;
  }
  space.transaction.add(
    new CellChange(space, table, at, { cell: openCell(value, times), previous, owner }),
  );
}

/** Clears a table in the open transaction. */
export function clearAll<C extends { replaced: boolean } | Cell>(
  space: StateSpace,
  table: Table<C>,
): void {
  space.assertWritable();
  const cells = emptyTableCells<C>(table.active.generation, true);
  space.transaction.add(new ClearTableChange(table, cells));
}
