/*
 * What a memtable holds. A cell is the whole truth about its key for everything older: a value, a
 * delete, or the resolved result of operands; reading stops at it. Cells of committed changes are
 * never changed in place, so a snapshot of a memtable is a reference to it.
 */
import { GrowingMap } from './growing-map.ts';
import type { MapKey } from './key-hash.ts';
import type { WriteTimes } from './write-options.ts';

/** A value, a resolved counter, or a delete (`value` is `deleted`). */
export interface Cell {
  value: unknown;
  /** 0 until the commit is sealed. */
  lsn: number;
  /** Microseconds; 0 until the commit is sealed. */
  timestamp: number;
  /** Microseconds; 0 for none. */
  expiry: number;
  /** Microseconds; 0 for none, or for that of a commit that is not sealed yet. */
  eventTime: number;
  /** CRC of the encoded value, kept when checks are on. */
  crc: number;
}

/** A cell of the open transaction. */
export function openCell(value: unknown, { expiry, eventTime }: WriteTimes): Cell {
  return { value, lsn: 0, timestamp: 0, expiry, eventTime, crc: 0 };
}

/** Stands for the value of a key that was deleted. */
export const deleted: unique symbol = Symbol('deleted');

/** One item of a list. */
export interface ListItem {
  readonly value: unknown;
  lsn: number;
  ordinal: number;
  timestamp: number;
  readonly expiry: number;
  /** Of the write; 0 for that of its commit. Nothing reads it once it is logged. */
  readonly eventTime: number;
  crc: number;
}

/** The sub-keys of one key of a map. */
export interface MapCell {
  /** Older layers hold nothing of this key that counts. */
  readonly cleared: boolean;
  readonly cells: GrowingMap<Cell>;
  /** A clear in the open transaction took its place; its changes are not committed. */
  replaced: boolean;
}

/** The items of one key of a list that this memtable knows. */
export interface ListCell {
  readonly cleared: boolean;
  items: ListItem[];
  /** Of the open transaction. */
  pending: ListItem[];
  replaced: boolean;
}

/** What one memtable holds of one table. */
export interface TableCells<C> {
  /** Generation of the memtable: rises with each freeze. */
  readonly generation: number;
  /** The whole table was cleared: older layers hold nothing that counts. */
  readonly cleared: boolean;
  readonly cells: GrowingMap<C>;
  replaced: boolean;
}

export function emptyTableCells<C>(generation: number, cleared = false): TableCells<C> {
  return { generation, cleared, cells: new GrowingMap<C>(), replaced: false };
}

export function emptyMapCell(cleared: boolean): MapCell {
  return { cleared, cells: new GrowingMap<Cell>(), replaced: false };
}

export function emptyListCell(cleared: boolean): ListCell {
  return { cleared, items: [], pending: [], replaced: false };
}

export type { MapKey };
