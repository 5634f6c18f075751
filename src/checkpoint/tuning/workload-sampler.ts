/*
 * Turns the records of commits into a workload on paper (workload.ts): one sampler for the recording
 * of an open engine and for a log that is read afterwards. Each table follows at most `keysMax` keys,
 * and rows that are still of use are at most `rowsMax`; past either, every second key is let go. So
 * what is written grows with the logarithm of the workload, and a commit costs a look at each of its
 * entries.
 */
import { hashBytes, type HashSeed } from '../../codec/hash.ts';
import {
  decodeCommitEntry,
  decodeCommitHeader,
  emptyCommitEntry,
  type CommitEntry,
} from '../../snapshot/commit-format.ts';
import { entryFlags, operatorIds, ops } from '../../snapshot/entry-format.ts';
import { readU32 } from '../../std/bytes.ts';
import {
  clearSubHash,
  sampleBound,
  sampleOrder,
  type FollowedKey,
  type SampledTable,
  type WorkloadClear,
  type WorkloadCommit,
  type WorkloadRow,
} from './workload.ts';

/** A key in the bytes of a commit. */
export interface SampledKey {
  readonly table: number;
  readonly keyHash: number;
  readonly bytes: Uint8Array;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** Undefined without a sub-key, and for a key that is followed with all its items. */
  readonly subKeyEnd: number | undefined;
}

export interface WorkloadSamplerInput {
  readonly seed: HashSeed;
  /** Newest items that a list keeps; such a list is followed key by key. */
  readonly itemsMax: (table: number) => number | undefined;
  /** What the state held of a key before the recording; asked once for each that is followed. */
  readonly before: (key: SampledKey, itemsMax: number | undefined) => FollowedKey['before'];
  /** Exponents of a recording that goes on. */
  readonly exponents?: ReadonlyMap<number, number>;
  /** @defaultValue 16384 */
  readonly keysMax?: number;
  /** @defaultValue 262144 */
  readonly rowsMax?: number;
}

interface FollowedTable {
  exponent: number;
  bound: number;
  /** Those of a list with `itemsMax` are keys, all others pairs of key and sub-key. */
  readonly itemsMax: number | undefined;
  /** By both hashes: number and order. */
  readonly keys: Map<number, { readonly id: number; readonly order: number; rows: number }>;
  /** How many of each key hash are followed, for clears. */
  readonly keyHashes: Map<number, number>;
  rows: number;
}

/** A row that is being made. */
type OpenRow = { -readonly [K in keyof WorkloadRow]: WorkloadRow[K] };

export class WorkloadSampler {
  readonly #in: WorkloadSamplerInput;
  readonly #keysMax: number;
  readonly #rowsMax: number;
  readonly #tables = new Map<number, FollowedTable>();
  readonly #entry = emptyCommitEntry();
  #nextId = 0;
  #rows: OpenRow[] = [];
  #followed: FollowedKey[] = [];
  #clears: WorkloadClear[] = [];
  #sampled: SampledTable[] = [];

  constructor(input: WorkloadSamplerInput) {
    this.#in = input;
    this.#keysMax = input.keysMax ?? 16_384;
    this.#rowsMax = input.rowsMax ?? 262_144;
  }

  /** Takes in the record of a commit. The bytes are only read during the call. */
  commit(lsn: number, record: Uint8Array): WorkloadCommit {
    const end = record.length;
    const { entryCount, timestamp, metadataEnd } = decodeCommitHeader(record, 0, end);
    this.#rows = [];
    this.#followed = [];
    this.#clears = [];
    this.#sampled = [];
    this.#thin();
    const entry = this.#entry;
    let at = metadataEnd;
    for (let i = 0; i < entryCount; i++) {
      decodeCommitEntry(record, at, end, entry);
      this.#take(record, entry);
      at = entry.end;
    }
    const rows = this.#rows.sort((a, b) => a.id - b.id);
    return {
      lsn,
      timestamp,
      entryCount,
      recordBytes: record.length,
      tables: this.#sampled,
      clears: this.#clears,
      followed: this.#followed,
      rows: joinItems(rows),
    };
  }

