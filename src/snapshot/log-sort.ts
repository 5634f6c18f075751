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

/** The order of the entries, as indexes into the columns. */
export async function sortEntries(columns: SortColumns, turns: Turns): Promise<Uint32Array> {
  const { hashes, tables, tableCount } = columns;
  const length = hashes.length;
  const pairs: Pairs = {
    keys: hashes.slice(),
    order: Uint32Array.from(hashes, (_, i) => i),
    spareKeys: new Uint32Array(length),
    spareOrder: new Uint32Array(length),
  };
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
  await sortTies(columns, pairs.order, turns);
  return pairs.order;
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

async function sortTies(columns: SortColumns, order: Uint32Array, turns: Turns): Promise<void> {
  const { hashes, tables } = columns;
  let start = 0;
  for (let i = 1; i <= order.length; i++) {
    if (i < order.length) {
      const a = order[start]!;
      const b = order[i]!;
      if (hashes[a] === hashes[b] && tables[a] === tables[b]) continue;
    }
    if (i - start > 1) {
      sortTie(order.subarray(start, i), columns.compare);
      if (turns.spend((i - start) * BYTES_PER_ENTRY * 8)) await turns.pause();
    }
    start = i;
  }
}

function sortTie(tie: Uint32Array, compare: (a: number, b: number) => number): void {
  let sorted = true;
  for (let i = 1; i < tie.length && sorted; i++) sorted = compare(tie[i - 1]!, tie[i]!) <= 0;
  if (sorted) return;
  if (tie.length > INSERTION_MAX) {
    // Equal entries keep log order whatever the engine's sort does with them.
    tie.sort((a, b) => compare(a, b) || a - b);
    return;
  }
  for (let i = 1; i < tie.length; i++) {
    const moved = tie[i]!;
    let at = i;
    while (at > 0 && compare(tie[at - 1]!, moved) > 0) {
      tie[at] = tie[at - 1]!;
      at--;
    }
    tie[at] = moved;
  }
}
