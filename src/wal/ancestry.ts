/*
 * Ancestry of a timeline: itself, and of each timeline before it the part up to where it was left
 * (T1, T2). Plain data; the records that say so are checkpoint/timelines/timeline-record.ts.
 *
 * A position is (timeline, LSN). LSNs grow along an ancestry, and numbers of segments over the whole
 * directory (L1): so what a timeline has of an older one are its LSNs up to `throughLsn`, in segments
 * numbered up to `throughSegment`. Where a fork lies below an earlier one the least of both counts.
 */
import { CorruptionError } from '../errors.ts';
import type { LogPosition } from './log-position.ts';

/** The timeline of every new store; it has no record. */
export const firstTimeline = 1;

/** Where a timeline left the one before it. */
export interface TimelineFork {
  readonly parent: number;
  /** The last LSN that both have; 0: none. */
  readonly lsn: number;
  /**
   * The last border between groups at or before that LSN; the new timeline's log goes on there. Its
   * segment is 0 where the log was not kept: a checkpoint of exactly that LSN holds what was before.
   */
  readonly position: LogPosition;
  /** Offset behind the group that holds the LSN; that of `position` where it stands at the LSN. */
  readonly end: number;
}

/** What a timeline has of one timeline. */
export interface AncestryPart {
  readonly timeline: number;
  /** LSNs above it are of another future. */
  readonly throughLsn: number;
  /** So are segments numbered above it. */
  readonly throughSegment: number;
  /** Where it left the one before; undefined of the first timeline. */
  readonly fork: TimelineFork | undefined;
  /** The store that its segments are of, where that is the parent of a fork (T3); else the store itself. */
  readonly storeId?: Uint8Array;
}

/** A timeline and what it came from. */
export interface Ancestry {
  readonly timeline: number;
  /** Newest first; the first is the timeline itself, without bounds. */
  readonly parts: readonly AncestryPart[];
  /** Where it left the one before: that of the first part. */
  readonly fork: TimelineFork | undefined;
  /** The greatest timeline that is known: nothing can be of one above it. */
  readonly newest: number;
  /** Greatest epoch that was given before the timeline. */
  readonly epoch: number;
}

/** The ancestry of a store that was never rewound. */
export const firstAncestry: Ancestry = {
  timeline: firstTimeline,
  parts: [
    {
      timeline: firstTimeline,
      throughLsn: Number.POSITIVE_INFINITY,
      throughSegment: Number.POSITIVE_INFINITY,
      fork: undefined,
    },
  ],
  fork: undefined,
  newest: firstTimeline,
  epoch: 0,
};

/** What a timeline has of another one; undefined: nothing. */
export function partOf(ancestry: Ancestry, timeline: number): AncestryPart | undefined {
  return ancestry.parts.find((part) => part.timeline === timeline);
}

/** Whether a position is in the past, or the present, of a timeline (T2). */
export function isOf(ancestry: Ancestry, at: { timeline: number; lsn: number }): boolean {
  const part = partOf(ancestry, at.timeline);
  return part !== undefined && at.lsn <= part.throughLsn;
}

/** The timeline on which an LSN was given. */
export function timelineAt({ parts }: Ancestry, lsn: number): number {
  // Of several that have it the oldest gave it.
  return parts.findLast(({ throughLsn }) => lsn <= throughLsn)!.timeline;
}

/** The store whose id the segments of a timeline carry; `own` is that of the directory. */
export function ownerOf(ancestry: Ancestry, timeline: number, own: Uint8Array): Uint8Array {
  return partOf(ancestry, timeline)?.storeId ?? own;
}

/** What a segment's header says of where it belongs. */
interface Belonging {
  readonly storeId: Uint8Array;
  readonly timeline: number;
}

/** Whether a segment may continue another as far as their stores go: a fork goes on from its parent. */
export function mayContinue(
  ancestry: Ancestry | undefined,
  older: Belonging,
  newer: Belonging,
): boolean {
  if (Buffer.compare(older.storeId, newer.storeId) === 0) return true;
  const parent = ancestry && partOf(ancestry, older.timeline)?.storeId;
  if (!parent || older.timeline === newer.timeline) return false;
  return Buffer.compare(parent, older.storeId) === 0;
}

/** The last LSN that two timelines share. */
export function sharedLsn(a: Ancestry, b: Ancestry): number {
  for (const part of a.parts) {
    const other = partOf(b, part.timeline);
    if (other) return Math.min(part.throughLsn, other.throughLsn);
  }
  return 0;
}

/** Throws where something is of a timeline of which no record says where it came from. */
export function assertKnown({ newest }: Ancestry, timeline: number, path: string): void {
  if (timeline <= newest) return;
  throw new CorruptionError(
    'CORRUPT_RECORD',
    `record of timeline ${timeline} is missing: ${path} is of that timeline`,
    { path, offset: 0, timeline, newest },
  );
}
