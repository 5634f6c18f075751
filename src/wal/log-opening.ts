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
 * | the same, and that checkpoint stands for a loss           | the same, without a look at the log before it |
 */
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { chainStart, sameChain, type ChainValue } from './chain-value.ts';
import { listLog, walkLog, type LogListing, type SegmentFile } from './log-directory.ts';
import { readLogMark, type LogMark } from './log-mark.ts';
import type { LogPosition, LogRange } from './log-position.ts';
import type { LowWater } from './low-water.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import { GroupScanner, readFileRange, scanSegment, type Border } from './segment-scan.ts';

/** What an opening has to know beside the directory. */
export interface OpeningInput {
  /** Holds the mark of the log, which the directory of the segments does not. */
  readonly storeDirectory: string;
  readonly storeId: Uint8Array;
  readonly timeline: number;
  /** Position of the newest valid checkpoint record. */
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
  readonly copies: { readonly source: SegmentFile; readonly end: number } | undefined;
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
  const listing = await listLog(fs, directory);
  const { checkpoint, logGivenUp = false } = input;
  if (checkpoint && logGivenUp && (listing.segments.at(-1)?.number ?? 0) < checkpoint.segment) {
    return damagedPlan(listing, mark, checkpoint, []);
  }
  const through = Math.max(checkpoint?.segment ?? 0, input.lowWater?.segment ?? 0);
  const walk = await walkLog(fs, directory, listing, through);
  const newest = walk.segments.at(-1);
  if (newest) checkOwner(newest, input.storeId);
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

function lostLog(directory: string): CorruptionError {
  return new CorruptionError('LOG_HOLE', `log has had a segment and has none: ${directory}`, {
    path: directory,
    lsn: 1,
  });
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

function checkOwner(newest: SegmentFile, storeId: Uint8Array): void {
  if (Buffer.compare(newest.header.storeId, storeId) === 0) return;
  throw new CorruptionError('CORRUPT_SEGMENT', `segment is of another store: ${newest.path}`, {
    path: newest.path,
    offset: 8,
  });
}

/** Trimming keeps the newest segment: a log that ends below its low-water record has lost it. */
function checkLowWater(directory: string, newest: number, lowWater: LowWater | undefined): void {
  if (!lowWater || newest >= lowWater.segment) return;
  throw new CorruptionError(
    'LOG_HOLE',
    `log has no segment at or above its low-water record: ${directory}`,
    { path: directory, lsn: lowWater.lsn, expected: lowWater.segment, actual: newest },
  );
}

/** The walk has to reach the checkpoint's segment, the low-water record, or the first LSN. */
function checkWalk(
  segments: readonly SegmentFile[],
  missing: { name: string; lastLsn: number } | undefined,
  input: OpeningInput,
): void {
  const { checkpoint, lowWater } = input;
  const first = segments[0]!;
  const { firstLsn, predecessor } = first.header;
  const needed = checkpoint ? checkpoint.lsn + 1 : (lowWater?.lsn ?? 1);
  const reached = checkpoint
    ? segments.some((segment) => segment.header.number === checkpoint.segment) ||
      // A log that was started again behind its newest record (damaged history).
      (!predecessor && firstLsn === needed)
    : firstLsn <= needed;
  if (reached) return;
  throw new CorruptionError(
    'LOG_HOLE',
    missing
      ? `segment is missing from the log: ${missing.name}`
      : `log starts at LSN ${firstLsn} where ${needed} is needed: ${first.path}`,
    { path: first.path, lsn: needed, missing: missing?.name, firstLsn },
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

/** A segment's file is as long as its header and its proof say (L2). */
function checkSize(segment: SegmentFile, bytesLeast: number): void {
  if (segment.fileBytes >= bytesLeast) return;
  const { path, fileBytes } = segment;
  throw new CorruptionError('CORRUPT_SEGMENT', `segment is cut short: ${path}`, {
    path,
    offset: fileBytes,
    expected: bytesLeast,
    actual: fileBytes,
  });
}

/**
 * The newest segment proves nothing of its own, so the log is about to be sealed and cut in the one
 * before it. That is done only where the groups up to there are whole (L6, L7).
 */
async function checkHeld(
  fs: FileSystem,
  held: SegmentFile,
  due: Border,
  checkpoint: LogPosition | undefined,
): Promise<void> {
  const { path, header } = held;
  const from = startIn(held, checkpoint);
  const bytes = await readFileRange(fs, path, from.offset, due.offset);
  const scanner = new GroupScanner(bytes, from.offset, header.salt, from);
  while (scanner.border.offset < due.offset && scanner.next());
  const { offset, lsn, chain } = scanner.border;
  if (scanner.fault !== undefined) {
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `group ${scanner.fault} at or below the proved LSN ${due.lsn}: ${path}`,
      { path, offset, lsn: lsn + 1, proved: due.lsn },
    );
  }
  if (offset === due.offset && lsn === due.lsn && sameChain(chain, due.chain)) return;
  throw new CorruptionError(
    'LOG_HOLE',
    `segment ends at LSN ${lsn}, its successor continues another end: ${path}`,
    { path, offset, lsn: lsn + 1, expected: due, actual: scanner.border },
  );
}

/** Where reading starts in a segment: the checkpoint's position if it is there, else the first group. */
export function startIn(segment: SegmentFile, checkpoint: LogPosition | undefined): Border {
  if (checkpoint && checkpoint.segment === segment.header.number) return checkpoint;
  return {
    offset: segmentHeaderBytes,
    lsn: segment.header.firstLsn - 1,
    chain: segment.header.chain,
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
