/*
 * A plain model of two operators with expiry: arrays and Maps, judged by timestamps that it keeps
 * itself. It knows nothing of logs, images or memtables; of the protocol it knows E1 and E4.
 */
import type {
  BlobState,
  CounterState,
  Engine,
  ExtremumState,
  ListState,
  MapState,
  ValueState,
} from '../../src/engine/index.ts';
import { noise } from './engine-fixture.ts';
import { alive, OperandModel, type Key } from './operand-model.ts';

export const itemsMax = 3;
/** Default TTL of the second operator, in milliseconds. */
export const defaultTtlMs = 5;
export const operatorNames = ['plain', 'fleeting'] as const;

export interface Handles {
  readonly value: ValueState<number>;
  readonly map: MapState<number, number>;
  readonly list: ListState<number>;
  readonly counter: CounterState;
  readonly blob: BlobState;
  readonly low: ExtremumState;
  readonly record: ValueState;
}

export function handlesOf(engine: Engine, name: (typeof operatorNames)[number]): Handles {
  const op = engine.operator(name);
  const ttl = name === 'fleeting' ? { ttlMs: defaultTtlMs } : {};
  return {
    value: op.value('value', ttl),
    map: op.map('map', ttl),
    list: op.list('list', { ...ttl, itemsMax }),
    counter: op.counter('counter', ttl),
    blob: op.blob('blob'),
    low: op.min('low', ttl),
    record: op.value('record', ttl),
  };
}

export interface Step {
  readonly on: (typeof operatorNames)[number];
  readonly what:
    | 'set'
    | 'delete'
    | 'clearAll'
    | 'mapSet'
    | 'mapDelete'
    | 'mapClear'
    | 'append'
    | 'listClear'
    | 'add'
    | 'counterDelete'
    | 'blobSet'
    | 'blobDelete'
    | 'low'
    | 'lowDelete'
    | 'patch'
    | 'recordSet'
    | 'recordDelete';
  readonly key: string | number;
  readonly subKey: number;
  readonly value: number;
  /** Of the write; undefined: the default of the state, null: none. */
  readonly ttlMs: number | null | undefined;
}

interface Kept {
  value: number;
  lsn: number;
  timestamp: number;
  expiry: number;
}

class OperatorModel {
  value: Map<Key, Kept> = new Map();
  map: Map<Key, Map<number, Kept>> = new Map();
  list: Map<Key, Kept[]> = new Map();
  counter: OperandModel = new OperandModel('add');
  blob: Map<Key, number> = new Map();
  low: OperandModel = new OperandModel('min');
  record: OperandModel = new OperandModel('patch');

  copy(): OperatorModel {
    const { value, map, list, blob, counter, low, record } = this;
    const copied = structuredClone({ value, map, list, blob });
    const operands = { counter: counter.copy(), low: low.copy(), record: record.copy() };
    return Object.assign(new OperatorModel(), copied, operands);
  }
}

/** Sets one field of an inner object and deletes another, or deletes the inner object. */
function patchOf({ subKey, value }: Step): Record<string, unknown> {
  if (value % 3 === 0) return { n: value, inner: null };
  return { inner: { [`f${subKey}`]: value % 2 === 0 ? null : value, kept: { value } } };
}

/** State of the model. */
export class Model {
  operators: Record<string, OperatorModel> = {
    plain: new OperatorModel(),
    fleeting: new OperatorModel(),
  };
  position = 0;
  lastTimestamp = 0;

  copy(): Model {
    const copied = new Model();
    const { operators } = this;
    copied.position = this.position;
    copied.lastTimestamp = this.lastTimestamp;
    for (const name of operatorNames) {
      copied.operators[name] = operators[name]!.copy();
    }
    return copied;
  }

