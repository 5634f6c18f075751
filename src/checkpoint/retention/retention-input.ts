/*
 * What a plan of retention is made from: everything that the store holds, what is in use, and the
 * settings. Plain data, so that plans can be made and tested without a store.
 */
import type { LowWater } from '../../wal/low-water.ts';
import type { CheckpointRecord } from '../checkpoint-record.ts';
import type { Timelines } from '../timelines/timelines.ts';
import type { RetentionPin } from './retention-pins.ts';
import type { RetentionSettings } from './retention-settings.ts';

/** An object of the store, or a file of the log. */
export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
}

/** A checkpoint record as it was found. */
export interface StoredRecord extends StoredObject {
  readonly id: number;
  /** Undefined when it cannot be read; `fault` says why. */
  readonly record: CheckpointRecord | undefined;
  readonly fault: string | undefined;
}

/** An object whose name says which checkpoint it belongs to. */
export interface StoredPart extends StoredObject {
  readonly id: number;
}

/** A segment of the log. */
export interface StoredSegment extends StoredObject {
  readonly number: number;
  readonly timeline: number;
  /** First LSN that can stand in it; undefined: it is not on the walk (O2). */
  readonly firstLsn: number | undefined;
}

/** The log as it was found. */
export interface StoredLog {
  /** By number. */
  readonly segments: readonly StoredSegment[];
  /**
   * Why the walk back from the newest segment ended before the low-water record, or before LSN 1
   * where there is none; undefined: it did not.
   */
  readonly brokenBy: string | undefined;
  readonly lowWater: LowWater | undefined;
}

/** Everything that a store holds and that a plan decides on. */
export interface StoreInventory {
  /** By id. */
  readonly records: readonly StoredRecord[];
  readonly droppedMarks: readonly StoredPart[];
  /** Of the timelines, by id. @defaultValue none */
  readonly timelineRecords?: readonly StoredPart[];
  /** @defaultValue the first alone */
  readonly timelines?: Timelines;
  readonly snapshots: readonly StoredPart[];
  /** Objects beside them, of names that nothing of ours has. */
  readonly foreign: readonly StoredObject[];
  readonly log: StoredLog;
}

export interface RetentionInput {
  readonly inventory: StoreInventory;
  /** Microseconds. */
  readonly now: number;
  /** Undefined: everything stays. */
  readonly settings: RetentionSettings | undefined;
  readonly pins: readonly RetentionPin[];
  /**
   * The newest checkpoint that the opening found, while the opening has published none of its own
   * (O5); undefined afterwards.
   */
  readonly newestFound: number | undefined;
  /**
   * Names of snapshots that the opening found damaged. Checkpoints that name one count for nothing,
   * and stay until the opening has published one of its own. @defaultValue none
   */
  readonly damaged?: ReadonlySet<string>;
  /** A snapshot of such an id, without a record of that id, may belong to unfinished work. */
  readonly unfinished: (id: number) => boolean;
}
