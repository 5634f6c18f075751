/*
 * How far a damaged log can still be read, forward from a place, and of which LSNs it speaks at all.
 * Reads only. An opening asks when no way to the whole state is left: what can be read is what may be
 * kept, and what is spoken of is never given again.
 */
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { firstAncestry, type Ancestry, type TimelineFork } from './ancestry.ts';
import { sameChain } from './chain-value.ts';
import { decodeGroupHeader, groupAlignment, groupHeaderBytes, groupKinds } from './group-format.ts';
import { listLog, openSegmentFile, type SegmentFile } from './log-directory.ts';
import type { LogPosition, LogRange } from './log-position.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import { GroupScanner, readFileRange, type Border } from './segment-scan.ts';

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
  /** Greatest LSN that any of them speaks of; 0: of none. */
  readonly lastLsn: number;
  /** There was more of the log than its segments say: its newest part is missing. */
  readonly isOpen: boolean;
  /** Greatest number of a segment, whether it can be read or not. */
  readonly numberMax: number;
  readonly epochMax: number;
}

/** The log forward from a position, or from its first record. */
export async function reachLog(
  fs: FileSystem,
  directory: string,
  from: LogPosition | undefined,
  ancestry: Ancestry = firstAncestry,
): Promise<LogReach> {
  const { segments, fork } = await readableSegments(fs, directory, ancestry);
  const ranges: LogRange[] = [];
  let segment = startOf(segments, from);
  if (!segment) return { ranges, end: undefined, why: 'the log behind it is not there' };
  let border: Border = from && from.segment === segment.header.number ? from : firstBorder(segment);
  for (;;) {
    const next = successorOf(segments, segment);
    const due = next?.header.predecessor;
    const { path, header } = segment;
    // A timeline that stands where it left the one before has nothing behind that.
    const left = fork?.position.segment === header.number ? fork.position.offset : undefined;
    const limit = due?.end ?? left ?? Number.POSITIVE_INFINITY;
    const bytes = await readFileRange(fs, path, border.offset, limit);
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
    if (!joins) return { ranges, end: border, why: `${path} ${whyEnded(scanner, next)}` };
    segment = next;
    border = firstBorder(next);
  }
}

/** What the log speaks of, damaged or not. */
export async function extentOfLog(
  fs: FileSystem,
  directory: string,
  ancestry: Ancestry = firstAncestry,
): Promise<LogExtent> {
  const { segments, newestNumber, numberMax } = await readableSegments(fs, directory, ancestry);
  let lastLsn = 0;
  let epochMax = 0;
  for (const { header } of segments) {
    lastLsn = Math.max(lastLsn, header.firstLsn - 1, header.predecessor?.lastLsn ?? 0);
    epochMax = Math.max(epochMax, header.epoch);
  }
  const newest = segments.at(-1);
  if (!newest) return { lastLsn, isOpen: true, numberMax, epochMax };
  const swept = await sweep(fs, newest);
  return {
    lastLsn: Math.max(lastLsn, swept.lastLsn),
    isOpen: swept.sealed || newest.header.number < newestNumber,
    numberMax,
    epochMax,
  };
}

interface ReadableSegments {
  readonly segments: SegmentFile[];
  readonly fork: TimelineFork | undefined;
  /** Of the newest segment of the timeline, readable or not. */
  readonly newestNumber: number;
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
      if (!(error instanceof CorruptionError)) throw error;
    }
  }
  const { fork, numberMax } = listing;
  return { segments, fork, newestNumber: listing.segments.at(-1)?.number ?? 0, numberMax };
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

function whyEnded(scanner: GroupScanner, next: SegmentFile | undefined): string {
  const { fault, border } = scanner;
  if (fault !== undefined) return `ends at LSN ${border.lsn}: the group behind it ${fault}`;
  return next
    ? `ends at LSN ${border.lsn}, ${next.name} continues another end`
    : `ends at LSN ${border.lsn}, and what follows it is missing`;
}

/** The greatest LSN of any group header in a segment, also behind damage. */
async function sweep(
  fs: FileSystem,
  { path, header }: SegmentFile,
): Promise<{ lastLsn: number; sealed: boolean }> {
  const bytes = await readFileRange(fs, path, 0);
  let lastLsn = 0;
  let sealed = false;
  for (let at = segmentHeaderBytes; at + groupHeaderBytes <= bytes.length; at += groupAlignment) {
    const group = decodeGroupHeader(bytes, at, header.salt, at);
    if (typeof group === 'string') continue;
    lastLsn = Math.max(lastLsn, group.durableLsn, group.firstLsn + group.recordCount - 1);
    sealed ||= group.kind === groupKinds.seal;
  }
  return { lastLsn, sealed };
}
