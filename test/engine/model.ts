/*
 * A plain model of an engine's state: Maps and arrays, a transaction by copying. It knows nothing of
 * logs, images or memtables; the engine has to agree with it after any history.
 */
import { checksum } from '../../src/codec/checksum.ts';
import type {
  AggregatingState,
  BlobState,
  CounterState,
  Engine,
  ExtremumState,
  ListState,
  MapState,
  ReducingState,
  ValueState,
} from '../../src/engine/index.ts';

import { mergePatch } from '../snapshot/model.ts';

export const itemsMax = 3;

/** Handles of one kind each. */
export interface Handles {
  readonly value: ValueState;
  readonly map: MapState;
  readonly list: ListState;
  readonly all: ListState;
  readonly counter: CounterState;
  readonly blob: BlobState;
  readonly low: ExtremumState;
  readonly high: ExtremumState<number | bigint>;
  readonly reduced: ReducingState<{ readonly sum: number }>;
  readonly averaged: AggregatingState<number, { count: number; sum: number }, number>;
}

/** An engine, or a view of it. */
export type Shown = Pick<Engine, 'operator' | 'positions'>;

export function handlesOf(engine: Shown): Handles {
  const op = engine.operator('model');
  return {
    value: op.value('value'),
    map: op.map('map'),
    list: op.list('list', { itemsMax }),
    all: op.list('all'),
    counter: op.counter('counter'),
    blob: op.blob('blob'),
    low: op.min('low'),
    high: op.max('high'),
    reduced: op.reducing('reduced', { reduce: (a, b) => ({ sum: a.sum + b.sum }) }),
    averaged: op.aggregating('averaged', {
      create: () => ({ count: 0, sum: 0 }),
      add: (accumulator, value: number) => {
        accumulator.count++;
        accumulator.sum += value;
        return accumulator;
      },
      result: ({ count, sum }) => sum / count,
    }),
  };
}

/** One random change. */
export interface Step {
  readonly what:
    | 'set'
    | 'delete'
    | 'patch'
    | 'clearAll'
    | 'mapSet'
    | 'mapDelete'
    | 'mapClear'
    | 'mapClearAll'
    | 'append'
    | 'listClear'
    | 'add'
    | 'counterDelete'
    | 'blobSet'
    | 'blobDelete'
    | 'extremes'
    | 'extremesDelete'
    | 'reduce'
    | 'reduceDelete';
  readonly key: string | number;
  readonly subKey: number;
  readonly value: number;
}

/** State of the model. */
export class Model {
  value: Map<unknown, unknown> = new Map();
  map: Map<unknown, Map<unknown, unknown>> = new Map();
  list: Map<unknown, unknown[]> = new Map();
  all: Map<unknown, unknown[]> = new Map();
  counter: Map<unknown, number> = new Map();
  blob: Map<unknown, Uint8Array> = new Map();
  low: Map<unknown, number> = new Map();
  high: Map<unknown, number | bigint> = new Map();
  /** All that were added, of which both states of functions are made. */
  added: Map<unknown, number[]> = new Map();
  positions: Record<string, unknown> = {};

  copy(): Model {
    return Object.assign(new Model(), structuredClone(Object.fromEntries(Object.entries(this))));
  }

  apply(step: Step): void {
    const { key, subKey, value } = step;
    switch (step.what) {
      case 'set':
        this.value.set(key, { n: value });
        break;
      case 'delete':
        this.value.delete(key);
        break;
      case 'patch':
        this.value.set(key, mergePatch(this.value.get(key), patchOf(step)));
        break;
      case 'clearAll':
        this.value.clear();
        break;
      case 'mapSet':
        mapOf(this.map, key).set(subKey, value);
        break;
      case 'mapDelete':
        this.map.get(key)?.delete(subKey);
        break;
      case 'mapClear':
        this.map.delete(key);
        break;
      case 'mapClearAll':
        this.map.clear();
        break;
      case 'append':
        this.list.set(key, [...(this.list.get(key) ?? []), value].slice(-itemsMax));
        this.all.set(key, [...(this.all.get(key) ?? []), value]);
        break;
      case 'listClear':
        this.list.delete(key);
        this.all.delete(key);
        break;
      case 'add':
        this.counter.set(key, (this.counter.get(key) ?? 0) + value);
        break;
      case 'counterDelete':
        this.counter.delete(key);
        break;
      case 'blobSet':
        this.blob.set(key, blobOf(value));
        break;
      case 'blobDelete':
        this.blob.delete(key);
        break;
      case 'extremes':
        this.low.set(key, Math.min(this.low.get(key) ?? value, value));
        this.high.set(key, greater(this.high.get(key), mixed(value)));
        break;
      case 'extremesDelete':
        this.low.delete(key);
        this.high.delete(key);
        break;
      case 'reduce':
        this.added.set(key, [...(this.added.get(key) ?? []), value]);
        break;
      case 'reduceDelete':
        this.added.delete(key);
        break;
    }
  }
}

/** Sets one field of a nested object, and deletes another. */
function patchOf({ subKey, value }: Step): Record<string, unknown> {
  if (value % 3 === 0) return { n: value, inner: null };
  return { inner: { [subKey]: value % 2 === 0 ? null : { value }, kept: [null, value] } };
}

/** Numbers and bigints, some of which are equal. */
const mixed = (value: number): number | bigint => (value % 2 === 0 ? BigInt(value) : value);

function greater(older: number | bigint | undefined, newer: number | bigint): number | bigint {
  return older === undefined || newer > older ? newer : older;
}

