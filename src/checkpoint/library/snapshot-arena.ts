/*
 * Entries in the order in which they were written, in memory, until they are sorted into a run. The
 * bytes are those of entry-format.ts, one entry behind the other; columns beside them say where an
 * entry starts and what it is sorted by. A call that throws has added nothing.
 */
import { hashBytes, type HashSeed } from '../../codec/hash.ts';
import { encodeKeyInto, keyBytesMax, type Key } from '../../codec/key.ts';
import {
  compareEntries,
  Entry,
  entryBytes,
  readEntry,
  writeEntryHeader,
} from '../../snapshot/entry.ts';
import { entryFlags } from '../../snapshot/entry-format.ts';
import { sortEntries } from '../../snapshot/log-sort.ts';
import { RunCursor } from '../../snapshot/run-cursor.ts';
import type { Turns } from '../../snapshot/task-context.ts';

/** An entry to write. */
export interface ArenaEntry {
  readonly table: number;
  readonly op: number;
  readonly operator: number;
  readonly key: Key;
  readonly subKey: Key | undefined;
  readonly value: Uint8Array;
  /** Microseconds; 0 for none. */
  readonly expiry: number;
  readonly eventTime: number;
}

/** What all entries of an arena share. */
export interface ArenaCommit {
  readonly lsn: number;
  readonly timestamp: number;
  readonly seed: HashSeed;
}

const FIRST_BYTES = 64 * 1024;
const FIRST_COUNT = 256;
/** Beside the bytes of an entry: its columns, and those that sorting takes. */
const COLUMN_BYTES = 32;

export class EntryArena {
  readonly #commit: ArenaCommit;
  readonly #entry = new Entry();
  readonly #keys = new Uint8Array(2 * keyBytesMax);
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #count = 0;
  #hashes = new Uint32Array(FIRST_COUNT);
  #tables = new Uint32Array(FIRST_COUNT);
  #offsets = new Float64Array(FIRST_COUNT);

  constructor(commit: ArenaCommit) {
    this.#commit = commit;
  }

  get count(): number {
    return this.#count;
  }

  /** About what the entries take, sorting included. */
  get memoryBytes(): number {
    return this.#length + this.#count * COLUMN_BYTES;
  }

  get dataBytes(): number {
    return this.#length;
  }

  /** Adds an entry behind all others. @throws InvalidArgumentError INVALID_KEY */
  add(given: ArenaEntry): void {
    const { lsn, timestamp, seed } = this.#commit;
    const entry = this.#entry;
    const keys = this.#keys;
    const keyEnd = encodeKeyInto(given.key, keys, 0);
    const subKeyEnd =
      given.subKey === undefined ? keyEnd : encodeKeyInto(given.subKey, keys, keyEnd);
    entry.table = given.table;
    entry.hash = hashBytes(keys, 0, keyEnd, seed);
    entry.lsn = lsn;
    entry.timestamp = timestamp;
    entry.op = given.op;
    entry.operator = given.operator;
    entry.flags = given.subKey === undefined ? 0 : entryFlags.subKey;
    entry.expiry = given.expiry;
    entry.eventTime = given.eventTime;
    entry.keyStart = 0;
    entry.keyEnd = keyEnd;
    entry.subKeyEnd = subKeyEnd;
    entry.valueEnd = subKeyEnd + given.value.length;
    const size = entryBytes(entry);
    this.#reserve(size);
    const at = writeEntryHeader(entry, this.#view, this.#length, size);
    this.#bytes.set(keys.subarray(0, subKeyEnd), at);
    this.#bytes.set(given.value, at + subKeyEnd);
    this.#hashes[this.#count] = entry.hash;
    this.#tables[this.#count] = given.table;
    this.#offsets[this.#count] = this.#length;
    this.#length += size;
    this.#count++;
  }

  /**
   * All entries as a run in the order of the kernel; of equal keys the one written first comes
   * first. Nothing may be added any more.
   */
  async sort(turns: Turns): Promise<RunCursor> {
    const bytes = this.#bytes;
    const offsets = this.#offsets;
    const places = [...new Set(this.#tables.subarray(0, this.#count))].sort((a, b) => a - b);
    const placeOf = new Map(places.map((table, place) => [table, place]));
    const tables = this.#tables.subarray(0, this.#count).map((table) => placeOf.get(table)!);
    const a = new Entry();
    const b = new Entry();
    const { order } = await sortEntries(
      {
        hashes: this.#hashes.subarray(0, this.#count),
        tables,
        tableCount: places.length,
        compare: (x, y) => {
          readEntry(bytes, offsets[x]!, 0, a);
          readEntry(bytes, offsets[y]!, 0, b);
          return compareEntries(a, b);
        },
      },
      turns,
    );
    return new ArenaCursor({ bytes, offsets, tables: this.#tables, order });
  }

  #reserve(size: number): void {
    const end = this.#length + size;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    if (this.#count < this.#hashes.length) return;
    this.#hashes = grow(this.#hashes, new Uint32Array(this.#count * 2));
    this.#tables = grow(this.#tables, new Uint32Array(this.#count * 2));
    this.#offsets = grow(this.#offsets, new Float64Array(this.#count * 2));
  }
}

function grow<T extends Uint32Array | Float64Array>(column: T, grown: T): T {
  grown.set(column);
  return grown;
}

interface ArenaRun {
  readonly bytes: Uint8Array;
  readonly offsets: Float64Array;
  readonly tables: Uint32Array;
  readonly order: Uint32Array;
}

class ArenaCursor extends RunCursor {
  readonly #run: ArenaRun;
  #at = 0;

  constructor(run: ArenaRun) {
    super();
    this.#run = run;
  }

  next(): boolean {
    const { bytes, offsets, tables, order } = this.#run;
    if (this.#at >= order.length) return false;
    const index = order[this.#at++]!;
    readEntry(bytes, offsets[index]!, tables[index]!, this);
    return true;
  }
}