  apply(step: Step, now: number): void {
    const { on, key, subKey, value } = step;
    const to = this.operators[on]!;
    const ttlMs = step.ttlMs === undefined ? (on === 'fleeting' ? defaultTtlMs : null) : step.ttlMs;
    const expiry = ttlMs === null ? 0 : now + ttlMs * 1000;
    const kept = { value, lsn: 0, timestamp: 0, expiry };
    if (step.what === 'set') to.value.set(key, kept);
    else if (step.what === 'delete') to.value.delete(key);
    else if (step.what === 'clearAll') to.value.clear();
    else if (step.what === 'mapSet') {
      if (!to.map.has(key)) to.map.set(key, new Map());
      to.map.get(key)!.set(subKey, kept);
    } else if (step.what === 'mapDelete') to.map.get(key)?.delete(subKey);
    else if (step.what === 'mapClear') to.map.delete(key);
    else if (step.what === 'append') to.list.set(key, [...(to.list.get(key) ?? []), kept]);
    else if (step.what === 'listClear') to.list.delete(key);
    else if (step.what === 'add') to.counter.operand(key, value, now, expiry);
    else if (step.what === 'counterDelete') to.counter.delete(key);
    else if (step.what === 'blobSet') to.blob.set(key, value);
    else if (step.what === 'blobDelete') to.blob.delete(key);
    else if (step.what === 'low') to.low.operand(key, value, now, expiry);
    else if (step.what === 'lowDelete') to.low.delete(key);
    else if (step.what === 'patch') to.record.operand(key, patchOf(step), now, expiry);
    else if (step.what === 'recordSet') to.record.set(key, { inner: value }, expiry);
    else to.record.delete(key);
  }

  /** The open transaction was sealed. */
  commit(lsn: number, timestamp: number): void {
    this.lastTimestamp = timestamp;
    for (const { value, map, list, counter, low, record } of Object.values(this.operators)) {
      for (const operands of [counter, low, record]) operands.commit(timestamp);
      const inner = [...map.values()].flatMap((kept) => Array.from(kept.values()));
      for (const kept of [value.values(), inner, Array.from(list.values()).flat()].flatMap((all) =>
        Array.from(all),
      )) {
        if (kept.lsn === 0) Object.assign(kept, { lsn, timestamp });
      }
    }
  }

  /** Everything that has to be shown at a time. */
  expected(now: number): unknown {
    return operatorNames.map((name) => {
      const { value, map, list, counter, blob, low, record } = this.operators[name]!;
      const live = [...value].filter(([, kept]) => alive(kept.expiry, now));
      const lists = [...list].map<[Key, number[]]>(([key, items]) => [
        key,
        items.filter((kept) => alive(kept.expiry, now)).map((kept) => kept.value),
      ]);
      return {
        value: sorted(live.map(([key, kept]) => [key, kept.value])),
        entries: sorted(
          live.map(([key, { lsn, timestamp, expiry }]) => [
            key,
            { lsn, timestamp, expiresAt: expiry === 0 ? undefined : expiry },
          ]),
        ),
        count: live.length,
        map: sorted(
          [...map].flatMap(([key, inner]) =>
            [...inner]
              .filter(([, kept]) => alive(kept.expiry, now))
              .map(([subKey, kept]) => [key, subKey, kept.value]),
          ),
        ),
        list: sorted(
          lists
            .filter(([, items]) => items.length > 0)
            .map(([key, items]) => [key, items.slice(-itemsMax)]),
        ),
        counter: sorted(counter.entries(now)),
        blob: sorted([...blob].map(([key, seed]) => [key, digestOf(blobOf(seed))])),
        low: sorted(low.entries(now)),
        record: sorted(record.entries(now)),
      };
    });
  }
}

