/*
 * Sorts the entries of a log run by table, hash, key, sub-key, LSN. A stable radix sort settles
 * table and hash on integers; only entries whose hashes are equal are compared by their bytes.
 * Columns are in log order, so a smaller index is an older entry.
 */
import type { Turns } from './task-context.ts';

/** What is sorted: parallel columns. */
export interface SortColumns {
  readonly hashes: Uint32Array;
  /** Per entry, the place of its table among the tables, in ascending order of table. */
  readonly tables: Uint16Array | Uint32Array;
  readonly tableCount: number;
  /** Orders two entries of one table and hash by key, rank and sub-key. */
  readonly compare: (a: number, b: number) => number;
}

const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;
/** Work of one pass over so many entries, in the bytes that `Turns` counts. */
const BYTES_PER_ENTRY = 4;
const INSERTION_MAX = 12;

/** The order of a log run. */
export interface SortedOrder {
  /** Indexes into the columns. */
  readonly order: Uint32Array;
  /** Hashes in that order. */
  readonly hashes: Uint32Array;
}

/** Sorts entries; the columns stay as they are. */
export async function sortEntries(columns: SortColumns, turns: Turns): Promise<SortedOrder> {
  const { hashes, tables, tableCount } = columns;
  const length = hashes.length;
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  const spares = { spareKeys: new Uint32Array(length), spareOrder: new Uint32Array(length) };
  const pairs: Pairs = { keys: hashes.slice(), order, ...spares };
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    radixPass(pairs, shift);
    if (turns.spend(length * BYTES_PER_ENTRY)) await turns.pause();
  }
  for (let shift = 0; tableCount > 1 && (tableCount - 1) >>> shift > 0; shift += DIGIT_BITS) {
    const { keys, order } = pairs;
    for (let i = 0; i < length; i++) keys[i] = tables[order[i]!]!;
    radixPass(pairs, shift);
    if (turns.spend(length * BYTES_PER_ENTRY)) await turns.pause();
  }
  if (tableCount > 1) {
    const { keys, order } = pairs;
    for (let i = 0; i < length; i++) keys[i] = hashes[order[i]!]!;
  }
  const sorted = { order: pairs.order, hashes: pairs.keys };
  await sortTies(columns, sorted, turns);
  return sorted;
}

interface Pairs {
  keys: Uint32Array;
  order: Uint32Array;
  spareKeys: Uint32Array;
  spareOrder: Uint32Array;
}

function radixPass(pairs: Pairs, shift: number): void {
  const { keys, order, spareKeys, spareOrder } = pairs;
  const starts = new Uint32Array(DIGITS);
  const mask = DIGITS - 1;
  for (let i = 0; i < keys.length; i++) starts[(keys[i]! >>> shift) & mask]!++;
  let sum = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = starts[digit]!;
    starts[digit] = sum;
    sum += count;
  }
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const at = starts[(key >>> shift) & mask]!++;
    spareKeys[at] = key;
    spareOrder[at] = order[i]!;
  }
  pairs.keys = spareKeys;
  pairs.order = spareOrder;
  pairs.spareKeys = keys;
  pairs.spareOrder = order;
}

async function sortTies(columns: SortColumns, sorted: SortedOrder, turns: Turns): Promise<void> {
  const { hashes, order } = sorted;
  const { tables } = columns;
  let start = 0;
  for (let i = 1; i <= order.length; i++) {
    const ties =
      i < order.length &&
      hashes[i] === hashes[start] &&
      tables[order[i]!] === tables[order[start]!];
    if (ties) continue;
    if (i - start > 1) {
      sortTie(order, { start, end: i }, columns.compare);
      if (turns.spend((i - start) * BYTES_PER_ENTRY * 8)) await turns.pause();
    }
    start = i;
  }
}

/** Sorts the entries of one hash, from `start` to `end`. */
function sortTie(
  order: Uint32Array,
  { start, end }: { start: number; end: number },
  compare: (a: number, b: number) => number,
): void {
  if (end - start > INSERTION_MAX) {
    let sorted = true;
    for (let i = start + 1; i < end && sorted; i++) sorted = compare(order[i - 1]!, order[i]!) <= 0;
    // Equal entries keep log order whatever the engine's sort does with them.
    if (!sorted) order.subarray(start, end).sort((a, b) => compare(a, b) || a - b);
    return;
  }
  for (let i = start + 1; i < end; i++) {
    const moved = order[i]!;
    let at = i;
    while (at > start && compare(order[at - 1]!, moved) > 0) {
      order[at] = order[at - 1]!;
      at--;
    }
    order[at] = moved;
  }
}
