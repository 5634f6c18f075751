/*
 * What tests of time travel remember of a store: changes of every kind of state, the content of a
 * moment, and what differs between two contents.
 */
import type { Engine, Reader, StateChange, Target } from '../../src/engine/index.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { dir, type TestStore } from './reader-store.ts';

export type Step = readonly [what: number, key: number, subKey: number];

export function change(engine: Engine, [what, key, subKey]: Step): void {
  const op = engine.operator('op');
  const value = op.value('value');
  const map = op.map('map');
  const list = op.list('list', { itemsMax: 3 });
  const counter = op.counter('counter');
  const blob = op.blob('blob');
  const changes = [
    () => value.set(key, [subKey]),
    () => value.delete(key),
    () => map.set(key, subKey, { subKey }),
    () => map.delete(key, subKey),
    () => map.clear(key),
    () => list.append(key, subKey),
    () => list.clear(key),
    () => counter.add(key, subKey - 3),
    () => counter.delete(key),
    () => blob.set(key, new Uint8Array(subKey * 1000).fill(key)),
    () => op.min('min').update(key, subKey),
    () => value.patch(key, { subKey }),
    () => (subKey === 0 ? map.clearAll() : map.set(key, subKey, null)),
  ];
  changes[what]!();
}

export type Content = Readonly<Record<string, readonly unknown[]>>;

/** What is there, by state, in the order of the store. */
export function contentOf(reader: Reader): Content {
  const found: Record<string, unknown[]> = {};
  for (const { state, key, subKey, value, lsn, timestamp } of reader.entries()) {
    (found[state] ??= []).push([key, subKey, value, lsn, timestamp]);
  }
  return found;
}

export async function contentAt(store: TestStore, at: Target): Promise<Content | string> {
  let reader: Reader;
  try {
    reader = await openReaderWith({ dir, at }, store.components);
  } catch (error) {
    return (error as { code: string }).code;
  }
  const content = contentOf(reader);
  await reader.close();
  return content;
}

export interface Remembered {
  readonly lsn: number;
  readonly timestamp: number;
  readonly content: Content;
}

export type Change = readonly unknown[];

/** Rows of a content by where they stand: what they hold, blobs by their length. */
export function rowsOf(content: Content): Map<string, unknown> {
  const rows = new Map<string, unknown>();
  for (const [state, entries] of Object.entries(content)) {
    for (const [key, subKey, value, lsn] of entries as [unknown, unknown, unknown, number][]) {
      const shown = value instanceof Uint8Array ? value.length : value;
      // An item of a list is known by its commit; of several in one commit, by its turn there.
      let place = JSON.stringify([state, key, state === 'list' ? lsn : subKey]);
      while (rows.has(place)) place += "'";
      rows.set(place, shown);
    }
  }
  return rows;
}

export function shownValue(value: unknown): unknown {
  const isBlob = typeof value === 'object' && value !== null && 'chunks' in value;
  return isBlob ? (value as unknown as { bytes: number }).bytes : value;
}

/** What has to be done to one content to get another. */
export function dueChanges(before: Content, after: Content): Change[] {
  const [old, now] = [rowsOf(before), rowsOf(after)];
  const due: Change[] = [];
  for (const [place, value] of now) {
    if (!old.has(place)) due.push(['insert', undefined, value]);
    else if (JSON.stringify(old.get(place)) !== JSON.stringify(value)) {
      due.push(['update', old.get(place), value]);
    }
  }
  for (const [place, value] of old) if (!now.has(place)) due.push(['delete', value, undefined]);
  return due;
}

export function shownChange({ kind, oldValue, newValue }: StateChange): Change {
  return [kind, shownValue(oldValue), shownValue(newValue)];
}

export const sortedChanges = (changes: readonly Change[]): string[] =>
  changes.map((change) => JSON.stringify(change)).sort();

/** What a key of a state holds in a content, as its history tells it. */
export function valueIn(content: Content, state: string, key: number): unknown {
  const rows = ((content[state] ?? []) as [number, unknown, unknown][]).filter(
    ([held]) => held === key,
  );
  if (rows.length === 0) return undefined;
  if (state === 'list') return rows.map(([, , value]) => value);
  if (state === 'map') return new Map(rows.map(([, subKey, value]) => [subKey, value]));
  const [, , value] = rows[0]!;
  return value instanceof Uint8Array ? value.length : value;
}
