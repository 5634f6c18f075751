/*
 * A workload on paper: what every commit did to a sample of the keys, and what it wrote in all. It is
 * all that the paper replay of `tune` needs to work out deltas, overlaps and bases for any checkpoint
 * interval and chain policy. Values are not kept, only their sizes; keys only as hashes.
 *
 * A table is sampled by the hash of (key, sub-key), a list that keeps its newest items by the hash of
 * its key. Of a table with exponent e one in 2^e is followed. The exponent only rises, so whoever is
 * followed at the end was followed from the beginning.
 */

/** What a commit did to something that is followed. */
export interface WorkloadRow {
  /** Number of the followed one, from 0 in the order in which they first came. */
  readonly id: number;
  /** As in entry-format.ts; a clear of the key is a row of the clear itself. */
  readonly op: number;
  /** As in entry-format.ts. */
  readonly operator: number;
  /** Entries: items that were appended to a list, else 1. */
  readonly entries: number;
  /** Of all these entries. */
  readonly valueBytes: number;
  /** Microseconds; 0 for none. */
  readonly expiry: number;
  /** What was added to the reference count of a chunk; else 0. */
  readonly references: number;
}

/** One that is followed from here on. */
export interface FollowedKey {
  readonly table: number;
  readonly keyHash: number;
  /** 0 without a sub-key, and where the key is followed with all its sub-keys. */
  readonly subHash: number;
  /** Of key and sub-key. */
  readonly keyBytes: number;
  /** What the state held of it when the recording began. */
  readonly before: { readonly entries: number; readonly valueBytes: number } | undefined;
}

/** How a table is sampled. */
export interface SampledTable {
  readonly table: number;
  /** One in two to its power is followed. */
  readonly exponent: number;
  /** Newest items that a list keeps. */
  readonly itemsMax: number | undefined;
}

/** Entries that a commit cleared: of one key, or of the whole table. */
export interface WorkloadClear {
  readonly table: number;
  /** Undefined: the table. */
  readonly keyHash: number | undefined;
}

/** One commit. */
export interface WorkloadCommit {
  readonly lsn: number;
  /** Microseconds. */
  readonly timestamp: number;
  /** Of the whole commit. */
  readonly entryCount: number;
  readonly recordBytes: number;
  /** Tables that are new, or of which fewer keys are followed from here on; before all else. */
  readonly tables: readonly SampledTable[];
  /** Before the rows. */
  readonly clears: readonly WorkloadClear[];
  /** Those that are new, in the order of their numbers, which follow those before them. */
  readonly followed: readonly FollowedKey[];
  /** In order of id; rows of one id in the order in which they were made. */
  readonly rows: readonly WorkloadRow[];
}

/** What a table held when the recording began. */
export interface WorkloadTable {
  readonly table: number;
  readonly itemsMax: number | undefined;
  readonly entries: number;
  /** Of the entries in a snapshot, before compression. */
  readonly dataBytes: number;
}

/** Where a recording begins, or goes on after an opening. */
export interface WorkloadStart {
  readonly storeId: string;
  readonly keyGroups: number;
  /** The state holds every commit up to it. */
  readonly lsn: number;
  readonly tables: readonly WorkloadTable[];
}

/** Sub-hash of the clear of a key, which is followed like an entry. */
export const clearSubHash = 0xffff_ffff;

/** Where in the order of sampling a key and sub-key stand: those below the table's bound are followed. */
export function sampleOrder(keyHash: number, subHash: number): number {
  let mixed = Math.imul(keyHash ^ Math.imul(subHash, 0x9e37_79b1), 0x85eb_ca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Sampling orders below it are followed at an exponent. */
export function sampleBound(exponent: number): number {
  return 2 ** (32 - exponent);
}
