/*
 * The `aggregating` kind (the term is Flink's): an accumulator a key, to which functions of the user
 * add and from which they give a result. `create` and `add` run when a value is added, and what is
 * logged is the accumulator; `result` runs when it is read.
 */
import type { Key } from '../codec/key.ts';
import { deepFreeze } from '../codec/value.ts';
import type { Cell } from './cells.ts';
import { keyIn } from './keys.ts';
import { scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import { callUser, checkStorable, copyForUser } from './user-function.ts';
import { ValueState } from './value-state.ts';
import type { VersionedOptions } from './value-versions.ts';
import type { WriteOptions } from './write-options.ts';

/** The functions of an aggregating state; all are synchronous, may read states, and change none. */
export interface AggregatingOptions<In, Accumulator, Out> extends VersionedOptions<Accumulator> {
  /** Makes an accumulator to which nothing was added. */
  readonly create: () => Accumulator;
  /** Gives the accumulator with a value added; it is given a copy, which it may change and return. */
  readonly add: (accumulator: Accumulator, value: In) => Accumulator;
  /** What is read of an accumulator, which it must not change. */
  readonly result: (accumulator: Accumulator) => Out;
}

/** Accumulators by key. */
export class AggregatingState<In = unknown, Accumulator = unknown, Out = unknown> {
  readonly #space: StateSpace;
  readonly #table: Table<Cell>;
  readonly #accumulators: ValueState<Accumulator>;
  readonly #functions: AggregatingOptions<In, Accumulator, Out>;

  /** @internal Handles are made by an operator. */
  constructor(
    space: StateSpace,
    table: Table<Cell>,
    ttlMs: number | undefined,
    functions: AggregatingOptions<In, Accumulator, Out>,
  ) {
    this.#space = space;
    this.#table = table;
    this.#accumulators = new ValueState<Accumulator>(space, table, ttlMs);
    this.#functions = functions;
  }

  /**
   * Adds a value in the open transaction. What `create` and `add` throw is thrown on, and nothing was
   * changed.
   * @throws InvalidArgumentError INVALID_VALUE when the accumulator cannot be stored, or is a
   *   promise: nothing was changed; INVALID_KEY, INVALID_OPTION
   */
  add(key: Key, value: In, options?: WriteOptions): void {
    const space = this.#space;
    space.assertWritable();
    const table = this.#table;
    const mapKey = keyIn(this.#table, key);
    const { create, add } = this.#functions;
    const found = this.#accumulators.getEntry(key);
    const before = found
      ? copyForUser(space, found.value)
      : callUser(space, table, { name: 'create', key }, create);
    const after = callUser(space, table, { name: 'add', key }, () => add(before, value));
    checkStorable(space, table, mapKey, after);
    this.#accumulators.set(key, after, options);
  }

  /** The result of a key, or undefined when nothing was added. */
  get(key: Key): Out | undefined {
    const found = this.#accumulators.getEntry(key);
    return found && this.#result(key, found.value);
  }

  has(key: Key): boolean {
    return this.#accumulators.has(key);
  }

  delete(key: Key): void {
    this.#accumulators.delete(key);
  }

  /** Deletes all keys. */
  clearAll(): void {
    this.#accumulators.clearAll();
  }

  /** Keys, in the order of their hash. */
  keys(): IterableIterator<Key> {
    return this.#accumulators.keys();
  }

  /** Keys and results, in the order of the keys' hash. */
  entries(): IterableIterator<[Key, Out]> {
    const { checks } = this.#space;
    return scan(this.#space, this.#table, undefined, (entry) => {
      const accumulator = entry.value() as Accumulator;
      const key = entry.key();
      return [key, this.#result(key, checks ? deepFreeze(accumulator) : accumulator)];
    });
  }

  /** Counts the keys: O(n). */
  count(): number {
    return this.#accumulators.count();
  }

  #result(key: Key, accumulator: Accumulator): Out {
    const { result } = this.#functions;
    return callUser(this.#space, this.#table, { name: 'result', key }, () => result(accumulator));
  }
}
