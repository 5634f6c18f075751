/*
 * Functions of the user that compute what is stored: they run once, on the main thread, in the open
 * transaction, and what is logged is what they returned. Opening, restoring and looking into a store
 * never run them.
 *
 * A function that throws, or returns what cannot be stored, changes nothing: it is given a copy, it
 * may read other states and change none, and its result is checked before it is put.
 */
import type { Key } from '../codec/key.ts';
import { typeOf } from '../codec/value-path.ts';
import { InvalidArgumentError } from '../errors.ts';
import type { Cell, MapKey } from './cells.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';

/** A function that a state was given, and for which key it runs. */
export interface UserCall {
  /** As the option is called. */
  readonly name: string;
  readonly key: Key;
}

/** Checks that there are options at all, for a state that cannot do without functions in them. */
export function checkOptionsWith(options: unknown, functions: readonly string[]): void {
  if (typeof options === 'object' && options !== null) return;
  throw new InvalidArgumentError(
    'INVALID_OPTION',
    `options must be an object with ${functions.join(', ')}: this is ${typeOf(options)}`,
    { option: functions[0] },
  );
}

/** Checks that an option is a function. */
export function checkFunction(options: object, name: string): void {
  const given: unknown = (options as Record<string, unknown>)[name];
  if (typeof given === 'function') return;
  throw new InvalidArgumentError(
    'INVALID_OPTION',
    `${name} must be a function: this is ${typeOf(given)}`,
    { option: name },
  );
}

/** Runs a function of a state; what it throws is thrown on. A promise is refused. */
export function callUser<T>(
  space: StateSpace,
  table: Table<Cell>,
  { name, key }: UserCall,
  call: () => T,
): T {
  const result = space.whileCalling(call);
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result;
  // What becomes of it is not ours; it is refused whole.
  void Promise.resolve(result).catch(() => {});
  const { operator, state } = table.definition;
  throw new InvalidArgumentError(
    'INVALID_VALUE',
    `${name} of ${operator}.${state} returned a promise: it must return a value`,
    { operator, state, key, function: name },
  );
}

/**
 * A copy of a stored value that a function may change: it may throw half-way, and the value has to
 * be as it was.
 */
export function copyForUser<V>(space: StateSpace, value: V): V {
  if (typeof value !== 'object' || value === null) return value;
  return space.whileCalling(() => {
    const encoded = space.codec.encode(value);
    return space.codec.decode(encoded, 0, encoded.length) as V;
  });
}

/** Refuses a result that cannot be stored, now and not when it is committed. */
export function checkStorable(
  space: StateSpace,
  table: Table<Cell>,
  key: MapKey,
  value: unknown,
): void {
  space.whileCalling(() => space.encodeValue(table, key, undefined, value));
}