  #take(record: Uint8Array, entry: CommitEntry): void {
    const table = this.#table(entry.table);
    if (entry.op === ops.clearTable) {
      this.#clears.push({ table: entry.table, keyHash: undefined });
      return;
    }
    const { seed } = this.#in;
    const { keyStart, keyEnd, subKeyEnd } = entry;
    const keyHash = hashBytes(record, keyStart, keyEnd, seed);
    if (entry.op === ops.clearKey && table.keyHashes.has(keyHash)) {
      this.#clears.push({ table: entry.table, keyHash });
    }
    const byKey = table.itemsMax !== undefined && entry.op !== ops.clearKey;
    const hasSubKey = !byKey && (entry.flags & entryFlags.subKey) !== 0;
    let subHash = hasSubKey ? hashBytes(record, keyEnd, subKeyEnd, seed) : 0;
    if (entry.op === ops.clearKey) subHash = clearSubHash;
    const order = sampleOrder(keyHash, subHash);
    if (order >= table.bound) return;
    const name = nameOf(keyHash, subHash);
    let known = table.keys.get(name);
    if (!known) {
      known = { id: this.#nextId++, order, rows: 0 };
      table.keys.set(name, known);
      table.keyHashes.set(keyHash, (table.keyHashes.get(keyHash) ?? 0) + 1);
      const isClear = entry.op === ops.clearKey;
      const key: SampledKey = {
        table: entry.table,
        keyHash,
        bytes: record,
        keyStart,
        keyEnd,
        subKeyEnd: hasSubKey ? subKeyEnd : undefined,
      };
      this.#followed.push({
        table: entry.table,
        keyHash,
        subHash,
        keyBytes: subKeyEnd - keyStart,
        before: isClear ? undefined : this.#in.before(key, table.itemsMax),
      });
    }
    known.rows++;
    table.rows++;
    this.#rows.push({
      id: known.id,
      op: entry.op,
      operator: entry.operator,
      entries: byKey && entry.op === ops.put ? 1 : 0,
      // An event time is stored like eight bytes more of value.
      valueBytes: entry.end - subKeyEnd + (entry.eventTime === 0 ? 0 : 8),
      expiry: entry.expiry,
      references: referencesOf(record, entry),
    });
  }

  #table(table: number): FollowedTable {
    const known = this.#tables.get(table);
    if (known) return known;
    const exponent = this.#in.exponents?.get(table) ?? 0;
    const made: FollowedTable = {
      exponent,
      bound: sampleBound(exponent),
      itemsMax: this.#in.itemsMax(table),
      keys: new Map(),
      keyHashes: new Map(),
      rows: 0,
    };
    this.#tables.set(table, made);
    this.#sampled.push({ table, exponent, itemsMax: made.itemsMax });
    return made;
  }

  /** Lets keys go, between commits. */
  #thin(): void {
    for (const [id, table] of this.#tables) {
      if (table.keys.size <= this.#keysMax && table.rows <= this.#rowsMax) continue;
      // Keys whose every entry counts, like one that is written in every commit, stay at last.
      if (table.keys.size <= 1 || table.exponent >= 31) continue;
      table.exponent++;
      table.bound = sampleBound(table.exponent);
      table.keyHashes.clear();
      table.rows = 0;
      for (const [name, key] of table.keys) {
        if (key.order >= table.bound) {
          table.keys.delete(name);
          continue;
        }
        table.rows += key.rows;
        const keyHash = Math.floor(name / NAME_SHIFT);
        table.keyHashes.set(keyHash, (table.keyHashes.get(keyHash) ?? 0) + 1);
      }
      const { exponent, itemsMax } = table;
      this.#sampled.push({ table: id, exponent, itemsMax });
    }
  }
}

const NAME_SHIFT = 2 ** 21;

/** Both hashes in one number: enough bits that no two of some ten thousand meet. */
export function nameOf(keyHash: number, subHash: number): number {
  return keyHash * NAME_SHIFT + (subHash >>> 11);
}

/** Of a chunk, its operand starts with a count. */
function referencesOf(record: Uint8Array, entry: CommitEntry): number {
  if (entry.operator !== operatorIds.chunk || entry.end - entry.subKeyEnd < 8) return 0;
  const high = readU32(record, entry.subKeyEnd + 4) | 0;
  return high * 2 ** 32 + readU32(record, entry.subKeyEnd);
}

/** Items that one commit appends to one list become one row. */
function joinItems(rows: readonly OpenRow[]): OpenRow[] {
  const joined: OpenRow[] = [];
  for (const row of rows) {
    const last = joined.at(-1);
    if (row.entries > 0 && last?.id === row.id && last.entries > 0) {
      last.entries++;
      last.valueBytes += row.valueBytes;
      last.expiry = row.expiry;
    } else {
      joined.push(row);
    }
  }
  for (const row of joined) row.entries = Math.max(1, row.entries);
  return joined;
}
