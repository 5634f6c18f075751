/*
 * What one key holds, moved on by one commit at a time: the merge kernel over the entries of the key
 * and those of the commit. Memory: the live entries of the key.
 * History folds the log with it, and changes find with it what a bounded list gives up.
 */
import { Entry } from '../snapshot/entry.ts';
import { MergeIterator } from '../snapshot/merge-iterator.ts';
import { RunCursor } from '../snapshot/run-cursor.ts';
import type { MergedTable } from './moment-tables.ts';

/** Reads entries that are in order. */
export class EntriesCursor extends RunCursor {
  readonly #entries: readonly Entry[];
  #at = 0;

  constructor(entries: readonly Entry[]) {
    super();
    this.#entries = entries;
  }

  next(): boolean {
    const entry = this.#entries[this.#at++];
    if (!entry) return false;
    this.assign(entry);
    return true;
  }
}

/** An entry with bytes of its own. */
export function copyEntry(entry: Entry): Entry {
  const copy = new Entry();
  copy.assign(entry);
  const { keyStart } = entry;
  copy.bytes = entry.bytes.slice(keyStart, entry.valueEnd);
  copy.keyStart = 0;
  copy.keyEnd -= keyStart;
  copy.subKeyEnd -= keyStart;
  copy.valueEnd -= keyStart;
  return copy;
}

/** The live entries of one key. */
export class KeyFold {
  readonly #groupBits: number;
  table: MergedTable;
  #entries: readonly Entry[] = [];

  constructor(table: MergedTable, groupBits: number) {
    this.table = table;
    this.#groupBits = groupBits;
  }

  /** Replaces what the key holds; entries are in order, live, and own their bytes. */
  set(entries: readonly Entry[]): void {
    this.#entries = entries;
  }

  /** Folds in what a commit did to the key: entries in the order of the kernel, clears included. */
  apply(newer: readonly Entry[], timestamp: number): void {
    const inputs = [new EntriesCursor(this.#entries), new EntriesCursor(newer)];
    this.#entries = this.#merge(inputs, timestamp, false);
  }

  /** What the key shows at a time, in order. */
  view(time: number): readonly Entry[] {
    return this.#merge([new EntriesCursor(this.#entries)], time, true);
  }

  /** The next time, up to and including one, at which something expires. */
  nextExpiry(most: number): number | undefined {
    let least: number | undefined;
    for (const { expiry } of this.#entries) {
      if (expiry !== 0 && expiry <= most && (least === undefined || expiry < least)) least = expiry;
    }
    return least;
  }

  /** Drops what has expired at a time. */
  expire(time: number): void {
    this.#entries = this.#entries.filter(({ expiry }) => expiry === 0 || expiry > time);
  }

  #merge(inputs: RunCursor[], lastTimestamp: number, view: boolean): Entry[] {
    const { id, itemsMax } = this.table;
    const merged = new MergeIterator(inputs, {
      base: true,
      view,
      lastTimestamp,
      rules: itemsMax === undefined ? [] : [{ table: id, itemsMax }],
      groupBits: this.#groupBits,
    });
    const entries: Entry[] = [];
    while (merged.next()) {
      const entry = new Entry();
      entry.assign(merged);
      // A value that was computed lies in memory that the next entry uses again.
      entries.push(inputs.length > 1 ? copyEntry(entry) : entry);
    }
    return entries;
  }
}

/** Whether two views show the same entries of the same commits. */
export function sameView(a: readonly Entry[], b: readonly Entry[]): boolean {
  return a.length === b.length && a.every((entry, i) => sameEntry(entry, b[i]!));
}

function sameEntry(a: Entry, b: Entry): boolean {
  if (a.lsn !== b.lsn) return false;
  const sizes = a.subKeyEnd - a.keyEnd;
  if (sizes !== b.subKeyEnd - b.keyEnd) return false;
  for (let i = 0; i < sizes; i++) if (a.bytes[a.keyEnd + i] !== b.bytes[b.keyEnd + i]) return false;
  return true;
}
