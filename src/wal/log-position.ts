/*
 * Places in the log. A position always stands at the border of a group: it is behind the group that
 * holds its LSN, which is that group's last.
 */
import type { ChainValue } from './chain-value.ts';

/** Behind the record of an LSN. */
export interface LogPosition {
  readonly lsn: number;
  /** Number of the segment; 0 before the first. */
  readonly segment: number;
  readonly timeline: number;
  readonly offset: number;
  /** Chain value after the record. */
  readonly chain: ChainValue;
}

/** Whole groups of one segment. */
export interface LogRange {
  readonly path: string;
  readonly salt: Uint8Array;
  /** Offset of the first group. */
  readonly start: number;
  /** Offset behind the last group. */
  readonly end: number;
  /** LSN of the first record at or behind `start`. */
  readonly firstLsn: number;
  /** Chain value before it. */
  readonly chain: ChainValue;
}
