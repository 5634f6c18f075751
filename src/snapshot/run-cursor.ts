/*
 * A pull cursor over one sorted run of entries: a slice list, a log run, a merge of others, or a
 * memtable of the layer above. Order (E5): table, hash, key, then clear before no sub-key before
 * sub-keys, then LSN ascending, which only a log run needs.
 * The cursor is the entry that it stands on; bytes behind it stay unchanged for as long as anybody
 * holds them, so that a merge can keep an entry by its offsets.
 */
import { Entry } from './entry.ts';

/** One sorted run, read forward once. Stands on nothing before the first `next`. */
export abstract class RunCursor extends Entry {
  /** Moves to the next entry; false at the end, where the fields mean nothing. */
  abstract next(): boolean;

  /**
   * Told once, before the first `next`, by a run that reads this one and keeps entries while it moves
   * it on: bytes that were handed out must then stay as they are.
   */
  becomeInput(): void {}

  /** Reads the fields of the entry that may be missing so far: all but table and hash. */
  load(): void {}
}

/** A range of a run that a cursor is limited to; both hashes are included. */
export interface RunRange {
  readonly table: number;
  /** @defaultValue 0 */
  readonly firstHash?: number;
  /** @defaultValue 0xffffffff */
  readonly lastHash?: number;
}

/** What the tables of a store ask of the kernel. Plain data; tables without a rule need none. */
export interface TableRule {
  readonly table: number;
  /** The newest items that a key of this list table keeps. */
  readonly itemsMax: number;
}

/** Rules of all tables that have one. */
export type TableRules = readonly TableRule[];
