/*
 * Patches of values in the open transaction. The kernel's own functions compute what is shown, on
 * the stored form, so that what a transaction shows is what replay and merge make of its record.
 *
 * All patches of one key in a transaction are logged as one operand. A value that the transaction
 * has set, or deleted, is patched in place: what is logged is the put.
 */
import { keyOfMapKey } from '../codec/key.ts';
import { typeOf } from '../codec/value-path.ts';
import { decodeVersioned, storedVersion, versionBytes } from '../codec/value-version.ts';
import { InvalidArgumentError } from '../errors.ts';
import { operatorIds } from '../snapshot/entry-format.ts';
import { applyPatch, composePatches, patchOfObject } from '../snapshot/patch.ts';
import { isObjectHead, PatchWriter, type BytesRange } from '../snapshot/patch-format.ts';
import { deleted, openCell, type Cell, type MapKey } from './cells.ts';
import { CellChange } from './changes.ts';
import type { CommitEncoder } from './commit-encoder.ts';
import { OperandChange, type KeyPlace } from './operand-changes.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';
import type { CommitMoment } from './transaction.ts';
import { noTimes, type WriteTimes } from './write-options.ts';

/** What a patch takes as a whole, and puts in the place of what was there. */
type Leaf =
  | readonly unknown[]
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | ArrayBuffer
  | ArrayBufferView
  | Date
  | Error
  | RegExp;

/**
 * A patch of a value: any of its fields, null for those that are deleted, patches for those that are
 * plain objects. An instance of a class is a value like any other.
 */
export type MergePatch<V> = unknown extends V
  ? Readonly<Record<string, unknown>>
  : V extends Leaf
    ? V
    : V extends object
      ? { readonly [Name in keyof V]?: MergePatch<V[Name]> | null }
      : V;

/** A patch of one key. */
interface PatchOf {
  readonly key: MapKey;
  readonly patch: unknown;
  readonly times: WriteTimes;
}

/** Patches a value in the open transaction, and returns what it is then. */
export function patchValue(space: StateSpace, table: Table<Cell>, of: PatchOf): unknown {
  const { key, times } = of;
  const patch = encodePatch(space, table, of);
  const previous = table.active.cells.get(key);
  const isOpen = previous?.lsn === 0;
  const before = isOpen ? valueOf(space, table, key, previous) : found(space, table, key);
  const open = isOpen ? openPatch(space, previous) : undefined;
  // What the transaction has patched is one operand, whatever its expiry; what it has put is not.
  const isAlive = open || before.expiry === 0 || before.expiry > space.now();
  const stored = patched(patch, isAlive ? before.bytes : undefined);
  const operand = open ? composed(open.patch, patch) : patch;
  space.checkSize(table, key, undefined, stored.length);
  space.checkSize(table, key, undefined, operand.length);
  const value = decodeVersioned(space.codec, stored, 0, stored.length);
  if (before.isOlder) {
    // A patch is for values of its own version: what it makes is logged as a whole.
    const put = { cell: openCell(value, times), previous, owner: table.active };
    space.transaction.add(new CellChange(space, table, { key, subKey: undefined }, put));
  } else if (open) {
    open.patch = operand;
    open.bytes = stored.length;
    open.show(value, times);
  } else if (isOpen) {
    Object.assign(previous, { value, ...times });
  } else {
    const place = { key, cell: openCell(value, noTimes), previous };
    const from = { patch, expiryBefore: before.expiry, bytes: stored.length };
    const change = new PatchChange(space, table, place, from);
    change.show(value, times);
    space.transaction.addOf(place.cell, change);
    table.patched = true;
  }
  return value;
}

/** The open transaction sets or deletes what it has patched: that is what is logged, as a whole. */
export function forgetPatch(space: StateSpace, cell: Cell | undefined): void {
  const open = cell && openPatch(space, cell);
  if (open) open.replaced = true;
}

/** The open transaction's patch of a cell; undefined where it has set or deleted the value since. */
function openPatch(space: StateSpace, cell: Cell): PatchChange | undefined {
  const open = space.transaction.changeOf(cell);
  return open instanceof PatchChange && !open.replaced ? open : undefined;
}