/** The same change on an engine. */
export function applyTo(handles: Handles, step: Step): void {
  const { key, subKey, value } = step;
  switch (step.what) {
    case 'set':
      handles.value.set(key, { n: value });
      break;
    case 'delete':
      handles.value.delete(key);
      break;
    case 'patch':
      handles.value.patch(key, patchOf(step));
      break;
    case 'clearAll':
      handles.value.clearAll();
      break;
    case 'mapSet':
      handles.map.set(key, subKey, value);
      break;
    case 'mapDelete':
      handles.map.delete(key, subKey);
      break;
    case 'mapClear':
      handles.map.clear(key);
      break;
    case 'mapClearAll':
      handles.map.clearAll();
      break;
    case 'append':
      handles.list.append(key, value);
      handles.all.append(key, value);
      break;
    case 'listClear':
      handles.list.clear(key);
      handles.all.clear(key);
      break;
    case 'add':
      handles.counter.add(key, value);
      break;
    case 'counterDelete':
      handles.counter.delete(key);
      break;
    case 'blobSet':
      handles.blob.set(key, blobOf(value));
      break;
    case 'blobDelete':
      handles.blob.delete(key);
      break;
    case 'extremes':
      handles.low.update(key, value);
      handles.high.update(key, mixed(value));
      break;
    case 'extremesDelete':
      handles.low.delete(key);
      handles.high.delete(key);
      break;
    case 'reduce':
      handles.reduced.add(key, { sum: value });
      handles.averaged.add(key, value);
      break;
    case 'reduceDelete':
      handles.reduced.delete(key);
      handles.averaged.delete(key);
      break;
  }
}

/** Bytes of a few chunks; values that are close share most of them. */
function blobOf(value: number): Uint8Array {
  const bytes = new Uint8Array(100_000);
  let state = 12_345;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 24;
  }
  bytes[Math.abs(value * 7919) % bytes.length] = value & 0xff;
  return bytes;
}

function mapOf(maps: Map<unknown, Map<unknown, unknown>>, key: unknown): Map<unknown, unknown> {
  let map = maps.get(key);
  if (!map) maps.set(key, (map = new Map()));
  return map;
}

const sorted = (entries: Iterable<unknown[]>): unknown[][] =>
  [...entries].sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]));

function order(a: unknown, b: unknown): number {
  const [x, y] = [`${typeof a}${String(a)}`, `${typeof b}${String(b)}`];
  return x < y ? -1 : x > y ? 1 : 0;
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Everything that an engine shows, by iteration. */
export function shown(engine: Shown): unknown {
  const handles = handlesOf(engine);
  const lists = (list: ListState): unknown[][] =>
    sorted([...list.keys()].map((key) => [key, list.get(key)]));
  return {
    value: sorted(handles.value.entries()),
    map: sorted(handles.map.entries()),
    list: lists(handles.list),
    all: lists(handles.all),
    counter: sorted(handles.counter.entries()),
    low: sorted(handles.low.entries()),
    high: sorted(handles.high.entries()),
    reduced: sorted(handles.reduced.entries()),
    averaged: sorted(handles.averaged.entries()),
    blob: sorted([...handles.blob.keys()].map((key) => [key, checksum(handles.blob.get(key)!)])),
    positions: { ...engine.positions },
  };
}

/** What it has to show. */
export function expected(model: Model): unknown {
  const maps = [...model.map].flatMap(([key, map]) =>
    [...map].map(([subKey, value]) => [key, subKey, value]),
  );
  const lists = (list: Map<unknown, unknown[]>): unknown[][] =>
    sorted([...list].filter(([, items]) => items.length > 0));
  return {
    value: sorted(model.value),
    map: sorted(maps),
    list: lists(model.list),
    all: lists(model.all),
    counter: sorted(model.counter),
    low: sorted(model.low),
    high: sorted(model.high),
    reduced: sorted([...model.added].map(([key, added]) => [key, { sum: sumOf(added) }])),
    averaged: sorted([...model.added].map(([key, added]) => [key, sumOf(added) / added.length])),
    blob: sorted([...model.blob].map(([key, bytes]) => [key, checksum(bytes)])),
    positions: model.positions,
  };
}

/** Checks single reads too: they take another path than iteration. */
export function pointReads(
  engine: Shown,
  keys: readonly (string | number)[],
  subKeys: readonly number[],
): unknown {
  const handles = handlesOf(engine);
  return keys.map((key) => [
    handles.value.get(key),
    handles.value.has(key),
    subKeys.map((subKey) => handles.map.get(key, subKey)),
    [...handles.map.entries(key)],
    handles.list.get(key),
    handles.all.get(key),
    handles.counter.get(key),
    handles.low.get(key),
    handles.high.get(key),
    handles.reduced.get(key),
    handles.averaged.get(key),
    handles.blob.has(key),
  ]);
}

export function expectedReads(
  model: Model,
  keys: readonly (string | number)[],
  subKeys: readonly number[],
): unknown {
  return keys.map((key) => [
    model.value.get(key),
    model.value.has(key),
    subKeys.map((subKey) => model.map.get(key)?.get(subKey)),
    [...(model.map.get(key) ?? [])].sort(([a], [b]) => Number(a) - Number(b)),
    model.list.get(key) ?? [],
    model.all.get(key) ?? [],
    model.counter.get(key) ?? 0,
    model.low.get(key),
    model.high.get(key),
    model.added.has(key) ? { sum: sumOf(model.added.get(key)!) } : undefined,
    model.added.has(key) ? sumOf(model.added.get(key)!) / model.added.get(key)!.length : undefined,
    model.blob.has(key),
  ]);
}
