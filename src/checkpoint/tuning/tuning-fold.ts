/*
 * The merge kernel on paper: sizes in place of bytes (PROTOCOL E2–E5). Folds the rows of commits into
 * a delta, and runs of snapshots into one, over arrays by the number of the followed key.
 *
 * What it cannot know exactly: the size of merge patches that were combined, taken as the larger of
 * the two, and of numbers by min and max, taken as the newer's.
 */
import { operatorIds, ops } from '../../snapshot/entry-format.ts';
import { entryFixedBytes, opCleared, type PaperWorkload } from './tuning-workload.ts';

/** Entries of one table in a snapshot, the whole of it, from the sample. */
export interface PaperTotals {
  entries: number;
  bytes: number;
}

/** A snapshot on paper. */
export interface PaperSnapshot {
  readonly kind: 'base' | 'delta';
  /** Those followed that it holds, ascending, and what it holds of each. */
  readonly ids: Uint32Array;
  readonly ops: Uint8Array;
  readonly operators: Uint8Array;
  readonly folded: Uint8Array;
  readonly hides: Uint8Array;
  readonly entries: Float64Array;
  readonly valueBytes: Float64Array;
  readonly expiries: Float64Array;
  readonly references: Float64Array;
  /** Of the entries in a snapshot, times the weight. */
  readonly bytes: Float64Array;
  readonly tableClears: ReadonlySet<number>;
  /** Of each table, what is not followed; in a base only. */
  readonly rest: readonly PaperTotals[];
  readonly totals: readonly PaperTotals[];
  /** Timestamp of its last commit. */
  readonly timestamp: number;
}

/** Ids of deltas that are kept for the next replay; about 50 bytes each. */
const KEPT_IDS_MAX = 4_000_000;

export class PaperFold {
  readonly #workload: PaperWorkload;
  readonly #ops: Uint8Array;
  readonly #operators: Uint8Array;
  readonly #folded: Uint8Array;
  readonly #hides: Uint8Array;
  readonly #entries: Float64Array;
  readonly #valueBytes: Float64Array;
  readonly #expiries: Float64Array;
  readonly #references: Float64Array;
  #touched: number[] = [];
  /** Deltas that were made: settings with the same intervals share them. */
  readonly #deltas = new Map<string, PaperSnapshot>();
  #deltaIds = 0;

  constructor(workload: PaperWorkload) {
    this.#workload = workload;
    const { length } = workload.keys.tables;
    this.#ops = new Uint8Array(length);
    this.#operators = new Uint8Array(length);
    this.#folded = new Uint8Array(length);
    this.#hides = new Uint8Array(length);
    this.#entries = new Float64Array(length);
    this.#valueBytes = new Float64Array(length);
    this.#expiries = new Float64Array(length);
    this.#references = new Float64Array(length);
  }

  /** What was there before the first commit; undefined when nothing was. */
  before(): PaperSnapshot | undefined {
    const { keys, tables, commits } = this.#workload;
    for (let id = 0; id < keys.tables.length; id++) {
      const entries = keys.entriesBefore[id]!;
      if (entries === 0) continue;
      const put = { op: ops.put, operator: 0, folded: 0, hides: 0, expiry: 0, references: 1 };
      this.#apply(id, { ...put, entries, valueBytes: keys.valueBytesBefore[id]! }, 0);
    }
    const rest = tables.map(({ restEntries, restBytes }) => ({
      entries: restEntries,
      bytes: restBytes,
    }));
    const timestamp = (commits.timestamps[0] ?? 1) - 1;
    const made = this.#finish({ kind: 'base', timestamp, rest, tableClears: new Set() });
    return made.totals.some(({ entries }) => entries > 0) ? made : undefined;
  }

  /** The delta, or first base, of the commits from one index up to another. */
  delta(from: number, to: number, kind: 'base' | 'delta'): PaperSnapshot {
    const name = `${kind} ${from} ${to}`;
    const known = this.#deltas.get(name);
    if (known) return known;
    const made = this.#makeDelta(from, to, kind);
    if (this.#deltaIds > KEPT_IDS_MAX) {
      this.#deltas.clear();
      this.#deltaIds = 0;
    }
    this.#deltas.set(name, made);
    this.#deltaIds += made.ids.length;
    return made;
  }

