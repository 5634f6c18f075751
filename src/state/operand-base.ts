/*
 * What an operand goes on from: the value that a key holds in memtables or images, dead or alive,
 * since whether it has expired is judged by the timestamp of the commit (E4).
 */
import { deleted, type Cell, type MapKey } from './cells.ts';
import type { StateSpace } from './state-space.ts';
import type { Table } from './table.ts';

/** A value that operands go on from. */
export interface Before<V> {
  readonly value: V;
  /** Microseconds; 0: never. */
  readonly expiry: number;
}

/** The value that an operand would meet, dead or alive. */
export function valueBefore<V>(
  space: StateSpace,
  table: Table<Cell>,
  key: MapKey,
): Before<V> | undefined {
  const cell = table.find(key);
  if (cell) {
    return cell.value === deleted ? undefined : { value: cell.value as V, expiry: cell.expiry };
  }
  if (table.hidesImages) return undefined;
  const entry = space.images.find(table.id, key, undefined, 0);
  if (!entry) return undefined;
  const { expiry } = entry;
  return { value: space.decode(table, entry) as V, expiry };
}

/** Whether an operand that comes at a time goes on from a value, and does not start from nothing. */
export function isAlive<V>(before: Before<V> | undefined, time: number): before is Before<V> {
  return before !== undefined && (before.expiry === 0 || before.expiry > time);
}
