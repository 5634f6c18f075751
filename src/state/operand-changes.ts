/*
 * Changes that are logged as operands: what is added to a counter, and references to chunks. The
 * memtable keeps the result; the log and the deltas keep the difference (E3). What is below is
 * judged by the timestamp of the commit (E4), so the result is settled when the commit is sealed.
 */
import { InvalidArgumentError } from '../errors.ts';
import { operatorIds, ops } from '../snapshot/entry-format.ts';
import type { Cell, MapKey, TableCells } from './cells.ts';
import { CellChange, type ValueEncoder } from './changes.ts';
import type { CommitEncoder } from './commit-encoder.ts';
import type { Table } from './table.ts';
import type { CommitMoment } from './transaction.ts';

/** A value that operands go on from, and when it expires (microseconds; 0: never). */
export interface Before {
  readonly value: number;
  readonly expiry: number;
}

/** Additions to one counter in one transaction. */
export class CounterChange extends CellChange {
  readonly #before: Before | undefined;
  /** A difference of two safe integers may itself be unsafe. */
  #added = 0n;

  constructor(
    encoder: ValueEncoder,
    table: Table<Cell>,
    key: MapKey,
    cell: Cell,
    previous: Cell | undefined,
    before: Before | undefined,
  ) {
    const place = { key, subKey: undefined, ownerNow: (): TableCells<Cell> => table.active };
    super(encoder, table, place, cell, previous);
    this.#before = before;
  }

  /** Adds to the counter; `value` is its result now, a safe integer. */
  add(amount: number, value: number, expiry: number): void {
    this.#added += BigInt(amount);
    this.cell.value = value;
    this.cell.expiry = expiry;
  }

  override encodePut(encoder: CommitEncoder, moment: CommitMoment): void {
    const { cell, key, table } = this;
    const before = this.#before;
    const alive = before && (before.expiry === 0 || before.expiry > moment.timestamp);
    const result = BigInt(alive ? before.value : 0) + this.#added;
    const { operator, state } = table.definition;
    cell.value = safeCounter(result, { operator, state, key });
    encoder.add({
      table: table.id,
      op: ops.merge,
      operator: operatorIds.add,
      expiry: cell.expiry,
      key,
      subKey: undefined,
      value: encodeInt64(this.#added),
    });
  }
}

/** A counter's value, or INVALID_VALUE when it leaves the safe integers. */
export function safeCounter(value: bigint, where: Readonly<Record<string, unknown>>): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError(
    'INVALID_VALUE',
    `counter leaves the safe integers: ${value}`,
    where,
  );
}

/**
 * A chunk as a memtable holds it: how often it is referenced, and its content where that is new; no
 * bytes where an older layer has them.
 */
export interface ChunkValue {
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** References to one chunk that one transaction took or gave up. */
export class ChunkChange extends CellChange {
  readonly #before: number;

  constructor(
    encoder: ValueEncoder,
    table: Table<Cell>,
    key: MapKey,
    cell: Cell,
    previous: Cell | undefined,
    countBefore: number,
  ) {
    const place = { key, subKey: undefined, ownerNow: (): TableCells<Cell> => table.active };
    super(encoder, table, place, cell, previous);
    this.#before = countBefore;
  }

  override encodePut(encoder: CommitEncoder, _moment: CommitMoment): void {
    const { cell, key, table } = this;
    const { count, bytes } = cell.value as ChunkValue;
    if (count === this.#before) return;
    // The content goes along when the chunk is new, so that an older copy need not exist.
    const content = this.#before <= 0 ? bytes : new Uint8Array(0);
    const value = new Uint8Array(8 + content.length);
    value.set(encodeInt64(BigInt(count - this.#before)), 0);
    value.set(content, 8);
    encoder.add({
      table: table.id,
      op: ops.merge,
      operator: operatorIds.chunk,
      expiry: 0,
      key,
      subKey: undefined,
      value,
    });
  }
}

/** Stored form of an integer: 8 bytes, little-endian, two's complement. */
export function encodeInt64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

/** Integer of its stored form. */
export function decodeInt64(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigInt64(0, true);
}
