/*
 * How far a damaged log can still be read, forward from a place, and of which LSNs it speaks at all.
 * Reads only. An opening asks when no way to the whole state is left: what can be read is what may be
 * kept, and what is spoken of is never given again.
 */
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { firstAncestry, partOf, type Ancestry, type TimelineFork } from './ancestry.ts';
import { sameChain } from './chain-value.ts';
import { decodeGroupHeader, groupAlignment, groupHeaderBytes, groupKinds } from './group-format.ts';
import { listLog, openSegmentFile, type SegmentFile } from './log-directory.ts';
import type { LogPosition, LogRange } from './log-position.ts';
import type { LowWater } from './low-water.ts';
import { isUnreadable, readReadable } from './readable-range.ts';
import { segmentHeaderBytes, type SegmentHeader } from './segment-format.ts';
import { GroupScanner, type Border } from './segment-scan.ts';

/** What can be read of the log from a place on. */
export interface LogReach {
  readonly ranges: readonly LogRange[];
  /** Behind the last group that can be read; undefined: the log cannot be read from there. */
  readonly end: Border | undefined;
  /** Why it ends there. */
  readonly why: string;
}

/** What the segments that can be read say of the log's end. */
export interface LogExtent {
  /** Greatest LSN of the timeline that is known to have been given; 0: none. */
  readonly lastLsn: number;
  /** There was more of the log than its segments say: its newest part is missing. */
  readonly isOpen: boolean;
  /** Greatest number of a segment, whether it can be read or not. */
  readonly numberMax: number;
  /** Greatest epoch of a segment or before the timeline. */
  readonly epochMax: number;
}

/** What is known of a log beside its segments. */
export interface KnownOfLog {
  readonly lowWater: LowWater | undefined;
  /** Whether the timeline has had a segment, or may have. */
  readonly hadSegments: boolean;
}

/** The log forward from a position, or from its first record. */
export async function reachLog(
  fs: FileSystem,
  directory: string,
  from: LogPosition | undefined,
  ancestry: Ancestry = firstAncestry,
): Promise<LogReach> {
  const { segments } = await readableSegments(fs, directory, ancestry);
  const ranges: LogRange[] = [];
  let segment = startOf(segments, from);
  if (!segment) return { ranges, end: undefined, why: 'the log behind it is not there' };
  let border: Border = from && from.segment === segment.header.number ? from : firstBorder(segment);
  for (;;) {
    const next = successorOf(segments, segment);
    const due = next?.header.predecessor;
    const { path, header } = segment;
    // What is behind the place where a timeline was left is of another future.
    const left = forkIn(ancestry, header);
    const limit = due?.end ?? left?.end ?? Number.POSITIVE_INFINITY;
    const { bytes, isWhole } = await readReadable(fs, path, border.offset, limit);
    const scanner = new GroupScanner(bytes, border.offset, header.salt, border);
    let group = scanner.next();
    while (group && group.kind !== groupKinds.seal && scanner.border.offset < limit) {
      group = scanner.next();
    }
    const { salt } = header;
    const { offset: start, lsn, chain } = border;
    const { offset: end } = scanner.border;
    if (end > start) ranges.push({ path, salt, start, end, firstLsn: lsn + 1, chain });
    border = scanner.border;
    const joins =
      next && due && border.lsn === due.lastLsn && sameChain(border.chain, next.header.chain);
    if (!joins) {
      // The frames at the fork that both have can stand in a group that goes on behind it.
      const lsn = Math.min(border.lsn, left?.lsn ?? border.lsn);
      const end = { ...border, lsn };
      const fault = isWhole ? scanner.fault : 'cannot be read from the disk';
      return { ranges, end, why: `${path} ${whyEnded(end, fault, next)}` };
    }
    segment = next;
    border = firstBorder(next);
  }
}

/**
 * What the log of a timeline speaks of, damaged or not. Of older timelines only what is not above the
 * place where they were left counts: the rest was given there, to others.
 */
