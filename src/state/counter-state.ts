/*
 * The `counter` kind: whole numbers that are added to. What is logged is the difference, so merging
 * never needs the value.
 */
import { mapKeyOf, type Key } from '../codec/key.ts';
import { InvalidArgumentError } from '../errors.ts';
import { deleted, type Cell, type MapKey } from './cells.ts';
import { CounterChange, decodeInt64, safeCounter, type Before } from './operand-changes.ts';
import { scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { clearAll, putCell } from './value-state.ts';
import { expiryOf, type WriteOptions } from './write-options.ts';

/** Changes of open transactions by their cells: all handles of a counter add to the same one. */
const openChanges = new WeakMap<Cell, CounterChange>();

/** Counters by key; one that was never added to is 0. */
export class CounterState {
  readonly #space: StateSpace;
  readonly #table: Table<Cell>;
  readonly #ttlMs: number | undefined;

  constructor(space: StateSpace, table: Table<Cell>, ttlMs: number | undefined) {
    this.#space = space;
    this.#table = table;
    this.#ttlMs = ttlMs;
  }

  /**
   * Adds a whole number, which may be negative, and returns the sum.
   * @throws InvalidArgumentError INVALID_VALUE when amount or sum is no safe integer
   */
  add(key: Key, amount = 1, options?: WriteOptions): number {
    const space = this.#space;
    space.assertWritable();
    const { operator, state } = this.#table.definition;
    if (!Number.isSafeInteger(amount)) {
      throw new InvalidArgumentError(
        'INVALID_VALUE',
        `a counter takes whole numbers: ${String(amount)}`,
        { operator, state, key },
      );
    }
    const mapKey = mapKeyOf(key);
    const now = space.now();
    const expiry = expiryOf(options, this.#ttlMs, () => now);
    const before = this.#before(mapKey);
    // What the open transaction added is logged as one operand: it is one sum, whatever its expiry.
    const isOpen = this.#table.active.cells.get(mapKey)?.lsn === 0;
    const alive = before && (isOpen || before.expiry === 0 || before.expiry > now);
    const start = alive ? before.value : 0;
    const value = safeCounter(BigInt(start) + BigInt(amount), { operator, state, key });
    this.#changeOf(mapKey, before).add(amount, value, expiry);
    return value;
  }

  /** The counter's value; 0 when it was never added to, was deleted, or has expired. */
  get(key: Key): number {
    this.#space.assertOpen();
    const before = this.#before(mapKeyOf(key));
    if (!before || (before.expiry !== 0 && before.expiry <= this.#space.now())) return 0;
    return before.value;
  }

  /** Sets the counter back to nothing. */
  delete(key: Key): void {
    const table = this.#table;
    const place = { key: mapKeyOf(key), subKey: undefined, ownerNow: () => table.active };
    putCell(this.#space, table, place, deleted, 0);
  }

  /** Deletes all counters. */
  clearAll(): void {
    clearAll(this.#space, this.#table);
  }

  /** Keys of counters that exist, in the order of their hash. */
  keys(): IterableIterator<Key> {
    return scan(this.#space, this.#table, undefined, (entry) => entry.key());
  }

  /** Keys and values, in the order of the keys' hash. */
  entries(): IterableIterator<[Key, number]> {
    return scan(this.#space, this.#table, undefined, (entry) => [
      entry.key(),
      entry.value() as number,
    ]);
  }

  /** The value that an operand would meet, dead or alive. */
  #before(key: MapKey): Before | undefined {
    const cell = this.#table.find(key);
    if (cell) {
      if (cell.value === deleted) return undefined;
      return { value: cell.value as number, expiry: cell.expiry };
    }
    if (this.#table.hidesImages) return undefined;
    const entry = this.#space.images.find(this.#table.id, key, undefined, 0);
    if (!entry) return undefined;
    return { value: Number(decodeInt64(entry.bytes, entry.subKeyEnd)), expiry: entry.expiry };
  }

  /** The open transaction's change of a counter, made if there is none. */
  #changeOf(key: MapKey, before: Before | undefined): CounterChange {
    const { active } = this.#table;
    const previous = active.cells.get(key);
    const open = previous && openChanges.get(previous);
    if (open && previous.lsn === 0 && previous.value !== deleted) return open;
    const cell: Cell = { value: 0, lsn: 0, timestamp: 0, expiry: 0, crc: 0 };
    const change = new CounterChange(this.#space, this.#table, key, cell, previous, before);
    this.#space.transaction.add(change);
    openChanges.set(cell, change);
    return change;
  }
}
