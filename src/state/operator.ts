/*
 * An operator: a component that keeps states by name. Handles are made here, checked against the
 * catalogue; those of one name share their table.
 */
import { InvalidArgumentError } from '../errors.ts';
import type { Key } from '../codec/key.ts';
import { BlobState } from './blob-state.ts';
import type { Cell, ListCell, MapCell } from './cells.ts';
import { CounterState } from './counter-state.ts';
import { ListState } from './list-state.ts';
import { MapState } from './map-state.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import type { StateKind } from './table-definition.ts';
import { ValueState } from './value-state.ts';
import {
  checkItemsMax,
  checkKnown,
  stateTtl,
  type ListOptions,
  type StateOptions,
} from './write-options.ts';

const nameCharactersMax = 256;

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

  constructor(space: StateSpace, name: string) {
    this.name = name;
    this.#space = space;
  }

  /** One value a key. */
  value<V = unknown>(name: string, options: StateOptions = {}): ValueState<V> {
    const ttlMs = stateTtl(options, ['ttlMs']);
    const table = this.#table<Cell>('value', name, ttlMs, undefined);
    return new ValueState<V>(this.#space, table, ttlMs);
  }

  /** Values by key and sub-key. */
  map<K extends Key = Key, V = unknown>(name: string, options: StateOptions = {}): MapState<K, V> {
    const ttlMs = stateTtl(options, ['ttlMs']);
    const table = this.#table<MapCell>('map', name, ttlMs, undefined);
    return new MapState<K, V>(this.#space, table, ttlMs);
  }

  /** Appended items by key. */
  list<V = unknown>(name: string, options: ListOptions = {}): ListState<V> {
    const ttlMs = stateTtl(options, ['ttlMs', 'itemsMax']);
    const itemsMax = checkItemsMax(options.itemsMax);
    const table = this.#table<ListCell>('list', name, ttlMs, itemsMax);
    return new ListState<V>(this.#space, table, ttlMs);
  }

  /** Whole numbers that are added to, by key. */
  counter(name: string, options: StateOptions = {}): CounterState {
    const ttlMs = stateTtl(options, ['ttlMs']);
    const table = this.#table<Cell>('counter', name, ttlMs, undefined);
    return new CounterState(this.#space, table, ttlMs);
  }

  /** Large byte arrays by key. */
  blob(name: string, options: Record<string, never> = {}): BlobState {
    checkKnown(options, []);
    return new BlobState(this.#space, this.#table<Cell>('blob', name, undefined, undefined));
  }

  #table<C>(
    kind: StateKind,
    name: string,
    ttlMs: number | undefined,
    itemsMax: number | undefined,
  ): Table<C> {
    const state = checkName('state', name);
    const ttlType = ttlMs === undefined ? 'none' : 'write';
    const operator = this.name;
    return this.#space.table({ operator, state, kind, ttlType, itemsMax }) as unknown as Table<C>;
  }
}
