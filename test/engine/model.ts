/*
 * A plain model of an engine's state: Maps and arrays, a transaction by copying. It knows nothing of
 * logs, images or memtables; the engine has to agree with it after any history.
 */
import { checksum } from '../../src/codec/checksum.ts';
import type {
  BlobState,
  CounterState,
  Engine,
  ListState,
  MapState,
  ValueState,
} from '../../src/engine/index.ts';

export const itemsMax = 3;

/** Handles of one kind each. */
export interface Handles {
  readonly value: ValueState;
  readonly map: MapState;
  readonly list: ListState;
  readonly all: ListState;
  readonly counter: CounterState;
  readonly blob: BlobState;
}

export function handlesOf(engine: Engine): Handles {
  const op = engine.operator('model');
  return {
    value: op.value('value'),
    map: op.map('map'),
    list: op.list('list', { itemsMax }),
    all: op.list('all'),
    counter: op.counter('counter'),
    blob: op.blob('blob'),
  };
}

/** One random change. */
export interface Step {
  readonly what:
    | 'set'
    | 'delete'
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
    | 'blobDelete';
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
  positions: Record<string, unknown> = {};

  copy(): Model {
    const { value, map, list, all, counter, blob, positions } = this;
    return Object.assign(
      new Model(),
      structuredClone({ value, map, list, all, counter, blob, positions }),
    );
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
    }
  }
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

/** Everything that an engine shows, by iteration. */
export function shown(engine: Engine): unknown {
  const handles = handlesOf(engine);
  const lists = (list: ListState): unknown[][] =>
    sorted([...list.keys()].map((key) => [key, list.get(key)]));
  return {
    value: sorted(handles.value.entries()),
    map: sorted(handles.map.entries()),
    list: lists(handles.list),
    all: lists(handles.all),
    counter: sorted(handles.counter.entries()),
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
    blob: sorted([...model.blob].map(([key, bytes]) => [key, checksum(bytes)])),
    positions: model.positions,
  };
}

/** Checks single reads too: they take another path than iteration. */
export function pointReads(
  engine: Engine,
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
    model.blob.has(key),
  ]);
}
