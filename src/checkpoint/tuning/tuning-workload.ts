/*
 * A workload in columns, as the paper replay walks it again and again: from a recording, or from a
 * log that is read. Keys that were let go on the way are left out, so that each table is a sample of
 * one share from its first commit to its last; a clear is spread over the keys that it took.
 */
import { clearSubHash, sampleBound, sampleOrder } from './workload.ts';
import type { WorkloadCommit, WorkloadStart } from './workload.ts';

/** In place of an op: a clear took the key, which leaves no entry and hides what is older. */
export const opCleared = 6;

/** How a table takes part. */
export interface PaperTable {
  readonly table: number;
  /** Keys that each followed one stands for. */
  readonly weight: number;
  readonly itemsMax: number | undefined;
  /** What was there before the first commit and is not followed. */
  readonly restEntries: number;
  readonly restBytes: number;
}

/** Keys that are followed, by number. */
export interface PaperKeys {
  /** Index into the tables. */
  readonly tables: Uint32Array;
  readonly keyBytes: Float64Array;
  /** 0: the key was not there. */
  readonly entriesBefore: Float64Array;
  readonly valueBytesBefore: Float64Array;
}

/** Changes of followed keys, in the order of the log. */
export interface PaperRows {
  readonly ids: Uint32Array;
  readonly ops: Uint8Array;
  readonly operators: Uint8Array;
  readonly entries: Float64Array;
  readonly valueBytes: Float64Array;
  readonly expiries: Float64Array;
  readonly references: Float64Array;
}

/** Commits by index. */
export interface PaperCommits {
  readonly timestamps: Float64Array;
  readonly entryCounts: Float64Array;
  readonly recordBytes: Float64Array;
  /** Index behind the rows of the commit. */
  readonly rowEnds: Uint32Array;
  /** Tables (indexes) that a commit cleared, by commit. */
  readonly tableClears: ReadonlyMap<number, readonly number[]>;
}

export interface PaperWorkload {
  readonly keyGroups: number;
  readonly fromLsn: number;
  readonly tables: readonly PaperTable[];
  readonly keys: PaperKeys;
  readonly rows: PaperRows;
  readonly commits: PaperCommits;
  /** Bytes in the log for each byte of a record, headers and padding included. */
  readonly logBytesPerRecordByte: number;
}

interface OpenKey {
  readonly table: number;
  readonly order: number;
  readonly keyBytes: number;
  readonly entriesBefore: number;
  readonly valueBytesBefore: number;
}

/** Collects commits that follow each other. */
export class WorkloadBuilder {
  readonly #start: WorkloadStart;
  readonly #tableIndexes = new Map<number, number>();
  readonly #tables: { table: number; exponent: number; itemsMax: number | undefined }[] = [];
  readonly #keys: OpenKey[] = [];
  /** Numbers of the recording, which start again with each of its parts. */
  #numbers: number[] = [];
  readonly #byName = new Map<string, number>();
  readonly #byKey = new Map<string, number[]>();
  readonly #rows: number[][] = Array.from({ length: 7 }, () => []);
  readonly #commits: number[][] = Array.from({ length: 4 }, () => []);
  readonly #tableClears = new Map<number, number[]>();
  #nextLsn: number;
  #recordBytes = 0;
  #logBytes = 0;
  #knownRecordBytes = 0;
  #knownLogBytes = 0;

  constructor(start: WorkloadStart) {
    this.#start = start;
    this.#nextLsn = start.lsn + 1;
    for (const { table, itemsMax } of start.tables) this.#table(table, itemsMax);
  }

  /** LSN that would come next. */
  get nextLsn(): number {
    return this.#nextLsn;
  }

  get commitCount(): number {
    return this.#commits[0]!.length;
  }

  /** The recording goes on after an opening: followed keys are numbered again. */
  restart(): void {
    this.#numbers = [];
    this.#logBytes += this.#knownLogBytes;
    this.#knownLogBytes = 0;
  }

  /** Bytes of log since the last start, as known behind the commits so far. */
  logged(bytes: number): void {
    this.#knownLogBytes = bytes;
    this.#knownRecordBytes = this.#recordBytes;
  }

  /** Each byte of a record takes so many bytes of log. */
  takesLog(bytesPerRecordByte: number): void {
    this.#knownLogBytes = bytesPerRecordByte;
    this.#knownRecordBytes = 1;
  }

  add(commit: WorkloadCommit): void {
    for (const { table, exponent, itemsMax } of commit.tables) {
      const open = this.#tables[this.#table(table, itemsMax)]!;
      open.exponent = Math.max(open.exponent, exponent);
    }
    for (const { table, keyHash } of commit.clears) this.#clear(table, keyHash);
    for (const key of commit.followed) {
      const name = `${key.table} ${key.keyHash} ${key.subHash}`;
      const known = this.#byName.get(name);
      this.#numbers.push(known ?? this.#keys.length);
      if (known !== undefined) continue;
      this.#byName.set(name, this.#keys.length);
      const family = `${key.table} ${key.keyHash}`;
      const others = this.#byKey.get(family);
      if (key.subHash === clearSubHash) {
        // The clear itself is not among what it takes.
      } else if (others) others.push(this.#keys.length);
      else this.#byKey.set(family, [this.#keys.length]);
      this.#keys.push({
        table: this.#table(key.table, undefined),
        order: sampleOrder(key.keyHash, key.subHash),
        keyBytes: key.keyBytes,
        entriesBefore: key.before?.entries ?? 0,
        valueBytesBefore: key.before?.valueBytes ?? 0,
      });
    }
    for (const row of commit.rows) {
      const { op, operator, entries, valueBytes, expiry, references } = row;
      this.#push(this.#numbers[row.id]!, op, operator, entries, valueBytes, expiry, references);
    }
    const [timestamps, entryCounts, recordBytes, rowEnds] = this.#commits;
    timestamps!.push(commit.timestamp);
    entryCounts!.push(commit.entryCount);
    recordBytes!.push(commit.recordBytes);
    rowEnds!.push(this.#rows[0]!.length);
    this.#recordBytes += commit.recordBytes;
    this.#nextLsn = commit.lsn + 1;
  }

