/*
 * Opening the log for writing, first half: `planOpening` reads and decides and writes nothing.
 * `applyOpening` (opening-segment.ts) then builds the new segment (O3) and clears leftovers (O4).
 * Nothing is served before both are done. Readers plan as well, and go no further.
 *
 * What is found decides what is done:
 *
 * | found                                                     | outcome                          |
 * |-----------------------------------------------------------|----------------------------------|
 * | no segment, no mark, no checkpoint record, no low-water record | a new log at LSN 1          |
 * | no segment and no checkpoint record, but a mark           | LOG_HOLE: there was a segment    |
 * | groups to the end, zeros behind                           | frames above the proof are copied (O3) |
 * | damage above the proved LSN in the newest segment         | torn tail: cut there, reported (L7) |
 * | damage at or below the proved LSN                         | CORRUPT_FRAME, nothing cut (L7)  |
 * | the same in the predecessor of a newest segment that proves nothing | CORRUPT_FRAME, or LOG_HOLE where it ends at another LSN |
 * | seal mark in the newest segment                           | LOG_HOLE: its successor is missing (L5) |
 * | a predecessor is missing, above low-water and checkpoint  | LOG_HOLE (L7)                    |
 * | every segment is below the low-water record               | LOG_HOLE: the newest one always stays (R2) |
 * | the newest segment is shorter than its header says        | CORRUPT_SEGMENT (L2)             |
 * | the log ends before the newest checkpoint's LSN           | continues at that LSN + 1, damaged history (L7) |
 * | the same, and that checkpoint stands for a loss           | the same, without a look at the log before it, or at the fork |
 * | a timeline that is not the first, no segment of it, and the mark knows of none | it goes on where it left the one before (T1) |
 * | the same, and the mark knows of one                       | LOG_HOLE                         |
 * | a segment of a timeline that no record knows              | CORRUPT_RECORD                   |
 */
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { must } from '../std/assert.ts';
import { firstAncestry, type Ancestry, type TimelineFork } from './ancestry.ts';
import { chainStart, type ChainValue } from './chain-value.ts';
import { readCopies, type CopyEnd } from './frame-copies.ts';
import { listLog, walkLog, type LogListing, type SegmentFile } from './log-directory.ts';
import { readLogMark, type LogMark } from './log-mark.ts';
import type { LogPosition, LogRange } from './log-position.ts';
import type { LowWater } from './low-water.ts';
import {
  checkHeld,
  checkLowWater,
  checkOwner,
  checkSize,
  checkWalk,
  lostLog,
  startIn,
} from './opening-checks.ts';
import { readFileRange, scanSegment, type Border } from './segment-scan.ts';

/** What an opening has to know beside the directory. */
export interface OpeningInput {
  /** Holds the mark of the log, which the directory of the segments does not. */
  readonly storeDirectory: string;
  readonly storeId: Uint8Array;
  /** Of the timeline whose log it is. @defaultValue that of a store that was never rewound */
  readonly ancestry?: Ancestry;
  /** Position of the newest valid checkpoint record of that ancestry. */
  readonly checkpoint: LogPosition | undefined;
  readonly lowWater: LowWater | undefined;
  /**
   * The checkpoint stands for what was left after a loss: the log before the one that it starts is
   * not looked at, whatever is wrong with it. @defaultValue false
   */
  readonly logGivenUp?: boolean;
  /**
   * Room of the opening's segment beside the frames that it copies (O3); less where the space is not
   * there. @defaultValue 1 MiB
   */
  readonly roomBytes?: number;
  /**
   * Greatest LSN that is proved elsewhere: by a checkpoint record whose chain cannot be used.
   * @defaultValue none
   */
  readonly provedKnown?: number;
  /** Greatest epoch that is known from elsewhere: the newest checkpoint record's. */
  readonly epochKnown?: number;
}

/** The end of the log that was cut, because it was not proved and did not verify. */
export interface TornTail {
  readonly path: string;
  readonly offset: number;
  /** First LSN that is no longer provable. */
  readonly lsn: number;
  readonly why: string;
}

/** What was found, and what an opening for writing will do. */
export interface OpeningPlan {
  readonly listing: LogListing;
  /** Undefined: the log has had no segment, or a crash came before it could be said. */
  readonly mark: LogMark | undefined;
  /** Segments of the log from the one that holds the checkpoint's position (or the first) on. */
  readonly segments: readonly SegmentFile[];
  /** Everything behind the checkpoint's position, to be replayed. */
  readonly ranges: readonly LogRange[];
  readonly proved: Border & { readonly segment: SegmentFile | undefined };
  /** Behind the last frame that stays. */
  readonly lastLsn: number;
  readonly lastChain: ChainValue;
  /** Frames above the proved LSN, to be copied; they stand in the newest segment. */
  readonly copies: ({ readonly source: SegmentFile } & CopyEnd) | undefined;
  readonly tornTail: TornTail | undefined;
  /** The log ends before the checkpoint's LSN (L7). */
  readonly damagedHistory: boolean;
  readonly epochMax: number;
}