  #makeDelta(from: number, to: number, kind: 'base' | 'delta'): PaperSnapshot {
    const { commits, rows, tables } = this.#workload;
    let at = from === 0 ? 0 : commits.rowEnds[from - 1]!;
    const tableClears = new Set<number>();
    for (let commit = from; commit < to; commit++) {
      for (const table of commits.tableClears.get(commit) ?? []) tableClears.add(table);
      const timestamp = commits.timestamps[commit]!;
      for (const end = commits.rowEnds[commit]!; at < end; at++) {
        const row = {
          op: rows.ops[at]!,
          operator: rows.operators[at]!,
          folded: 0,
          hides: 0,
          entries: rows.entries[at]!,
          valueBytes: rows.valueBytes[at]!,
          expiry: rows.expiries[at]!,
          references: rows.references[at]!,
        };
        this.#apply(rows.ids[at]!, row, timestamp);
      }
    }
    const timestamp = commits.timestamps[to - 1]!;
    const rest = tables.map(() => ({ entries: 0, bytes: 0 }));
    return this.#finish({ kind, timestamp, rest, tableClears });
  }

  /** Adjacent snapshots as one, a base when the first is. */
  merge(run: readonly PaperSnapshot[]): PaperSnapshot {
    const tableClears = new Set<number>();
    for (const [i, link] of run.entries()) {
      if (i > 0) for (const table of link.tableClears) tableClears.add(table);
      for (let at = 0; at < link.ids.length; at++) {
        const row = {
          op: link.ops[at]!,
          operator: link.operators[at]!,
          folded: link.folded[at]!,
          hides: link.hides[at]!,
          entries: link.entries[at]!,
          valueBytes: link.valueBytes[at]!,
          expiry: link.expiries[at]!,
          references: link.references[at]!,
        };
        this.#apply(link.ids[at]!, row, link.timestamp);
      }
    }
    const { kind, rest: older, tableClears: own } = run[0]!;
    const rest = older.map((sum, table) =>
      tableClears.has(table) ? { entries: 0, bytes: 0 } : sum,
    );
    for (const table of own) tableClears.add(table);
    const { timestamp } = run.at(-1)!;
    return this.#finish({ kind, timestamp, rest, tableClears });
  }

  #apply(id: number, newer: PaperRow, timestamp: number): void {
    const older = this.#ops[id]!;
    if (older === 0) this.#touched.push(id);
    const table = this.#workload.tables[this.#workload.keys.tables[id]!]!;
    if (newer.op === opCleared || newer.hides === 1) this.#set(id, { ...newer, hides: 1 });
    else if (table.itemsMax !== undefined && newer.op === ops.put && older === ops.put) {
      this.#append(id, newer, table.itemsMax);
    } else if (newer.op === ops.merge && (older === ops.put || older === ops.merge)) {
      this.#combine(id, newer, timestamp);
    } else {
      const op = newer.op === ops.merge && older !== 0 ? ops.put : newer.op;
      this.#set(id, { ...newer, op, hides: this.#hides[id]! });
    }
    if (table.itemsMax !== undefined && this.#entries[id]! > table.itemsMax) {
      this.#valueBytes[id]! *= table.itemsMax / this.#entries[id]!;
      this.#entries[id] = table.itemsMax;
    }
  }

  #set(id: number, row: PaperRow): void {
    this.#ops[id] = row.op;
    this.#operators[id] = row.operator;
    this.#folded[id] = row.folded;
    this.#hides[id] = row.hides;
    this.#entries[id] = row.entries;
    this.#valueBytes[id] = row.valueBytes;
    this.#expiries[id] = row.expiry;
    this.#references[id] = row.references;
  }

  /** Newer items come first; of the older ones as many as there is room for. */
  #append(id: number, newer: PaperRow, itemsMax: number): void {
    const older = this.#entries[id]!;
    const kept = Math.max(0, Math.min(older, itemsMax - newer.entries));
    this.#valueBytes[id] = newer.valueBytes + (this.#valueBytes[id]! * kept) / older;
    this.#entries[id] = newer.entries + kept;
    this.#expiries[id] = newer.expiry;
  }

  #combine(id: number, newer: PaperRow, timestamp: number): void {
    const expiry = this.#expiries[id]!;
    if (expiry !== 0 && expiry <= timestamp) {
      this.#set(id, { ...newer, op: ops.put, folded: 0, hides: this.#hides[id]! });
      return;
    }
    const { operator } = newer;
    const keepsLarger = operator === operatorIds.chunk || operator === operatorIds.patch;
    const before = this.#valueBytes[id]!;
    this.#valueBytes[id] = keepsLarger ? Math.max(before, newer.valueBytes) : newer.valueBytes;
    this.#operators[id] = operator;
    this.#references[id]! += newer.references;
    this.#expiries[id] = newer.expiry;
    if (this.#ops[id] === ops.merge) this.#folded[id] = 1;
  }

  /** What is left in a snapshot of everything that was applied; starts again. */
  #finish(made: Pick<PaperSnapshot, 'kind' | 'timestamp' | 'rest' | 'tableClears'>): PaperSnapshot {
    const { keys, tables, keyGroups } = this.#workload;
    const isBase = made.kind === 'base';
    const totals = made.rest.map(({ entries, bytes }) => ({ entries, bytes }));
    const kept: number[] = [];
    const sizes: number[] = [];
    for (const id of Uint32Array.from(this.#touched).sort()) {
      const count = this.#settle(id, isBase, made.timestamp);
      if (count < 0) continue;
      const optional = (this.#expiries[id] === 0 ? 0 : 8) + (this.#folded[id] === 0 ? 0 : 8);
      const fixed = entryFixedBytes + optional + keys.keyBytes[id]!;
      const bytes = count === 0 ? 0 : count * fixed + this.#valueBytes[id]!;
      const sum = totals[keys.tables[id]!]!;
      const { weight } = tables[keys.tables[id]!]!;
      sum.entries += weight * count;
      sum.bytes += weight * bytes;
      kept.push(id);
      sizes.push(weight * bytes);
    }
    const tableClears = isBase ? new Set<number>() : made.tableClears;
    for (const table of tableClears) {
      totals[table]!.entries += keyGroups;
      totals[table]!.bytes += keyGroups * entryFixedBytes;
    }
    const ids = Uint32Array.from(kept);
    const column = (from: Uint8Array): Uint8Array => Uint8Array.from(ids, (id) => from[id]!);
    const wide = (from: Float64Array): Float64Array => Float64Array.from(ids, (id) => from[id]!);
    const snapshot = {
      ...made,
      ids,
      ops: column(this.#ops),
      operators: column(this.#operators),
      folded: column(this.#folded),
      hides: column(this.#hides),
      entries: wide(this.#entries),
      valueBytes: wide(this.#valueBytes),
      expiries: wide(this.#expiries),
      references: wide(this.#references),
      bytes: Float64Array.from(sizes),
      tableClears,
      totals,
    };
    for (const id of this.#touched) this.#ops[id] = this.#hides[id] = 0;
    this.#touched = [];
    return snapshot;
  }

  /** Entries that are left of a key: 0 when it only hides what is older, -1 when nothing is. */
  #settle(id: number, isBase: boolean, timestamp: number): number {
    const op = this.#ops[id]!;
    const expired = this.#expiries[id] !== 0 && this.#expiries[id]! <= timestamp;
    if (isBase) {
      const unreferenced = this.#operators[id] === operatorIds.chunk && this.#references[id]! <= 0;
      if ((op !== ops.put && op !== ops.merge) || expired || unreferenced) return -1;
      this.#ops[id] = ops.put;
      this.#folded[id] = 0;
      this.#hides[id] = 0;
      return this.#entries[id]!;
    }
    if (op === opCleared) return 0;
    if (expired && (op === ops.put || op === ops.merge)) {
      this.#set(id, { ...tombstone, hides: this.#hides[id]! });
    }
    return this.#entries[id]!;
  }
}

/** What a row, or an entry, says of a key. */
interface PaperRow {
  readonly op: number;
  readonly operator: number;
  readonly folded: number;
  readonly hides: number;
  readonly entries: number;
  readonly valueBytes: number;
  readonly expiry: number;
  readonly references: number;
}

const tombstone: PaperRow = {
  op: ops.delete,
  operator: 0,
  folded: 0,
  hides: 0,
  entries: 1,
  valueBytes: 0,
  expiry: 0,
  references: 0,
};
