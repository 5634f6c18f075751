/*
 * Changes that are logged as operands: what is added to a counter, what a least or greatest value is
 * compared with, and references to chunks. The memtable keeps the result; the log and the deltas
 * keep the operand (E3). What is below is judged by the timestamp of the commit (E4), so the result
 * is settled when the commit is sealed. Patches are in patch-change.ts.
 */
import { typeOf } from '../codec/value-path.ts';
import { CorruptionError, InvalidArgumentError } from '../errors.ts';
import { operatorIds, ops, type OperatorId } from '../snapshot/entry-format.ts';
import { writeU32 } from '../std/bytes.ts';
import type { BlobCounter } from './blob-totals.ts';
import type { Cell, MapKey } from './cells.ts';
import { CellChange, type ValueEncoder } from './changes.ts';
import type { CommitEncoder } from './commit-encoder.ts';
import { isAlive, type Before } from './operand-base.ts';
import type { Table } from './table.ts';
import type { CommitMoment } from './transaction.ts';
import type { WriteTimes } from './write-options.ts';

const INT64_BYTES = 8;

/** Where a change of one key stands: in the active memtable, over what was there. */
export interface KeyPlace {
  readonly key: MapKey;
  readonly cell: Cell;
  readonly previous: Cell | undefined;
}

/** A change of one key that is logged as one operand, whatever was written in the transaction. */
export abstract class OperandChange extends CellChange {
  constructor(encoder: ValueEncoder, table: Table<Cell>, { key, cell, previous }: KeyPlace) {
    super(encoder, table, { key, subKey: undefined }, { cell, previous, owner: table.active });
  }

  /** Logs an operand, with the times of the cell. */
  addOperand(
    encoder: CommitEncoder,
    moment: CommitMoment,
    operator: OperatorId,
    value: Uint8Array,
  ): void {
    const { cell, key, table } = this;
    encoder.add({
      table: table.id,
      op: ops.merge,
      operator,
      expiry: cell.expiry,
      eventTime: cell.eventTime || moment.eventTime,
      key,
      subKey: undefined,
      value,
    });
  }

  /** Gives the cell its result in the open transaction. */
  show(value: unknown, { expiry, eventTime }: WriteTimes): void {
    this.cell.value = value;
    this.cell.expiry = expiry;
    this.cell.eventTime = eventTime;
  }
}

/** Additions to one counter in one transaction. */
export class CounterChange extends OperandChange {
  readonly #before: Before<number> | undefined;
  #added = 0;
  /** In the place of `#added` once that is unsafe: a difference of two safe integers may be. */
  #wide: bigint | undefined;

  constructor(
    encoder: ValueEncoder,
    table: Table<Cell>,
    place: KeyPlace,
    before: Before<number> | undefined,
  ) {
    super(encoder, table, place);
    this.#before = before;
  }

