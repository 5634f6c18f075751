/*
 * The directory of the log: which segments are there, and the walk from the newest one back by
 * predecessor (O2). Presence in the directory proves nothing; only the walk says what is part of
 * the log.
 */
import { CorruptionError, errnoOf, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { assertKnown, mayContinue, partOf, type Ancestry, type TimelineFork } from './ancestry.ts';
import {
  parseSegmentName,
  parseTemporaryName,
  segmentName,
  type SegmentHeader,
} from './segment-format.ts';
import { readSegmentHead } from './segment-scan.ts';

/** A segment's file and header. */
export interface SegmentFile {
  readonly path: string;
  readonly name: string;
  readonly fileBytes: number;
  readonly header: SegmentHeader;
}

/** Names in the directory of the log. */
export interface LogListing {
  /** Segments, by number. */
  readonly segments: readonly { name: string; number: number; timeline: number }[];
  readonly temporaryNames: readonly string[];
  /** Highest number of any name. */
  readonly numberMax: number;
  /**
   * Of the listing of a timeline that has no segment of its own: where it left the one before, whose
   * segment there is the newest of the listing. The timeline stands at that point (T1).
   */
  readonly fork?: TimelineFork;
  /** Of the listing of one timeline. */
  readonly ancestry?: Ancestry;
}

/** Names in the directory; with an ancestry those of that timeline's log alone. */
export async function listLog(
  fs: FileSystem,
  directory: string,
  ancestry?: Ancestry,
): Promise<LogListing> {
  const listing = await listAll(fs, directory);
  return ancestry ? listingOf(listing, ancestry, directory) : listing;
}

/** What of a listing can be of a timeline's log. */
export function listingOf(listing: LogListing, ancestry: Ancestry, directory: string): LogListing {
  for (const { name, timeline } of listing.segments) {
    assertKnown(ancestry, timeline, `${directory}/${name}`);
  }
  const segments = listing.segments.filter(({ number, timeline }) => {
    const part = partOf(ancestry, timeline);
    return part !== undefined && number <= part.throughSegment;
  });
  const { temporaryNames, numberMax } = listing;
  const hasOwn = segments.at(-1)?.timeline === ancestry.timeline;
  const { fork } = ancestry;
  return { segments, temporaryNames, numberMax, ancestry, ...(fork && !hasOwn && { fork }) };
}

async function listAll(fs: FileSystem, directory: string): Promise<LogListing> {
  let names: string[];
  try {
    names = await fs.list(directory);
  } catch (error) {
    // Readers make no directory: one that is not there holds nothing.
    if (errnoOf(error) !== 'ENOENT') throw toStorageError(error, 'list', directory);
    names = [];
  }
  const segments = [];
  const temporaryNames = [];
  let numberMax = 0;
  for (const name of names) {
    const parsed = parseSegmentName(name);
    const temporary = parseTemporaryName(name);
    if (parsed) segments.push({ name, ...parsed });
    if (temporary !== undefined) temporaryNames.push(name);
    numberMax = Math.max(numberMax, parsed?.number ?? temporary ?? 0);
  }
  segments.sort((a, b) => a.number - b.number);
  return { segments, temporaryNames, numberMax };
}

/** Reads a segment's header and size; a name that disagrees with the header is corruption. */
export async function openSegmentFile(
  fs: FileSystem,
  directory: string,
  name: string,
): Promise<SegmentFile> {
  const path = `${directory}/${name}`;
  const { header, fileBytes } = await readSegmentHead(fs, path);
  if (segmentName(header.number, header.timeline) !== name) {
    throw new CorruptionError('CORRUPT_SEGMENT', `segment header is of another name: ${path}`, {
      path,
      offset: 0,
      expected: name,
      actual: segmentName(header.number, header.timeline),
    });
  }
  return { path, name, fileBytes, header };
}

/** Segments of the log, oldest first, and why the walk ended where it did. */
export interface LogWalk {
  readonly segments: readonly SegmentFile[];
  /** Set when the oldest segment names a predecessor that is not in the directory. */
  readonly missing: { readonly name: string; readonly lastLsn: number } | undefined;
}

/**
 * Walks from the newest segment back by predecessor, as far as the segment numbered `through` (0:
 * to the first). Links that do not fit are a hole (L7).
 */
export async function walkLog(
  fs: FileSystem,
  directory: string,
  listing: LogListing,
  through: number,
): Promise<LogWalk> {
  const names = new Set(listing.segments.map((segment) => segment.name));
  const newest = listing.segments.at(-1);
  if (!newest) return { segments: [], missing: undefined };
  const walked = [await openSegmentFile(fs, directory, newest.name)];
  for (;;) {
    const oldest = walked.at(-1)!;
    const { predecessor } = oldest.header;
    if (!predecessor || oldest.header.number <= through) break;
    const name = segmentName(predecessor.number, predecessor.timeline);
    if (!names.has(name)) {
      return { segments: walked.toReversed(), missing: { name, lastLsn: predecessor.lastLsn } };
    }
    const file = await openSegmentFile(fs, directory, name);
    checkLink(file, oldest, listing.ancestry);
    walked.push(file);
  }
  return { segments: walked.toReversed(), missing: undefined };
}

function checkLink(older: SegmentFile, newer: SegmentFile, ancestry: Ancestry | undefined): void {
  const predecessor = newer.header.predecessor!;
  const fits =
    newer.header.firstLsn === predecessor.lastLsn + 1 &&
    older.header.firstLsn <= newer.header.firstLsn &&
    older.header.number < newer.header.number &&
    older.header.epoch <= newer.header.epoch &&
    mayContinue(ancestry, older.header, newer.header);
  if (!fits) {
    throw new CorruptionError(
      'LOG_HOLE',
      `segment does not continue its predecessor: ${newer.path}`,
      { path: newer.path, predecessor: older.path, lsn: newer.header.firstLsn },
    );
  }
  if (older.fileBytes < predecessor.end) {
    throw new CorruptionError('CORRUPT_SEGMENT', `segment is cut short: ${older.path}`, {
      path: older.path,
      offset: older.fileBytes,
      expected: predecessor.end,
      actual: older.fileBytes,
    });
  }
}
