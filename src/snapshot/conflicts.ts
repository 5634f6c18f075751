/*
 * Conflicts: what several writers on one base made of one key (DESIGN.md, 4). A candidate is what
 * the key would be if only one of them had written; a policy chooses among candidates.
 *
 * Order of writes, where lineages meet: commit time, store id, LSN; behind that the content, so that
 * no result depends on the order in which lineages are given. Pure: no clock, no I/O; the code of a
 * caller is reached only through the `resolve` that it gave.
 */
import { compareBytes } from '../std/bytes.ts';
import type { Entry } from './entry.ts';
import { ops } from './entry-format.ts';

/** Policies that need no code of the caller. */
export const builtInPolicies = [
  'last-write-wins',
  'first-write-wins',
  'timestamp-priority',
] as const;
export type BuiltInPolicy = (typeof builtInPolicies)[number];

/** Why a key is in conflict. */
export type ConflictReason =
  /** Several wrote or deleted it, with different results. */
  | 'write'
  /** One cleared the key or the table, another wrote the key. */
  | 'clear'
  /** One applied an operand, another wrote it or applied one of another operator. */
  | 'operand'
  /** What they added together leaves int64. */
  | 'overflow';

/** What the key would be. */
export interface Candidate {
  /** A put or a delete; borrowed until the conflict is resolved. */
  readonly entry: Entry;
  /** Index of the lineage, in ascending order of store id. */
  readonly lineage: number;
}

/** A key and its candidates, of which there are at least two. */
export interface KeyConflict {
  readonly reason: ConflictReason;
  readonly candidates: readonly Candidate[];
}

/** What is to become of the key: a candidate, or a value as it is stored. */
export type Resolution =
  | { readonly chosen: number }
  | { readonly value: Uint8Array; readonly expiry: number };

/** Decides a conflict. */
export type Resolve = (conflict: KeyConflict) => Resolution;

/** Decides by a policy. */
export function resolveBy(policy: BuiltInPolicy): Resolve {
  const better = isBetter[policy];
  return ({ candidates }) => {
    let chosen = 0;
    for (let i = 1; i < candidates.length; i++) {
      if (better(candidates[i]!, candidates[chosen]!)) chosen = i;
    }
    return { chosen };
  };
}

const isBetter: Readonly<Record<BuiltInPolicy, (a: Candidate, b: Candidate) => boolean>> = {
  'last-write-wins': (a, b) => compareWrites(a, b) > 0,
  'first-write-wins': (a, b) => compareWrites(a, b) < 0,
  'timestamp-priority': (a, b) => {
    const times = eventTimeOf(a.entry) - eventTimeOf(b.entry);
    return times > 0 || (times === 0 && compareWrites(a, b) > 0);
  },
};

/** A write without event time happened when it was committed. */
export function eventTimeOf(entry: Entry): number {
  return entry.eventTime === 0 ? entry.timestamp : entry.eventTime;
}

/** Negative when `a` was written before `b`: lineages are numbered in the order of their store ids. */
export function compareWrites(a: Candidate, b: Candidate): number {
  return (
    a.entry.timestamp - b.entry.timestamp ||
    a.lineage - b.lineage ||
    a.entry.lsn - b.entry.lsn ||
    compareContent(a.entry, b.entry)
  );
}

/** Whether two entries of one key leave the same. */
export function sameResult(a: Entry, b: Entry): boolean {
  if (a.op !== ops.put || b.op !== ops.put) return a.op !== ops.put && b.op !== ops.put;
  return a.expiry === b.expiry && compareValues(a, b) === 0;
}

function compareContent(a: Entry, b: Entry): number {
  return a.op - b.op || a.expiry - b.expiry || compareValues(a, b);
}

function compareValues(a: Entry, b: Entry): number {
  return compareBytes(a.bytes, a.subKeyEnd, a.valueEnd, b.bytes, b.subKeyEnd, b.valueEnd);
}
