/*
 * The `min` and `max` kinds: the least, or greatest, of the numbers that were given. What is logged
 * is the number given, so merging never needs the value.
 */
import type { Key } from '../codec/key.ts';
import { operatorIds, type OperatorId } from '../snapshot/entry-format.ts';
import { deleted, openCell, type Cell, type MapKey } from './cells.ts';
import { keyIn } from './keys.ts';
import { isAlive, valueBefore, type Before } from './operand-base.ts';
import { extremum, ExtremumChange, refuseNumber } from './operand-changes.ts';
import { countLive, scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { clearAll, putCell } from './value-state.ts';
import { noTimes, timesOf, type WriteOptions } from './write-options.ts';

type Numeric = number | bigint;

/** Least or greatest numbers by key; numbers and bigints are compared by what they are. */
export class ExtremumState<N extends number | bigint = number> {
  readonly #space: StateSpace;
  readonly #table: Table<Cell>;
  readonly #ttlMs: number | undefined;
  readonly #operator: OperatorId;

  /** @internal Handles are made by an operator. */
  constructor(space: StateSpace, table: Table<Cell>, ttlMs: number | undefined) {
    this.#space = space;
    this.#table = table;
    this.#ttlMs = ttlMs;
    this.#operator = table.definition.kind === 'min' ? operatorIds.min : operatorIds.max;
  }

  /**
   * Compares with a number, keeps the lesser (or greater), and returns it; of two that are equal the
   * older stays. The entry expires as this write says, whichever number is kept.
   * @throws InvalidArgumentError INVALID_VALUE when it is neither a finite number nor a bigint
   */
  update(key: Key, number: N, options?: WriteOptions): N {
    const space = this.#space;
    space.assertWritable();
    const table = this.#table;
    if (typeof number !== 'bigint' && !Number.isFinite(number)) {
      throw refuseNumber(table, key, 'finite numbers and bigints', number);
    }
    const mapKey = keyIn(this.#table, key);
    const now = space.now();
    const times = timesOf(options, this.#ttlMs, space);
    const before = valueBefore<Numeric>(space, table, mapKey);
    // What the open transaction was given is logged as one operand, whatever its expiry.
    const isOpen = table.active.cells.get(mapKey)?.lsn === 0;
    const older = before && (isOpen || isAlive(before, now)) ? before.value : undefined;
    const value = extremum(this.#operator, older, number);
    this.#changeOf(mapKey, before).update(number, value, times);
    return value as N;
  }

  /** The number of a key, or undefined when there is none. */
  get(key: Key): N | undefined {
    const space = this.#space;
    space.assertOpen();
    const before = valueBefore<Numeric>(space, this.#table, keyIn(this.#table, key));
    return isAlive(before, space.now()) ? (before.value as N) : undefined;
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  /** Sets the key back to nothing: the next number is kept whatever it is. */
  delete(key: Key): void {
    const at = { key: keyIn(this.#table, key), subKey: undefined };
    putCell(this.#space, this.#table, at, deleted, noTimes);
  }

  /** Deletes all keys. */
  clearAll(): void {
    clearAll(this.#space, this.#table);
  }

  /** Keys, in the order of their hash. */
  keys(): IterableIterator<Key> {
    return scan(this.#space, this.#table, undefined, (entry) => entry.key());
  }

  /** Keys and numbers, in the order of the keys' hash. */
  entries(): IterableIterator<[Key, N]> {
    return scan(this.#space, this.#table, undefined, (entry) => [entry.key(), entry.value() as N]);
  }

  /** Counts the keys: O(n). */
  count(): number {
    return countLive(this.#space, this.#table);
  }

  /** The open transaction's change of a key, made if there is none. */
  #changeOf(key: MapKey, before: Before<Numeric> | undefined): ExtremumChange {
    const { transaction } = this.#space;
    const previous = this.#table.active.cells.get(key);
    const open = previous && transaction.changeOf(previous);
    if (open instanceof ExtremumChange && previous?.value !== deleted) return open;
    const cell = openCell(undefined, noTimes);
    const change = new ExtremumChange(this.#space, this.#table, { key, cell, previous }, before);
    transaction.addOf(cell, change);
    return change;
  }
}