/** Reads the directory and decides; writes nothing. */
export async function planOpening(
  fs: FileSystem,
  directory: string,
  input: OpeningInput,
): Promise<OpeningPlan> {
  // Before the segments: whoever makes the first one puts the mark behind it.
  const mark = await readLogMark(fs, input.storeDirectory, input.storeId);
  const { ancestry = firstAncestry } = input;
  const listing = await listOpening(fs, directory, ancestry, input);
  const { checkpoint, logGivenUp = false } = input;
  // First: what was lost can be the place where the timeline began.
  if (checkpoint && logGivenUp && (listing.segments.at(-1)?.number ?? 0) < checkpoint.segment) {
    return damagedPlan(listing, mark, checkpoint, []);
  }
  // A checkpoint behind the fork says that the timeline has had segments.
  if (listing.fork && (checkpoint?.lsn ?? 0) <= listing.fork.lsn) {
    if (mark && mark.timeline >= ancestry.timeline) throw lostLog(directory);
    const { fork } = listing;
    return planAtFork(fs, directory, { listing, mark, fork }, input);
  }
  const through = Math.max(checkpoint?.segment ?? 0, input.lowWater?.segment ?? 0);
  const walk = await walkLog(fs, directory, listing, through);
  const newest = walk.segments.at(-1);
  if (newest) checkOwner(newest, input.storeId, ancestry);
  const number = newest?.header.number ?? 0;
  if (checkpoint && number < checkpoint.segment) {
    return damagedPlan(listing, mark, checkpoint, walk.segments);
  }
  checkLowWater(directory, number, input.lowWater);
  if (!newest) {
    if (mark) throw lostLog(directory);
    return emptyPlan(listing, mark);
  }
  checkWalk(walk.segments, walk.missing, input);
  return { ...(await scanNewest(fs, listing, walk.segments, input)), mark };
}

function emptyPlan(listing: LogListing, mark: LogMark | undefined): OpeningPlan {
  return {
    listing,
    mark,
    segments: [],
    ranges: [],
    proved: { offset: 0, lsn: 0, chain: chainStart, segment: undefined },
    lastLsn: 0,
    lastChain: chainStart,
    copies: undefined,
    tornTail: undefined,
    damagedHistory: false,
    epochMax: 0,
  };
}

function damagedPlan(
  listing: LogListing,
  mark: LogMark | undefined,
  checkpoint: LogPosition,
  segments: readonly SegmentFile[],
): OpeningPlan {
  // Numbers go on behind the record's: it must not seem to be of a segment that comes later.
  const numberMax = Math.max(listing.numberMax, checkpoint.segment);
  return {
    ...emptyPlan({ ...listing, numberMax }, mark),
    proved: { offset: 0, lsn: checkpoint.lsn, chain: checkpoint.chain, segment: undefined },
    lastLsn: checkpoint.lsn,
    lastChain: checkpoint.chain,
    damagedHistory: true,
    epochMax: Math.max(0, ...segments.map((segment) => segment.header.epoch)),
  };
}

/** Of a timeline that was left, what a collection has begun to take is gone (R2). */
async function listOpening(
  fs: FileSystem,
  directory: string,
  ancestry: Ancestry,
  { lowWater }: OpeningInput,
): Promise<LogListing> {
  const listing = await listLog(fs, directory, ancestry);
  const first = lowWater?.segment ?? 0;
  if (ancestry.timeline === ancestry.newest) return listing;
  return { ...listing, segments: listing.segments.filter(({ number }) => number >= first) };
}

/** What a timeline without a segment of its own starts from. */
interface AtFork {
  readonly listing: LogListing;
  readonly mark: LogMark | undefined;
  readonly fork: TimelineFork;
}

/**
 * A timeline that stands where it left the one before. The frames that both have of the group at the
 * fork are copied, as those are that an opening could not prove (O3): so its first segment goes
 * on at the end of a group, and nobody else has to read groups in part.
 */
async function planAtFork(
  fs: FileSystem,
  directory: string,
  { listing, mark, fork }: AtFork,
  input: OpeningInput,
): Promise<OpeningPlan> {
  const { checkpoint, lowWater, storeId, ancestry = firstAncestry } = input;
  const { position, end, lsn } = fork;
  const at = { ...emptyPlan(listing, mark), lastLsn: lsn };
  if (position.segment === 0) {
    if ((checkpoint?.lsn ?? 0) !== lsn) throw lostFork(directory, fork);
    const proved = { offset: 0, lsn, chain: position.chain, segment: undefined };
    return { ...at, proved, lastChain: position.chain };
  }
  const through = Math.max(checkpoint?.segment ?? 0, lowWater?.segment ?? 0);
  const { segments, missing } = await walkLog(fs, directory, listing, through);
  const newest = segments.at(-1);
  if (newest?.header.number !== position.segment) throw lostFork(directory, fork);
  checkOwner(newest, storeId, ancestry);
  checkWalk(segments, missing, input);
  await checkHeld(fs, newest, position, checkpoint);
  const isWhole = position.lsn === lsn;
  return {
    ...at,
    segments,
    ranges: rangesFrom(segments, checkpoint, end),
    proved: { ...position, segment: newest },
    lastChain: isWhole ? position.chain : await chainAt(fs, newest, fork),
    copies: isWhole ? undefined : { source: newest, end, throughLsn: lsn },
    epochMax: Math.max(...segments.map((segment) => segment.header.epoch)),
  };
}

