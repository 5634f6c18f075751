/*
 * The kinds of change of the open transaction. Each one knows where in the active memtable it
 * stands (`owner`), what stood there before, and how it is logged. An owner that a later clear of
 * the same transaction replaced logs nothing: the clear covers it.
 */
import { operatorIds, ops } from '../snapshot/entry-format.ts';
import { writeU32BigEndian } from '../std/bytes.ts';
import {
  deleted,
  emptyListCell,
  emptyMapCell,
  type Cell,
  type ListCell,
  type ListItem,
  type MapCell,
  type MapKey,
  type TableCells,
} from './cells.ts';
import type { CommitEncoder } from './commit-encoder.ts';
import type { Table } from './table.ts';
import type { Change, CommitMoment } from './transaction.ts';

/** What encodes the value of a change; throws INVALID_VALUE naming operator, state, key and path. */
export interface ValueEncoder {
  encodeValue(
    table: Table<unknown>,
    key: MapKey,
    subKey: MapKey | undefined,
    value: unknown,
  ): Uint8Array;
  /** Writes the value of the entry that is open; gives its CRC when checks are on, else 0. */
  writeValue(
    encoder: CommitEncoder,
    table: Table<unknown>,
    key: MapKey,
    subKey: MapKey | undefined,
    value: unknown,
  ): number;
}

/** Where cells of a change stand. */
export interface CellOwner {
  readonly cells: {
    get(key: MapKey): Cell | undefined;
    set(key: MapKey, cell: Cell): void;
    delete(key: MapKey): boolean;
  };
  readonly replaced: boolean;
}

/** The key that a cell is of; with a sub-key, in a map. */
export interface CellKey {
  readonly key: MapKey;
  readonly subKey: MapKey | undefined;
}

/** Where a cell stands in the active memtable, whichever that is by now. */
export function cellOwner(table: Table<unknown>, { key, subKey }: CellKey): CellOwner {
  return subKey === undefined
    ? (table as Table<Cell>).active
    : mapCellNow(table as Table<MapCell>, key);
}

/** A put or delete of a key, or of a sub-key of a map. */
export class CellChange implements Change {
  readonly encoder: ValueEncoder;
  readonly table: Table<unknown>;
  readonly key: MapKey;
  readonly subKey: MapKey | undefined;
  readonly cell: Cell;
  #owner: CellOwner;
  #previous: Cell | undefined;

  constructor(
    encoder: ValueEncoder,
    table: Table<unknown>,
    at: CellKey,
    put: { readonly cell: Cell; readonly previous: Cell | undefined; readonly owner: CellOwner },
  ) {
    this.encoder = encoder;
    this.table = table;
    this.key = at.key;
    this.subKey = at.subKey;
    this.#owner = put.owner;
    this.cell = put.cell;
    this.#previous = put.previous;
    this.#put();
  }

  encode(encoder: CommitEncoder, moment: CommitMoment): void {
    if (this.#owner.replaced) return;
    const { cell, key, subKey, table } = this;
    if (cell.value === deleted) {
      const { none } = operatorIds;
      const op = ops.delete;
      const eventTime = cell.eventTime || moment.eventTime;
      encoder.open(table.id, op, none, 0, eventTime, key, subKey);
      encoder.close();
      return;
    }
    this.encodePut(encoder, moment);
  }

  encodePut(encoder: CommitEncoder, moment: CommitMoment): void {
    const { cell, key, subKey, table } = this;
    const eventTime = cell.eventTime || moment.eventTime;
    encoder.open(table.id, ops.put, operatorIds.none, cell.expiry, eventTime, key, subKey);
    cell.crc = this.encoder.writeValue(encoder, table, key, subKey, cell.value);
    encoder.close();
  }

  /** The active memtable held nothing of this key before. */
  get isFirst(): boolean {
    return this.#previous === undefined;
  }

  committed(moment: CommitMoment): void {
    this.cell.lsn = moment.lsn;
    this.cell.timestamp = moment.timestamp;
    if (this.cell.eventTime === 0) this.cell.eventTime = moment.eventTime;
  }

  undo(): void {
    const at = this.subKey ?? this.key;
    if (this.#previous) this.#owner.cells.set(at, this.#previous);
    else this.#owner.cells.delete(at);
  }

  redo(): void {
    this.#owner = cellOwner(this.table, this);
    this.#previous = this.#owner.cells.get(this.subKey ?? this.key);
    this.#put();
  }

  #put(): void {
    this.#owner.cells.set(this.subKey ?? this.key, this.cell);
  }
}

/** The cell of a key of a map in the active memtable, made if it is not there. */
export function mapCellNow(table: Table<MapCell>, key: MapKey): MapCell {
  const { cells } = table.active;
  let found = cells.get(key);
  if (!found) {
    found = emptyMapCell(false);
    cells.set(key, found);
  }
  return found;
}

/** The cell of a key of a list in the active memtable, made if it is not there. */
export function listCellNow(table: Table<ListCell>, key: MapKey): ListCell {
  const { cells } = table.active;
  let found = cells.get(key);
  if (!found) {
    found = emptyListCell(false);
    cells.set(key, found);
  }
  return found;
}

/** Items appended to one key of a list; one change a key and transaction. */
export class AppendChange implements Change {
  readonly #encoder: ValueEncoder;
  readonly #table: Table<ListCell>;
  readonly #key: MapKey;
  #owner: ListCell;
  #pending: ListItem[];