/** The same change on an engine. */
export function applyTo(engine: Engine, step: Step): void {
  const { key, subKey, value } = step;
  const to = handlesOf(engine, step.on);
  const options = step.ttlMs === undefined ? {} : { ttlMs: step.ttlMs };
  if (step.what === 'set') to.value.set(key, value, options);
  else if (step.what === 'delete') to.value.delete(key);
  else if (step.what === 'clearAll') to.value.clearAll();
  else if (step.what === 'mapSet') to.map.set(key, subKey, value, options);
  else if (step.what === 'mapDelete') to.map.delete(key, subKey);
  else if (step.what === 'mapClear') to.map.clear(key);
  else if (step.what === 'append') to.list.append(key, value, options);
  else if (step.what === 'listClear') to.list.clear(key);
  else if (step.what === 'add') to.counter.add(key, value, options);
  else if (step.what === 'counterDelete') to.counter.delete(key);
  else if (step.what === 'blobSet') to.blob.set(key, blobOf(value));
  else if (step.what === 'blobDelete') to.blob.delete(key);
  else if (step.what === 'low') to.low.update(key, value, options);
  else if (step.what === 'lowDelete') to.low.delete(key);
  else if (step.what === 'patch') to.record.patch(key, patchOf(step), options);
  else if (step.what === 'recordSet') to.record.set(key, { inner: value }, options);
  else to.record.delete(key);
}

/** Everything that an engine shows, by iteration and by single reads, which have to agree. */
export function shown(engine: Engine): unknown {
  return operatorNames.map((name) => {
    const { value, map, list, counter, blob, low, record } = handlesOf(engine, name);
    const entries = [...value.entries()] as [Key, number][];
    for (const [key, one] of entries) must(value.get(key) === one && value.has(key), 'value', key);
    must(sameKeys([...value.keys()], entries), 'keys', name);
    for (const [key, sub, one] of map.entries()) {
      must(map.get(key, sub) === one && map.has(key, sub), 'map', key);
    }
    for (const [key, one] of counter.entries()) must(counter.get(key) === one, 'counter', key);
    for (const [key, one] of low.entries()) must(low.get(key) === one, 'low', key);
    for (const [key, one] of record.entries()) {
      must(JSON.stringify(record.get(key)) === JSON.stringify(one), 'record', key);
    }
    return {
      value: sorted(entries),
      entries: sorted(
        entries.map(([key]) => {
          const { lsn, timestamp, expiresAt } = value.getEntry(key)!;
          return [key, { lsn, timestamp, expiresAt }];
        }),
      ),
      count: value.count(),
      map: sorted([...map.entries()] as unknown[][]),
      list: sorted([...list.keys()].map((key) => [key, list.get(key)])),
      counter: sorted(counter.entries()),
      blob: sorted([...blob.keys()].map((key) => [key, digestOf(blob.get(key)!)])),
      low: sorted(low.entries()),
      record: sorted(record.entries()),
    };
  });
}

/** Keys in the order of iteration. */
export function orderOf(engine: Engine): unknown {
  return operatorNames.map((name) => {
    const { value, map, counter } = handlesOf(engine, name);
    return [[...value.keys()], [...map.entries()].map(([k, s]) => [k, s]), [...counter.keys()]];
  });
}

function sameKeys(keys: unknown[], entries: unknown[][]): boolean {
  return JSON.stringify(keys) === JSON.stringify(entries.map(([key]) => key));
}

function must(holds: boolean, what: string, where: unknown): void {
  if (!holds) throw new Error(`reads of ${what} disagree at ${String(where)}`);
}

const blobs = new Map<number, Uint8Array>();

/** Some tens of kilobytes; those of nearby numbers share most of them. */
function blobOf(seed: number): Uint8Array {
  const known = blobs.get(seed);
  if (known) return known;
  const bytes = noise(40_000, 7);
  bytes[Math.abs(seed * 7919) % bytes.length] = seed & 0xff;
  blobs.set(seed, bytes);
  return bytes;
}

function digestOf(bytes: Uint8Array): string {
  return hash(bytes);
}

function hash(bytes: Uint8Array): string {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum = (Math.imul(sum, 31) + bytes[i]!) | 0;
  return `${bytes.length}:${sum}`;
}

const sorted = (entries: Iterable<unknown[]>): unknown[][] =>
  [...entries].sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]));

function order(a: unknown, b: unknown): number {
  const [x, y] = [`${typeof a}${String(a)}`, `${typeof b}${String(b)}`];
  return x < y ? -1 : x > y ? 1 : 0;
}
