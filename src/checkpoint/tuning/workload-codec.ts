/*
 * Commits of a recording as bytes and back (workload-format.ts). Writer and reader keep the same
 * picture of what was last said of each followed key.
 */
import type {
  FollowedKey,
  SampledTable,
  WorkloadClear,
  WorkloadCommit,
  WorkloadRow,
} from './workload.ts';
import { NumberWriter, type NumberReader } from './workload-numbers.ts';

const flags = { operator: 1, expiry: 2, entries: 4, references: 8 } as const;

/** Encodes commits into the body of a block. */
export class WorkloadEncoder {
  readonly #out = new NumberWriter();
  readonly #last: WorkloadRow[] = [];
  #timestamp = 0;

  get length(): number {
    return this.#out.length;
  }

  /** Starts a body, whose timestamps count from here. */
  begin(timestamp: number): void {
    this.#timestamp = timestamp;
  }

  add(commit: WorkloadCommit): void {
    const out = this.#out;
    out.number(commit.timestamp - this.#timestamp);
    this.#timestamp = commit.timestamp;
    out.number(commit.entryCount);
    out.number(commit.recordBytes);
    out.number(commit.tables.length);
    for (const { table, exponent, itemsMax } of commit.tables) {
      out.number(table);
      out.number(exponent);
      out.number(itemsMax === undefined ? 0 : itemsMax + 1);
    }
    out.number(commit.clears.length);
    for (const { table, keyHash } of commit.clears) {
      out.number(table);
      out.number(keyHash === undefined ? 0 : 1);
      if (keyHash !== undefined) out.u32(keyHash);
    }
    out.number(commit.followed.length);
    for (const key of commit.followed) this.#addFollowed(key);
    out.number(commit.rows.length);
    let id = 0;
    for (const row of commit.rows) {
      this.#addRow(row, id, commit.timestamp);
      id = row.id;
    }
  }

  /** The body so far; the next begins empty. */
  take(): Uint8Array {
    return this.#out.take();
  }

  #addFollowed(key: FollowedKey): void {
    const out = this.#out;
    out.number(key.table);
    out.u32(key.keyHash);
    out.u32(key.subHash);
    out.number(key.keyBytes);
    out.number(key.before?.entries ?? 0);
    if (key.before && key.before.entries > 0) out.number(key.before.valueBytes);
  }

  #addRow(row: WorkloadRow, lastId: number, timestamp: number): void {
    const out = this.#out;
    const last = this.#last[row.id];
    this.#last[row.id] = row;
    const gap = 2 * (row.id - lastId);
    if (last && sameRow(last, row)) {
      out.number(gap + 1);
      return;
    }
    out.number(gap);
    const { op, operator, valueBytes, expiry, entries, references } = row;
    const named =
      (operator === 0 ? 0 : flags.operator) |
      (expiry === 0 ? 0 : flags.expiry) |
      (entries === 1 ? 0 : flags.entries) |
      (references === 0 ? 0 : flags.references);
    out.number(op + 8 * named);
    out.number(valueBytes);
    if (operator !== 0) out.number(operator);
    if (expiry !== 0) out.signed(expiry - timestamp);
    if (entries !== 1) out.number(entries);
    if (references !== 0) out.signed(references);
  }
}

function sameRow(a: WorkloadRow, b: WorkloadRow): boolean {
  return (
    a.op === b.op &&
    a.operator === b.operator &&
    a.valueBytes === b.valueBytes &&
    a.entries === b.entries &&
    a.references === b.references &&
    // An expiry moves with the time of the commit.
    a.expiry === 0 &&
    b.expiry === 0
  );
}

/** Decodes the bodies of a recording in their order. */
export class WorkloadDecoder {
  #last: WorkloadRow[] = [];
  #followed = 0;

  /** A recording begins, or goes on after an opening. */
  restart(): void {
    this.#last = [];
    this.#followed = 0;
  }

  /** The commits of a body; `fail` is for what cannot be. */
  *commits(
    reader: NumberReader,
    { firstLsn, timestamp }: { readonly firstLsn: number; readonly timestamp: number },
    fail: (at: number) => Error,
  ): Generator<WorkloadCommit> {
    let at = timestamp;
    for (let lsn = firstLsn; !reader.done; lsn++) {
      at += reader.number();
      if (!Number.isSafeInteger(at)) throw fail(reader.at);
      const entryCount = reader.number();
      const recordBytes = reader.number();
      const tables = list(reader, () => decodeTable(reader));
      const clears = list(reader, (): WorkloadClear => {
        const table = reader.number();
        return { table, keyHash: reader.bounded(1) === 0 ? undefined : reader.u32() };
      });
      const followed = list(reader, () => decodeFollowed(reader));
      this.#followed += followed.length;
      let id = 0;
      const rows = list(reader, () => {
        const row = this.#row(reader, { id, timestamp: at }, fail);
        id = row.id;
        return row;
      });
      yield { lsn, timestamp: at, entryCount, recordBytes, tables, clears, followed, rows };
    }
  }

  #row(
    reader: NumberReader,
    from: { readonly id: number; readonly timestamp: number },
    fail: (at: number) => Error,
  ): WorkloadRow {
    const head = reader.number();
    const id = from.id + Math.floor(head / 2);
    if (id >= this.#followed) throw fail(reader.at);
    if (head % 2 === 1) {
      const last = this.#last[id];
      if (!last) throw fail(reader.at);
      return last;
    }
    const kind = reader.bounded(127);
    const named = kind >> 3;
    const op = kind & 7;
    if (op < 1 || op > 4) throw fail(reader.at);
    const row = {
      id,
      op,
      valueBytes: reader.number(),
      operator: (named & flags.operator) === 0 ? 0 : reader.bounded(255),
      expiry: (named & flags.expiry) === 0 ? 0 : from.timestamp + reader.signed(),
      entries: (named & flags.entries) === 0 ? 1 : reader.number(),
      references: (named & flags.references) === 0 ? 0 : reader.signed(),
    };
    if (!Number.isSafeInteger(row.expiry) || row.expiry < 0) throw fail(reader.at);
    this.#last[id] = row;
    return row;
  }
}

function decodeTable(reader: NumberReader): SampledTable {
  const table = reader.number();
  const exponent = reader.bounded(31);
  const itemsMax = reader.number();
  return { table, exponent, itemsMax: itemsMax === 0 ? undefined : itemsMax - 1 };
}

function decodeFollowed(reader: NumberReader): FollowedKey {
  const table = reader.number();
  const keyHash = reader.u32();
  const subHash = reader.u32();
  const keyBytes = reader.number();
  const entries = reader.number();
  const before = entries === 0 ? undefined : { entries, valueBytes: reader.number() };
  return { table, keyHash, subHash, keyBytes, before };
}

/** A length and so many items; no list is longer than the bytes that are left. */
function list<T>(reader: NumberReader, read: () => T): T[] {
  const items: T[] = [];
  for (let left = reader.number(); left > 0; left--) items.push(read());
  return items;
}
