/*
 * An operator: a component that keeps states by name. Handles are made here, checked against the
 * catalogue; those of one name share their table.
 */
import { InvalidArgumentError } from '../errors.ts';
import type { Key } from '../codec/key.ts';
import { AggregatingState, type AggregatingOptions } from './aggregating-state.ts';
import { BlobState } from './blob-state.ts';
import type { Cell, ListCell, MapCell } from './cells.ts';
import { CounterState } from './counter-state.ts';
import { ExtremumState } from './extremum-state.ts';
import { ListState } from './list-state.ts';
import { MapState } from './map-state.ts';
import { ReducingState, type ReducingOptions } from './reducing-state.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import type { StateKind } from './table-definition.ts';
import { checkFunction, checkOptionsWith } from './user-function.ts';
import {
  checkVersioning,
  versionNames,
  type VersionedOptions,
  type Versioning,
} from './value-versions.ts';
import { ValueState } from './value-state.ts';
import {
  checkItemsMax,
  checkKnown,
  stateCompression,
  stateResident,
  stateTtl,
  type ListOptions,
  type StateOptions,
} from './write-options.ts';

/** The operator that state holders are kept under; its name cannot be asked for. */
export const holderOperator = '\u0000holders';

const nameCharactersMax = 256;

/** Options of the kinds whose values are the user's own. */
const plain = ['ttlMs', 'compression', 'resident'];
const versioned = [...plain, ...versionNames];

interface TableSettings {
  readonly options?: StateOptions;
  readonly itemsMax?: number | undefined;
  readonly version?: Versioning | undefined;
}

/** Checks a name that goes into the store: 1 to 256 characters, well formed. */
export function checkName(what: string, name: unknown): string {
  if (typeof name === 'string' && name.length > 0 && name.length <= nameCharactersMax) {
    if (!/\p{Surrogate}/u.test(name)) return name;
  }
  throw new InvalidArgumentError(
    'INVALID_NAME',
    `${what} must be a well-formed text of 1 to ${nameCharactersMax} characters` +
      (typeof name === 'string' ? `: ${name.slice(0, nameCharactersMax)}` : ''),
    { what },
  );
}

/**
 * States of one component, by name. A name that was stored as another kind, or with another TTL
 * type, is SCHEMA_CHANGED.
 */
export class Operator {
  readonly name: string;
  readonly #space: StateSpace;

  /** @internal Made by the engine. */
  constructor(space: StateSpace, name: string) {
    this.name = name;
    this.#space = space;
  }

  /** One value a key. */
  value<V = unknown>(name: string, options: VersionedOptions<V> = {}): ValueState<V> {
    const ttlMs = stateTtl(options, versioned);
    const version = checkVersioning(options);
    const table = this.#table<Cell>('value', name, ttlMs, { options, version });
    return new ValueState<V>(this.#space, table, ttlMs);
  }

  /** Values by key and sub-key. */
  map<K extends Key = Key, V = unknown>(
    name: string,
    options: VersionedOptions<V> = {},
  ): MapState<K, V> {
    const ttlMs = stateTtl(options, versioned);
    const version = checkVersioning(options);
    const table = this.#table<MapCell>('map', name, ttlMs, { options, version });
    return new MapState<K, V>(this.#space, table, ttlMs);
  }

  /** Appended items by key. */
  list<V = unknown>(name: string, options: ListOptions & VersionedOptions<V> = {}): ListState<V> {
    const ttlMs = stateTtl(options, [...versioned, 'itemsMax']);
    const itemsMax = checkItemsMax(options.itemsMax);
    const version = checkVersioning(options);
    const table = this.#table<ListCell>('list', name, ttlMs, { options, itemsMax, version });
    return new ListState<V>(this.#space, table, ttlMs);
  }

  /** Whole numbers that are added to, by key. */
  counter(name: string, options: StateOptions = {}): CounterState {
    const ttlMs = stateTtl(options, plain);
    const table = this.#table<Cell>('counter', name, ttlMs, { options });
    return new CounterState(this.#space, table, ttlMs);
  }

  /** The least of the numbers that were given, by key. */
  min<N extends number | bigint = number>(
    name: string,
    options: StateOptions = {},
  ): ExtremumState<N> {
    return this.#extremum<N>('min', name, options);
  }

  /** The greatest of the numbers that were given, by key. */
  max<N extends number | bigint = number>(
    name: string,
    options: StateOptions = {},
  ): ExtremumState<N> {
    return this.#extremum<N>('max', name, options);
  }

  /**
   * Values that a function of yours makes of all that are added, by key.
   * @throws InvalidArgumentError INVALID_OPTION when `reduce` is no function
   */
  reducing<V = unknown>(name: string, options: ReducingOptions<V>): ReducingState<V> {
    checkOptionsWith(options, ['reduce']);
    const ttlMs = stateTtl(options, [...versioned, 'reduce']);
    checkFunction(options, 'reduce');
    const version = checkVersioning(options);
    const table = this.#table<Cell>('reducing', name, ttlMs, { options, version });
    return new ReducingState<V>(this.#space, table, ttlMs, options.reduce);
  }

  /**
   * Accumulators to which functions of yours add, and from which they give a result, by key.
   * @throws InvalidArgumentError INVALID_OPTION when `create`, `add` or `result` is no function
   */
  aggregating<In = unknown, Accumulator = unknown, Out = unknown>(
    name: string,
    options: AggregatingOptions<In, Accumulator, Out>,
  ): AggregatingState<In, Accumulator, Out> {
    const functions = ['create', 'add', 'result'];
    checkOptionsWith(options, functions);
    const ttlMs = stateTtl(options, [...versioned, ...functions]);
    for (const one of functions) checkFunction(options, one);
    const version = checkVersioning(options);
    const table = this.#table<Cell>('aggregating', name, ttlMs, { options, version });
    return new AggregatingState(this.#space, table, ttlMs, { ...options });
  }

  /**
   * Large byte arrays by key. Their chunks are shared with the blobs of all states, so they are
   * compressed as the store is.
   */
  blob(name: string, options: Record<string, never> = {}): BlobState {
    checkKnown(options, []);
    return new BlobState(this.#space, this.#table<Cell>('blob', name, undefined, {}));
  }

  #extremum<N extends number | bigint>(
    kind: 'min' | 'max',
    name: string,
    options: StateOptions,
  ): ExtremumState<N> {
    const ttlMs = stateTtl(options, plain);
    return new ExtremumState<N>(this.#space, this.#table(kind, name, ttlMs, { options }), ttlMs);
  }

  #table<C>(
    kind: StateKind,
    name: string,
    ttlMs: number | undefined,
    settings: TableSettings,
  ): Table<C> {
    const state = checkName('state', name);
    const ttlType = ttlMs === undefined ? 'none' : 'write';
    const operator = this.name;
    const { itemsMax, options = {}, version } = settings;
    const compression = stateCompression(options);
    const resident = stateResident(options);
    const asked = { operator, state, kind, ttlType, itemsMax, compression, resident } as const;
    return this.#space.table(asked, version) as unknown as Table<C>;
  }
}
