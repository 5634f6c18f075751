/*
 * What every commit of the sweep changes, and what a store has to show behind it. The content follows
 * from the LSN and from the timeline that it was committed on, so a commit that is served in another's
 * place, in part, or on the wrong timeline is seen.
 */
import type { Engine, Reader } from '../../src/engine/index.ts';

const operator = 'op';
const itemsMax = 4;
const keys = 5;

/** Kinds of state that the sweep uses; the model keeps them as plain values. */
interface Plain {
  readonly value: Map<string, string>;
  readonly map: Map<string, number>;
  readonly list: string[];
  readonly blob: Map<string, string>;
  sum: number;
  source: number;
}

/** What each LSN of one ancestry has to show, from LSN 0 on. */
export class Model {
  readonly shown: string[] = [emptyState];
  #plain: Plain = empty();
  readonly #past: Plain[] = [empty()];

  /** The last LSN. */
  get lsn(): number {
    return this.shown.length - 1;
  }

  /** Changes an engine as the next commit does. */
  change(engine: Engine, timeline: number, bytes: number): void {
    const lsn = this.lsn + 1;
    changeEngine(engine, { lsn, timeline, bytes });
    this.#plain = changed(this.#plain, { lsn, timeline, bytes });
    this.#past.push(this.#plain);
    this.shown.push(text(this.#plain));
  }

  /** Forgets what came behind an LSN. */
  backTo(lsn: number): void {
    this.shown.length = lsn + 1;
    this.#past.length = lsn + 1;
    this.#plain = this.#past[lsn]!;
  }

  /** The same, to go on from it. */
  copyAt(lsn: number): Model {
    const copy = new Model();
    copy.shown.splice(0, 1, ...this.shown);
    copy.#past.splice(0, 1, ...this.#past);
    copy.backTo(lsn);
    return copy;
  }
}

interface Change {
  readonly lsn: number;
  readonly timeline: number;
  readonly bytes: number;
}

function empty(): Plain {
  return { value: new Map(), map: new Map(), list: [], blob: new Map(), sum: 0, source: 0 };
}

/** Text that differs in every commit; it does not compress to nothing. */
function filler({ lsn, timeline, bytes }: Change): string {
  let state = (lsn * 7919 + timeline) >>> 0;
  let made = '';
  while (made.length < bytes) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    made += state.toString(36);
  }
  return made.slice(0, bytes);
}

function blobOf({ lsn, bytes }: Change): Uint8Array {
  return new Uint8Array(bytes).fill(lsn);
}

function changeEngine(engine: Engine, change: Change): void {
  const { lsn, timeline } = change;
  const op = engine.operator(operator);
  const value = op.value<string>('value');
  value.set(`k${lsn % keys}`, `${timeline}:${lsn}`);
  value.set(`text${lsn % 2}`, filler(change));
  if (lsn % 4 === 0) value.delete(`k${(lsn + 2) % keys}`);
  op.counter('sum').add('all', lsn);
  op.list<string>('list', { itemsMax }).append('last', `${timeline}:${lsn}`);
  const map = op.map<string, number>('map');
  if (lsn % 6 === 0) map.clear('a');
  map.set('a', `s${lsn % 3}`, lsn);
  if (lsn % 3 === 0) op.blob('blob').set('b', blobOf(change));
}

function changed(before: Plain, change: Change): Plain {
  const { lsn, timeline } = change;
  const value = new Map(before.value);
  value.set(`k${lsn % keys}`, `${timeline}:${lsn}`);
  value.set(`text${lsn % 2}`, filler(change));
  if (lsn % 4 === 0) value.delete(`k${(lsn + 2) % keys}`);
  const map = lsn % 6 === 0 ? new Map<string, number>() : new Map(before.map);
  map.set(`s${lsn % 3}`, lsn);
  const list = [...before.list, `${timeline}:${lsn}`].slice(-itemsMax);
  const blob = new Map(before.blob);
  if (lsn % 3 === 0) blob.set('b', blobText(blobOf(change)));
  return { value, map, list, blob, sum: before.sum + lsn, source: lsn };
}

function blobText(bytes: Uint8Array): string {
  return `${bytes.length} of ${bytes[0]}, ${bytes.every((byte) => byte === bytes[0])}`;
}

function text({ value, map, list, blob, sum, source }: Plain): string {
  const sorted = (entries: Iterable<readonly [string, unknown]>): unknown[] =>
    [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = { value: sorted(value), map: sorted(map), list, blob: sorted(blob), sum, source };
  return JSON.stringify(shown);
}

/** What a store shows that has had no commit. */
export const emptyState: string = text(empty());

/** Everything that an engine shows. */
export function stateOf(engine: Engine): string {
  const op = engine.operator(operator);
  const plain = empty();
  for (const [key, value] of op.value<string>('value').entries()) {
    plain.value.set(String(key), value);
  }
  for (const [key, inner, value] of op.map<string, number>('map').entries()) {
    plain.map.set(key === 'a' ? inner : `${String(key)} ${inner}`, value);
  }
  plain.list.push(...op.list<string>('list', { itemsMax }).get('last'));
  const blob = op.blob('blob').get('b');
  if (blob) plain.blob.set('b', blobText(blob));
  plain.sum = op.counter('sum').get('all') ?? 0;
  plain.source = Number(engine.positions['source'] ?? 0);
  return text(plain);
}

/** Everything that a reader shows. */
export function stateOfReader(reader: Reader): string {
  const plain = empty();
  for (const { state, key, subKey, value } of reader.entries()) {
    if (state === 'value') plain.value.set(String(key), String(value));
    else if (state === 'map') plain.map.set(String(subKey), Number(value));
    else if (state === 'list') plain.list.push(String(value));
    else if (state === 'blob') plain.blob.set(String(key), blobText(value as Uint8Array));
    else plain.sum = Number(value);
  }
  plain.source = Number(reader.positions()['source'] ?? 0);
  return text(plain);
}
