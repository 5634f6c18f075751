/*
 * What verification says: faults, notes and counts. A fault is damage, with the file and the place;
 * a note is something that is not as after a clean close and loses nothing that was proved.
 */

import type { Verification } from '../snapshot/tasks.ts';

/** Something that is damaged or does not fit. */
export interface StoreFault {
  /** Of the file; the object's name where objects are no files. */
  readonly path: string;
  /** Of the damage in the file, where it has a place. */
  readonly offset: number | undefined;
  /** First LSN concerned, where it is of the log. */
  readonly lsn: number | undefined;
  readonly what: string;
}

/** What was read and found. */
export interface StoreVerification {
  readonly dir: string;
  /** How far the check went. */
  readonly level: Verification;
  /** The checkpoint that alone was checked; undefined: everything was. */
  readonly checkpoint: number | undefined;
  /** In the order: identity, records, snapshots, log. Empty: the store is sound. */
  readonly faults: readonly StoreFault[];
  readonly notes: readonly StoreFault[];
  readonly checkpointCount: number;
  readonly snapshotCount: number;
  readonly snapshotBytes: number;
  readonly segmentCount: number;
  readonly groupCount: number;
  readonly recordCount: number;
  /** Bytes of the log that were checked. */
  readonly logBytes: number;
  /** Undefined where the newest segment was not read: at level `none`, or for one checkpoint. */
  readonly lsn: number | undefined;
  readonly provedLsn: number | undefined;
  /** LSNs below it were given up on purpose, by retention or `trim`; undefined: none were. */
  readonly trimmedBelow: number | undefined;
}

/** What one part of a store gave. */
export interface PartReport {
  readonly faults: StoreFault[];
  readonly notes: StoreFault[];
}

export function fault(
  path: string,
  what: string,
  place: { readonly offset?: number | undefined; readonly lsn?: number | undefined } = {},
): StoreFault {
  return { path, offset: place.offset, lsn: place.lsn, what };
}