  constructor(encoder: ValueEncoder, table: Table<ListCell>, key: MapKey) {
    this.#encoder = encoder;
    this.#table = table;
    this.#key = key;
    this.#owner = listCellNow(table, key);
    this.#pending = this.#owner.pending;
  }

  encode(encoder: CommitEncoder, moment: CommitMoment): void {
    if (this.#owner.replaced) return;
    const table = this.#table;
    const key = this.#key;
    this.#pending.forEach((item, ordinal) => {
      const subKey = listSubKey(moment.lsn, ordinal);
      const eventTime = item.eventTime || moment.eventTime;
      encoder.open(table.id, ops.put, operatorIds.none, item.expiry, eventTime, key, subKey);
      item.crc = this.#encoder.writeValue(encoder, table, key, undefined, item.value);
      encoder.close();
    });
  }

  committed(moment: CommitMoment): void {
    const owner = this.#owner;
    this.#pending.forEach((item, ordinal) => {
      item.lsn = moment.lsn;
      item.timestamp = moment.timestamp;
      item.ordinal = ordinal;
      owner.items.push(item);
    });
    owner.pending = [];
    trimItems(owner, this.#table.definition.itemsMax);
  }

  undo(): void {
    this.#owner.pending = [];
  }

  redo(): void {
    this.#owner = listCellNow(this.#table, this.#key);
    this.#owner.pending = this.#pending;
  }
}

/**
 * Drops items that so many newer ones outlive; only when the list is twice as long as it may be, so
 * that an append stays cheap.
 */
function trimItems(owner: ListCell, itemsMax: number | undefined): void {
  if (itemsMax === undefined || owner.items.length < 2 * itemsMax) return;
  const { items } = owner;
  if (items.some((item) => item.expiry !== 0)) return;
  owner.items = items.slice(-itemsMax);
}

const listKey = new Uint8Array(12);

/** Sub-key of a list item: LSN, then ordinal, so that items sort as they were appended. Borrowed. */
export function listSubKey(lsn: number, ordinal: number): Uint8Array {
  writeU32BigEndian(listKey, 0, Math.floor(lsn / 0x1_0000_0000));
  writeU32BigEndian(listKey, 4, lsn >>> 0);
  writeU32BigEndian(listKey, 8, ordinal);
  return listKey;
}

/** All sub-keys of a map's key, or all items of a list's key, cleared. */
export class ClearKeyChange<C extends MapCell | ListCell> implements Change {
  readonly #table: Table<C>;
  readonly #key: MapKey;
  readonly #cell: C;
  #owner: TableCells<C>;
  #previous: C | undefined;

  constructor(table: Table<C>, key: MapKey, cell: C) {
    this.#table = table;
    this.#key = key;
    this.#cell = cell;
    this.#owner = table.active;
    this.#put();
  }

  encode(encoder: CommitEncoder, { eventTime }: CommitMoment): void {
    if (this.#owner.replaced || this.#cell.replaced) return;
    encoder.open(
      this.#table.id,
      ops.clearKey,
      operatorIds.none,
      0,
      eventTime,
      this.#key,
      undefined,
    );
    encoder.close();
  }

  committed(): void {}

  undo(): void {
    if (this.#previous) {
      this.#previous.replaced = false;
      this.#owner.cells.set(this.#key, this.#previous);
    } else {
      this.#owner.cells.delete(this.#key);
    }
  }

  redo(): void {
    this.#owner = this.#table.active;
    this.#put();
  }

  #put(): void {
    this.#previous = this.#owner.cells.get(this.#key);
    if (this.#previous) this.#previous.replaced = true;
    this.#owner.cells.set(this.#key, this.#cell);
  }
}

/** A whole table cleared. */
export class ClearTableChange<C extends { replaced: boolean } | Cell> implements Change {
  readonly #table: Table<C>;
  readonly #cells: TableCells<C>;
  #previous: TableCells<C>;

  constructor(table: Table<C>, cells: TableCells<C>) {
    this.#table = table;
    this.#cells = cells;
    this.#previous = table.active;
    this.#put(cells);
  }

  encode(encoder: CommitEncoder, { eventTime }: CommitMoment): void {
    if (this.#cells.replaced) return;
    encoder.open(
      this.#table.id,
      ops.clearTable,
      operatorIds.none,
      0,
      eventTime,
      undefined,
      undefined,
    );
    encoder.close();
  }

  committed(): void {}

  undo(): void {
    this.#mark(this.#previous, false);
    this.#table.active = this.#previous;
  }

  redo(): void {
    this.#previous = this.#table.active;
    const { generation } = this.#previous;
    // The cells keep their identity: the changes behind this one are put into them again.
    this.#put(Object.assign(this.#cells, { generation }));
  }

  #put(cells: TableCells<C>): void {
    this.#mark(this.#previous, true);
    this.#table.active = cells;
  }

  /** Changes of this transaction that stand in the cleared cells log nothing, at every depth. */
  #mark(layer: TableCells<C>, replaced: boolean): void {
    layer.replaced = replaced;
    for (const [, cell] of layer.cells.entries()) {
      if ('replaced' in cell) cell.replaced = replaced;
    }
  }
}