async function chainAt(
  fs: FileSystem,
  source: SegmentFile,
  { position, end, lsn: throughLsn }: TimelineFork,
): Promise<ChainValue> {
  const copies = await readCopies(fs, source, position, { end, throughLsn });
  return must(copies.at(-1), 'a group holds the LSN').header.chain;
}

function lostFork(directory: string, { lsn, position }: TimelineFork): CorruptionError {
  return new CorruptionError(
    'LOG_HOLE',
    `log is not kept where its timeline begins, at LSN ${lsn}: ${directory}`,
    { path: directory, lsn, segment: position.segment },
  );
}

async function scanNewest(
  fs: FileSystem,
  listing: LogListing,
  segments: readonly SegmentFile[],
  { checkpoint, provedKnown = 0 }: OpeningInput,
): Promise<Omit<OpeningPlan, 'mark'>> {
  const newest = segments.at(-1)!;
  const { header } = newest;
  const start = startIn(newest, checkpoint);
  const bytes = await readFileRange(fs, newest.path, start.offset);
  const before = Math.max(
    header.predecessor?.lastLsn ?? 0,
    header.firstLsn - 1,
    start.lsn,
    provedKnown,
  );
  const scan = scanSegment(bytes, start.offset, header.salt, start, before);
  if (scan.sealed) {
    throw new CorruptionError('LOG_HOLE', `sealed segment has no successor: ${newest.path}`, {
      path: newest.path,
      offset: scan.end.offset,
      lsn: scan.end.lsn + 1,
    });
  }
  checkSize(newest, Math.max(header.size, start.offset));
  if (scan.proved > scan.end.lsn) {
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `${scan.damage?.why ?? 'log ends'} at or below the proved LSN ${scan.proved}: ${newest.path}`,
      { path: newest.path, offset: scan.end.offset, lsn: scan.end.lsn + 1, proved: scan.proved },
    );
  }
  const proved = provedBorder(scan.borders, scan.proved);
  const copies = scan.end.lsn > proved.lsn ? { source: newest, end: scan.end.offset } : undefined;
  const held = heldBy(segments, proved, checkpoint);
  if (held.segment && held.segment !== newest) {
    await checkHeld(fs, held.segment, { ...proved, offset: held.offset }, checkpoint);
  }
  return {
    listing,
    segments,
    ranges: rangesFrom(segments, checkpoint, scan.end.offset),
    proved: { ...proved, ...held },
    lastLsn: scan.end.lsn,
    lastChain: scan.end.chain,
    copies,
    tornTail: scan.damage && {
      path: newest.path,
      offset: scan.damage.offset,
      lsn: scan.end.lsn + 1,
      why: scan.damage.why,
    },
    damagedHistory: false,
    epochMax: Math.max(...segments.map((segment) => segment.header.epoch)),
  };
}

/** The last border at or below the proved LSN; proofs always name the end of a group. */
function provedBorder(borders: readonly Border[], proved: number): Border {
  let found = borders[0]!;
  for (const border of borders) if (border.lsn <= proved) found = border;
  return found;
}

/**
 * The segment that the new one names as predecessor: the one that holds the last proved LSN (O3).
 * Where the newest proves nothing of its own, that is its predecessor, at the end that it names;
 * but a segment that the checkpoint's position names stays in the log, so that it is found again.
 */
function heldBy(
  segments: readonly SegmentFile[],
  proved: Border,
  checkpoint: LogPosition | undefined,
): { segment: SegmentFile | undefined; offset: number } {
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]!;
    const { firstLsn, number, predecessor } = segment.header;
    if (firstLsn <= proved.lsn || number === checkpoint?.segment) {
      return { segment, offset: endOf(segments, i, proved) };
    }
    if (!predecessor) break;
  }
  return { segment: undefined, offset: 0 };
}

function endOf(segments: readonly SegmentFile[], index: number, proved: Border): number {
  return segments[index + 1]?.header.predecessor?.end ?? proved.offset;
}

function rangesFrom(
  segments: readonly SegmentFile[],
  checkpoint: LogPosition | undefined,
  endOfNewest: number,
): LogRange[] {
  const ranges: LogRange[] = [];
  segments.forEach((segment, i) => {
    const { header, path } = segment;
    if (checkpoint && header.number < checkpoint.segment) return;
    const start = startIn(segment, checkpoint);
    const end = segments[i + 1]?.header.predecessor?.end ?? endOfNewest;
    if (end <= start.offset) return;
    const { offset, lsn, chain } = start;
    ranges.push({ path, salt: header.salt, start: offset, end, firstLsn: lsn + 1, chain });
  });
  return ranges;
}
