/*
 * The `reducing` kind (the term is Flink's): one value a key, made of all that were added by a
 * function of the user. The function runs when a value is added; what is logged is its result.
 */
import type { Key } from '../codec/key.ts';
import type { Cell } from './cells.ts';
import { keyIn } from './keys.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { callUser, checkStorable, copyForUser } from './user-function.ts';
import { ValueState } from './value-state.ts';
import type { VersionedOptions } from './value-versions.ts';
import type { WriteOptions } from './write-options.ts';

/** Options of a reducing state. */
export interface ReducingOptions<V> extends VersionedOptions<V> {
  /**
   * Makes one value of what there is and what is added; synchronously. It is given a copy that it
   * may change, and may read states, but change none.
   */
  readonly reduce: (current: V, added: V) => V;
}

/** Values by key, each reduced from all that were added. */
export class ReducingState<V = unknown> {
  readonly #space: StateSpace;
  readonly #table: Table<Cell>;
  readonly #values: ValueState<V>;
  readonly #reduce: (current: V, added: V) => V;

  /** @internal Handles are made by an operator. */
  constructor(
    space: StateSpace,
    table: Table<Cell>,
    ttlMs: number | undefined,
    reduce: (current: V, added: V) => V,
  ) {
    this.#space = space;
    this.#table = table;
    this.#values = new ValueState<V>(space, table, ttlMs);
    this.#reduce = reduce;
  }

  /**
   * Adds a value in the open transaction, and returns what is made of it. The first value of a key
   * is stored as it is. What `reduce` throws is thrown on, and nothing was changed.
   * @throws InvalidArgumentError INVALID_VALUE when the result cannot be stored, or is a promise:
   *   nothing was changed; INVALID_KEY, INVALID_OPTION
   */
  add(key: Key, value: V, options?: WriteOptions): V {
    const space = this.#space;
    space.assertWritable();
    const table = this.#table;
    const mapKey = keyIn(this.#table, key);
    const current = this.#values.getEntry(key);
    let result = value;
    if (current) {
      const copy = copyForUser(space, current.value);
      result = callUser(space, table, { name: 'reduce', key }, () => this.#reduce(copy, value));
    }
    checkStorable(space, table, mapKey, result);
    this.#values.set(key, result, options);
    return result;
  }

  /** What was made of all values, or undefined when none was added. */
  get(key: Key): V | undefined {
    return this.#values.get(key);
  }

  has(key: Key): boolean {
    return this.#values.has(key);
  }

  delete(key: Key): void {
    this.#values.delete(key);
  }

  /** Deletes all keys. */
  clearAll(): void {
    this.#values.clearAll();
  }

  /** Keys, in the order of their hash. */
  keys(): IterableIterator<Key> {
    return this.#values.keys();
  }

  /** Keys and values, in the order of the keys' hash. */
  entries(): IterableIterator<[Key, V]> {
    return this.#values.entries();
  }

  /** Counts the keys: O(n). */
  count(): number {
    return this.#values.count();
  }
}