  /** Adds to the counter; `value` is its result now, a safe integer. */
  add(amount: number, value: number, times: WriteTimes): void {
    const added = this.#added + amount;
    if (this.#wide === undefined && Number.isSafeInteger(added)) this.#added = added;
    else this.#wide = (this.#wide ?? BigInt(this.#added)) + BigInt(amount);
    this.show(value, times);
  }

  override encodePut(encoder: CommitEncoder, moment: CommitMoment): void {
    const { cell, key, table } = this;
    const before = this.#before;
    const start = isAlive(before, moment.timestamp) ? before.value : 0;
    const wide = this.#wide;
    if (wide === undefined) {
      cell.value = safeSum(start, this.#added, table, key);
      this.addOperand(encoder, moment, operatorIds.add, int64Of(this.#added));
    } else {
      cell.value = safeCounter(BigInt(start) + wide, table, key);
      this.addOperand(encoder, moment, operatorIds.add, encodeInt64(wide));
    }
  }
}

/** The sum of two safe integers, or INVALID_VALUE when it is none. */
export function safeSum(a: number, b: number, table: Table<unknown>, key: unknown): number {
  const sum = a + b;
  return Number.isSafeInteger(sum) ? sum : safeCounter(BigInt(a) + BigInt(b), table, key);
}

/** A counter's value, or INVALID_VALUE when it leaves the safe integers. */
function safeCounter(value: bigint, table: Table<unknown>, key: unknown): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  const { operator, state } = table.definition;
  throw new InvalidArgumentError(
    'INVALID_VALUE',
    `counter ${operator}.${state} leaves the safe integers: ${value}`,
    { operator, state, key },
  );
}

/** Refuses what a state of numbers does not take, with its type and the state. */
export function refuseNumber(
  table: Table<unknown>,
  key: unknown,
  takes: string,
  given: unknown,
): InvalidArgumentError {
  const { operator, state, kind } = table.definition;
  const type = typeOf(given);
  const isNumber = type === 'number' || type === 'bigint';
  return new InvalidArgumentError(
    'INVALID_VALUE',
    `${kind} ${operator}.${state} takes ${takes}: this is a ${type}${isNumber ? `, ${String(given)}` : ''}`,
    { operator, state, key, type },
  );
}

/** What a least or greatest value was compared with in one transaction. */
export class ExtremumChange extends OperandChange {
  readonly #before: Before<number | bigint> | undefined;
  readonly #operator: OperatorId;
  #operand: number | bigint | undefined;

  constructor(
    encoder: ValueEncoder,
    table: Table<Cell>,
    place: KeyPlace,
    before: Before<number | bigint> | undefined,
  ) {
    super(encoder, table, place);
    this.#before = before;
    this.#operator = table.definition.kind === 'min' ? operatorIds.min : operatorIds.max;
  }

  /** Compares with a number; `value` is the result now. */
  update(operand: number | bigint, value: number | bigint, times: WriteTimes): void {
    this.#operand = extremum(this.#operator, this.#operand, operand);
    this.show(value, times);
  }

  override encodePut(encoder: CommitEncoder, moment: CommitMoment): void {
    const { cell, key, table } = this;
    const before = this.#before;
    const older = isAlive(before, moment.timestamp) ? before.value : undefined;
    cell.value = extremum(this.#operator, older, this.#operand!);
    const operand = this.encoder.encodeValue(table, key, undefined, this.#operand);
    this.addOperand(encoder, moment, this.#operator, operand);
  }
}

/** What is left of an older and a newer number, as the kernel decides: of equal ones the older. */
export function extremum(
  operator: OperatorId,
  older: number | bigint | undefined,
  newer: number | bigint,
): number | bigint {
  if (older === undefined) return newer;
  return (operator === operatorIds.min ? newer < older : newer > older) ? newer : older;
}

/**
 * A chunk as a memtable holds it: how often it is referenced, and its content where that is new; no
 * bytes where an older layer has them.
 */
export interface ChunkValue {
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Of the content, whether it is here or not. */
  readonly contentBytes: number;
}

/** References to one chunk that one transaction took or gave up. */
export class ChunkChange extends OperandChange {
  readonly #before: number;
  readonly #counter: BlobCounter;

  constructor(
    space: ValueEncoder & { readonly blobs: BlobCounter },
    table: Table<Cell>,
    place: KeyPlace,
    countBefore: number,
  ) {
    super(space, table, place);
    this.#counter = space.blobs;
    this.#before = countBefore;
  }

  override committed(moment: CommitMoment): void {
    super.committed(moment);
    const { count, contentBytes } = this.cell.value as ChunkValue;
    this.#counter.changed(this.#before, count, contentBytes);
  }

  override encodePut(encoder: CommitEncoder, moment: CommitMoment): void {
    const { count, bytes } = this.cell.value as ChunkValue;
    if (count === this.#before) return;
    // The content goes along when the chunk is new, so that an older copy need not exist.
    const content = this.#before <= 0 ? bytes : new Uint8Array(0);
    const value = new Uint8Array(8 + content.length);
    value.set(encodeInt64(BigInt(count - this.#before)), 0);
    value.set(content, 8);
    this.addOperand(encoder, moment, operatorIds.chunk, value);
  }
}

const int64 = new Uint8Array(8);

/** Stored form of a safe integer. Borrowed. */
function int64Of(value: number): Uint8Array {
  writeU32(int64, 0, value >>> 0);
  writeU32(int64, 4, Math.floor(value / 0x1_0000_0000));
  return int64;
}

/** Stored form of an integer: 8 bytes, little-endian, two's complement. */
export function encodeInt64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

/**
 * Integer of its stored form, with which a value that ends at `end` begins.
 * @throws CorruptionError CORRUPT_SNAPSHOT when it is cut short
 */
export function decodeInt64(bytes: Uint8Array, at: number, end: number): bigint {
  if (end - at < INT64_BYTES || end > bytes.length) {
    const details = { expected: INT64_BYTES, actual: end - at };
    throw new CorruptionError('CORRUPT_SNAPSHOT', 'a stored count is cut short', details);
  }
  return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigInt64(0, true);
}