export async function extentOfLog(
  fs: FileSystem,
  directory: string,
  { lowWater, hadSegments }: KnownOfLog,
  ancestry: Ancestry = firstAncestry,
): Promise<LogExtent> {
  const { segments, newest, numberMax } = await readableSegments(fs, directory, ancestry);
  const through = (timeline: number): number => partOf(ancestry, timeline)?.throughLsn ?? 0;
  const trimmed = lowWater ? Math.min(lowWater.lsn - 1, through(lowWater.timeline)) : 0;
  let lastLsn = Math.max(trimmed, ancestry.fork?.lsn ?? 0);
  let epochMax = ancestry.epoch;
  for (const { header } of segments) {
    const { firstLsn, predecessor, timeline, epoch } = header;
    const spoken = Math.max(firstLsn - 1, predecessor?.lastLsn ?? 0);
    lastLsn = Math.max(lastLsn, Math.min(spoken, through(timeline)));
    epochMax = Math.max(epochMax, epoch);
  }
  const known = { lastLsn, numberMax, epochMax };
  // The first timeline begins with a segment, the others where they left the one before.
  if (newest?.timeline !== ancestry.timeline) {
    return { ...known, isOpen: hadSegments || ancestry.fork === undefined };
  }
  const last = segments.at(-1);
  if (last?.header.number !== newest.number) return { ...known, isOpen: true };
  const swept = await sweep(fs, last);
  const isOpen = swept.sealed || !swept.isWhole;
  return { ...known, lastLsn: Math.max(lastLsn, swept.lastLsn), isOpen };
}

interface ReadableSegments {
  readonly segments: SegmentFile[];
  /** The newest segment of the timeline and its past, readable or not. */
  readonly newest: { readonly number: number; readonly timeline: number } | undefined;
  readonly numberMax: number;
}

/** Segments whose headers can be read, by number. */
async function readableSegments(
  fs: FileSystem,
  directory: string,
  ancestry: Ancestry,
): Promise<ReadableSegments> {
  const listing = await listLog(fs, directory, ancestry);
  const segments: SegmentFile[] = [];
  for (const { name } of listing.segments) {
    try {
      segments.push(await openSegmentFile(fs, directory, name));
    } catch (error) {
      if (!(error instanceof CorruptionError || isUnreadable(error))) throw error;
    }
  }
  return { segments, newest: listing.segments.at(-1), numberMax: listing.numberMax };
}

/** Where a timeline of an ancestry was left by the next one, if that is in this segment. */
function forkIn(
  { parts }: Ancestry,
  { number, timeline }: SegmentHeader,
): TimelineFork | undefined {
  return parts.find(({ fork }) => {
    return fork?.position.segment === number && fork.position.timeline === timeline;
  })?.fork;
}

function startOf(
  segments: readonly SegmentFile[],
  from: LogPosition | undefined,
): SegmentFile | undefined {
  const named = segments.find(({ header }) => header.number === from?.segment);
  if (named) return named;
  // The first one of all, or one that a log was started again with behind the position.
  const due = (from?.lsn ?? 0) + 1;
  return segments.findLast(({ header }) => !header.predecessor && header.firstLsn === due);
}

/** Of several that name a segment, the last one was built on what the others left. */
function successorOf(
  segments: readonly SegmentFile[],
  { header }: SegmentFile,
): SegmentFile | undefined {
  const { number, timeline } = header;
  return segments.findLast(({ header: { predecessor } }) => {
    return predecessor?.number === number && predecessor.timeline === timeline;
  });
}

function firstBorder({ header }: SegmentFile): Border {
  return { offset: segmentHeaderBytes, lsn: header.firstLsn - 1, chain: header.chain };
}

function whyEnded(
  border: Border,
  fault: string | undefined,
  next: SegmentFile | undefined,
): string {
  if (fault !== undefined) return `ends at LSN ${border.lsn}: the group behind it ${fault}`;
  return next
    ? `ends at LSN ${border.lsn}, ${next.name} continues another end`
    : `ends at LSN ${border.lsn}, and what follows it is missing`;
}

/** The greatest LSN of any group header in a segment, also behind damage. */
async function sweep(
  fs: FileSystem,
  { path, header }: SegmentFile,
): Promise<{ lastLsn: number; sealed: boolean; isWhole: boolean }> {
  const { bytes, isWhole } = await readReadable(fs, path, 0);
  let lastLsn = 0;
  let sealed = false;
  for (let at = segmentHeaderBytes; at + groupHeaderBytes <= bytes.length; at += groupAlignment) {
    const group = decodeGroupHeader(bytes, at, header.salt, at);
    if (typeof group === 'string') continue;
    lastLsn = Math.max(lastLsn, group.durableLsn, group.firstLsn + group.recordCount - 1);
    sealed ||= group.kind === groupKinds.seal;
  }
  return { lastLsn, sealed, isWhole };
}