/** Patches of one key in one transaction. */
class PatchChange extends OperandChange {
  readonly #space: StateSpace;
  readonly #expiryBefore: number;
  /** All of them, composed. */
  patch: Uint8Array;
  /** Of the value that they make, as it would be stored. */
  bytes: number;
  /** The transaction has set, or deleted, the value since. */
  replaced = false;

  constructor(
    space: StateSpace,
    table: Table<Cell>,
    place: KeyPlace,
    from: { readonly patch: Uint8Array; readonly expiryBefore: number; readonly bytes: number },
  ) {
    super(space, table, place);
    this.#space = space;
    this.patch = from.patch;
    this.bytes = from.bytes;
    this.#expiryBefore = from.expiryBefore;
  }

  override encodePut(encoder: CommitEncoder, moment: CommitMoment): void {
    if (this.replaced) {
      super.encodePut(encoder, moment);
      return;
    }
    const { cell, key, table } = this;
    const space = this.#space;
    const expiry = this.#expiryBefore;
    if (expiry !== 0 && expiry <= moment.timestamp) {
      // It was alive when it was patched, perhaps; the commit is what counts.
      const stored = patched(this.patch, undefined);
      cell.value = decodeVersioned(space.codec, stored, 0, stored.length);
    }
    if (space.checks) {
      cell.crc = space.crcOf(space.encodeValue(table, key, undefined, cell.value));
    }
    // The memtable holds the value, of which the record has only the patch.
    if (this.isFirst) encoder.holds(this.bytes);
    this.addOperand(encoder, moment, operatorIds.patch, this.patch);
  }
}

/** Bytes of a value that is patched. */
interface StoredValue {
  readonly bytes: BytesRange | undefined;
  /** Microseconds; 0 for none. */
  readonly expiry: number;
  /** It is stored in the form of an older version. */
  readonly isOlder?: boolean;
}

function valueOf(space: StateSpace, table: Table<Cell>, key: MapKey, cell: Cell): StoredValue {
  if (cell.value === deleted) return { bytes: undefined, expiry: 0 };
  const encode = (): Uint8Array => space.encodeValue(table, key, undefined, cell.value);
  return { bytes: whole(space.whileCalling(encode)), expiry: cell.expiry };
}

function found(space: StateSpace, table: Table<Cell>, key: MapKey): StoredValue {
  const cell = table.find(key);
  if (cell) return valueOf(space, table, key, cell);
  const entry = table.hidesImages ? undefined : space.images.find(table.id, key, undefined, 0);
  if (!entry) return { bytes: undefined, expiry: 0 };
  const { bytes, subKeyEnd: start, valueEnd: end, expiry } = entry;
  if (storedVersion(bytes, start, end) === table.versioning.version) {
    return { bytes: { bytes, start, end }, expiry };
  }
  const value = space.decode(table, entry);
  const encode = (): Uint8Array => space.encodeValue(table, key, undefined, value);
  return { bytes: whole(space.whileCalling(encode)), expiry, isOlder: true };
}

function encodePatch(space: StateSpace, table: Table<Cell>, { key, patch }: PatchOf): Uint8Array {
  const encode = (): Uint8Array => space.encodeValue(table, key, undefined, patch);
  const encoded = space.whileCalling(encode);
  const at = versionBytes(encoded, 0, encoded.length);
  if (isObjectHead(encoded[at]!)) return patchOfObject(encoded);
  const { operator, state } = table.definition;
  throw new InvalidArgumentError(
    'INVALID_VALUE',
    `a patch of ${operator}.${state} must be a plain object: this is ${typeOf(patch)}; ` +
      'set replaces the value',
    { operator, state, key: keyOfMapKey(key), type: typeOf(patch) },
  );
}

function patched(patch: Uint8Array, value: BytesRange | undefined): Uint8Array {
  return written(patch.length, (out) => applyPatch(whole(patch), value, out));
}

function composed(older: Uint8Array, newer: Uint8Array): Uint8Array {
  const capacity = older.length + newer.length;
  return written(capacity, (out) => composePatches(whole(older), whole(newer), out));
}

function written(capacity: number, write: (out: PatchWriter) => void): Uint8Array {
  const out = new PatchWriter(capacity + 64);
  write(out);
  return out.bytes.subarray(0, out.length);
}

function whole(bytes: Uint8Array): BytesRange {
  return { bytes, start: 0, end: bytes.length };
}