  finish(): PaperWorkload {
    const bounds = this.#tables.map(({ exponent }) => sampleBound(exponent));
    const numbers = new Int32Array(this.#keys.length).fill(-1);
    const kept = this.#keys.filter((key, i) => {
      if (key.order >= bounds[key.table]!) return false;
      numbers[i] = 0;
      return true;
    });
    let next = 0;
    for (let i = 0; i < numbers.length; i++) if (numbers[i] === 0) numbers[i] = next++;
    const { rows, rowEnds } = this.#keptRows(numbers);
    const keys: PaperKeys = {
      tables: Uint32Array.from(kept, ({ table }) => table),
      keyBytes: Float64Array.from(kept, ({ keyBytes }) => keyBytes),
      entriesBefore: Float64Array.from(kept, ({ entriesBefore }) => entriesBefore),
      valueBytesBefore: Float64Array.from(kept, ({ valueBytesBefore }) => valueBytesBefore),
    };
    const [timestamps, entryCounts, recordBytes] = this.#commits;
    const logBytes = this.#logBytes + this.#knownLogBytes;
    return {
      keyGroups: this.#start.keyGroups,
      fromLsn: this.#start.lsn,
      tables: this.#paperTables(keys),
      keys,
      rows,
      commits: {
        timestamps: Float64Array.from(timestamps!),
        entryCounts: Float64Array.from(entryCounts!),
        recordBytes: Float64Array.from(recordBytes!),
        rowEnds,
        tableClears: this.#tableClears,
      },
      logBytesPerRecordByte: logBytes === 0 ? 1 : logBytes / this.#knownRecordBytes,
    };
  }

  #table(table: number, itemsMax: number | undefined): number {
    const known = this.#tableIndexes.get(table);
    if (known !== undefined) return known;
    this.#tableIndexes.set(table, this.#tables.length);
    return this.#tables.push({ table, exponent: 0, itemsMax }) - 1;
  }

  #clear(table: number, keyHash: number | undefined): void {
    const index = this.#table(table, undefined);
    if (keyHash !== undefined) {
      for (const id of this.#byKey.get(`${table} ${keyHash}`) ?? []) this.#pushClear(id);
      return;
    }
    for (const [id, key] of this.#keys.entries()) if (key.table === index) this.#pushClear(id);
    const commit = this.commitCount;
    this.#tableClears.set(commit, [...(this.#tableClears.get(commit) ?? []), index]);
  }

  #pushClear(id: number): void {
    this.#push(id, opCleared, 0, 0, 0, 0, 0);
  }

  #push(...row: readonly [number, number, number, number, number, number, number]): void {
    for (let i = 0; i < row.length; i++) this.#rows[i]!.push(row[i]!);
  }

  /** Rows of keys that were followed to the end. */
  #keptRows(numbers: Int32Array): { rows: PaperRows; rowEnds: Uint32Array } {
    const [ids, ops, operators, entries, valueBytes, expiries, references] = this.#rows;
    const indexes: number[] = [];
    const rowEnds = new Uint32Array(this.commitCount);
    let at = 0;
    for (const [commit, end] of this.#commits[3]!.entries()) {
      for (; at < end; at++) if (numbers[ids![at]!]! >= 0) indexes.push(at);
      rowEnds[commit] = indexes.length;
    }
    const rows = {
      ids: Uint32Array.from(indexes, (i) => numbers[ids![i]!]!),
      ops: Uint8Array.from(indexes, (i) => ops![i]!),
      operators: Uint8Array.from(indexes, (i) => operators![i]!),
      entries: Float64Array.from(indexes, (i) => entries![i]!),
      valueBytes: Float64Array.from(indexes, (i) => valueBytes![i]!),
      expiries: Float64Array.from(indexes, (i) => expiries![i]!),
      references: Float64Array.from(indexes, (i) => references![i]!),
    };
    return { rows, rowEnds };
  }

  #paperTables(keys: PaperKeys): PaperTable[] {
    const before = new Map(this.#start.tables.map((table) => [table.table, table]));
    const followed = this.#tables.map(() => ({ entries: 0, bytes: 0 }));
    for (let id = 0; id < keys.tables.length; id++) {
      const sum = followed[keys.tables[id]!]!;
      const entries = keys.entriesBefore[id]!;
      sum.entries += entries;
      sum.bytes += entries * (entryFixedBytes + keys.keyBytes[id]!) + keys.valueBytesBefore[id]!;
    }
    return this.#tables.map(({ table, exponent, itemsMax }, i) => {
      const weight = 2 ** exponent;
      const known = before.get(table) ?? { entries: 0, dataBytes: 0 };
      return {
        table,
        weight,
        itemsMax,
        restEntries: Math.max(0, known.entries - weight * followed[i]!.entries),
        restBytes: Math.max(0, known.dataBytes - weight * followed[i]!.bytes),
      };
    });
  }
}

/** Bytes of an entry in a snapshot beside expiry, key, sub-key and value. */
export const entryFixedBytes = 32;
