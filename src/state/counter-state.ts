/*
 * The `counter` kind: whole numbers that are added to. What is logged is the difference, so merging
 * never needs the value.
 */
import type { Key } from '../codec/key.ts';
import { deleted, openCell, type Cell, type MapKey } from './cells.ts';
import { keyIn } from './keys.ts';
import { isAlive, valueBefore, type Before } from './operand-base.ts';
import { CounterChange, refuseNumber, safeSum } from './operand-changes.ts';
import { countLive, scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { clearAll, putCell } from './value-state.ts';
import { noTimes, timesOf, type WriteOptions } from './write-options.ts';

/** Counters by key; one that was never added to is 0. */
export class CounterState {
  readonly #space: StateSpace;
  readonly #table: Table<Cell>;
  readonly #ttlMs: number | undefined;

  /** @internal Handles are made by an operator. */
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
    const table = this.#table;
    if (!Number.isSafeInteger(amount)) {
      throw refuseNumber(table, key, 'safe whole numbers', amount);
    }
    const mapKey = keyIn(this.#table, key);
    const times = timesOf(options, this.#ttlMs, space);
    const before = valueBefore<number>(space, table, mapKey);
    const previous = table.active.cells.get(mapKey);
    // What the open transaction added is logged as one operand: it is one sum, whatever its expiry.
    const isOpen = previous?.lsn === 0;
    const start = before && (isOpen || this.#isLive(before)) ? before.value : 0;
    const value = safeSum(start, amount, table, key);
    this.#changeOf(mapKey, previous, before).add(amount, value, times);
    return value;
  }

  /** The counter's value; 0 when it was never added to, was deleted, or has expired. */
  get(key: Key): number {
    return this.#live(key)?.value ?? 0;
  }

  /** Whether the counter was ever added to, and neither was deleted nor has expired. */
  has(key: Key): boolean {
    return this.#live(key) !== undefined;
  }

  /** Sets the counter back to nothing. */
  delete(key: Key): void {
    const at = { key: keyIn(this.#table, key), subKey: undefined };
    putCell(this.#space, this.#table, at, deleted, noTimes);
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

  /** Counts the counters that exist: O(n). */
  count(): number {
    return countLive(this.#space, this.#table);
  }

  #live(key: Key): Before<number> | undefined {
    const space = this.#space;
    space.assertOpen();
    const before = valueBefore<number>(space, this.#table, keyIn(this.#table, key));
    return before && this.#isLive(before) ? before : undefined;
  }

  /** Looks at the clock only where it matters. */
  #isLive(before: Before<number>): boolean {
    return before.expiry === 0 || isAlive(before, this.#space.now());
  }

  /** The open transaction's change of a counter, made if there is none. */
  #changeOf(
    key: MapKey,
    previous: Cell | undefined,
    before: Before<number> | undefined,
  ): CounterChange {
    const { transaction } = this.#space;
    const open = previous?.lsn === 0 ? transaction.changeOf(previous) : undefined;
    if (open instanceof CounterChange && previous?.value !== deleted) return open;
    const cell = openCell(0, noTimes);
    const place = { key, cell, previous };
    const change = new CounterChange(this.#space, this.#table, place, before);
    transaction.addOf(cell, change);
    return change;
  }
}
