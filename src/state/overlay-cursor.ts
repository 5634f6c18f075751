/*
 * The memtables of a table as a sorted run, so that iteration is the merge kernel too. Values stay
 * where they are, decoded: an entry's value bytes are an index into `values`. Entries are absolute
 * (no operands): whatever stands in a memtable hides everything older of its key.
 */
import { Entry, compareEntries } from '../snapshot/entry.ts';
import { entryFlags, operatorIds, ops } from '../snapshot/entry-format.ts';
import { RunCursor } from '../snapshot/run-cursor.ts';
import { readU32, writeU32 } from '../std/bytes.ts';

const INDEX_BYTES = 4;

/** One entry of the overlay before it is sorted. */
export interface OverlayEntry {
  readonly table: number;
  readonly hash: number;
  readonly op: number;
  readonly key: Uint8Array;
  readonly subKey: Uint8Array | undefined;
  readonly lsn: number;
  readonly timestamp: number;
  readonly expiry: number;
  readonly value: unknown;
}

export class OverlayCursor extends RunCursor {
  readonly #entries: Entry[] = [];
  readonly #values: unknown[] = [];
  readonly #owned = new Set<Uint8Array>();
  #at = 0;

  add(from: OverlayEntry): void {
    const { key, subKey } = from;
    const keyed = key.length + (subKey?.length ?? 0);
    const bytes = new Uint8Array(keyed + INDEX_BYTES);
    bytes.set(key, 0);
    if (subKey) bytes.set(subKey, key.length);
    writeU32(bytes, keyed, this.#values.length);
    const entry = new Entry();
    entry.table = from.table;
    entry.hash = from.hash;
    entry.op = from.op;
    entry.operator = operatorIds.none;
    entry.flags = subKey ? entryFlags.subKey : 0;
    entry.lsn = from.lsn;
    entry.timestamp = from.timestamp;
    entry.expiry = from.expiry;
    entry.bytes = bytes;
    entry.keyEnd = key.length;
    entry.subKeyEnd = keyed;
    entry.valueEnd = from.op === ops.put ? keyed + INDEX_BYTES : keyed;
    this.#entries.push(entry);
    this.#values.push(from.value);
    this.#owned.add(bytes);
  }

  /** Puts the entries in order; nothing is added afterwards. */
  sort(): void {
    this.#entries.sort(compareEntries);
  }

  override next(): boolean {
    const entry = this.#entries[this.#at++];
    if (!entry) return false;
    this.assign(entry);
    return true;
  }

  /** Whether an entry that came out of a merge is one of these. */
  owns(entry: Entry): boolean {
    return this.#owned.has(entry.bytes);
  }

  /** The decoded value of an entry that is one of these. */
  decodedOf(entry: Entry): unknown {
    return this.#values[readU32(entry.bytes, entry.subKeyEnd)];
  }
}
