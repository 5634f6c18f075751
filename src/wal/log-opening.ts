/*
 * Opening the log for writing, in two halves: `planOpening` reads and decides and writes nothing;
 * `applyOpening` builds the new segment (O3) and clears leftovers (O4). Nothing is served before
 * both are done.
 *
 * What is found decides what is done:
 *
 * | found                                                     | outcome                          |
 * |-----------------------------------------------------------|----------------------------------|
 * | no segment, no checkpoint record                          | a new log at LSN 1               |
 * | groups to the end, zeros behind                           | frames above the proof are copied (O3) |
 * | damage above the proved LSN in the newest segment         | torn tail: cut there, reported (L7) |
 * | damage at or below the proved LSN                         | CORRUPT_FRAME, nothing cut (L7)  |
 * | seal mark in the newest segment                           | LOG_HOLE: its successor is missing (L5) |
 * | a predecessor is missing, above low-water and checkpoint  | LOG_HOLE (L7)                    |
 * | the newest segment is shorter than its header says        | CORRUPT_SEGMENT (L2)             |
 * | the log ends before the newest checkpoint's LSN           | continues at that LSN + 1, damaged history (L7) |
 */
import { CorruptionError, toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import type { Random } from '../std/random.ts';
import { chainStart, type ChainValue } from './chain-value.ts';
import {
  encodeGroupHeader,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
  type GroupHeader,
} from './group-format.ts';
import { listLog, walkLog, type LogListing, type SegmentFile } from './log-directory.ts';
import type { LogPosition, LogRange } from './log-position.ts';
import type { LowWater } from './low-water.ts';
import {
  encodeSegmentHeader,
  segmentHeaderBytes,
  segmentName,
  temporaryName,
  type Predecessor,
  type SegmentHeader,
} from './segment-format.ts';
import { GroupScanner, readFileRange, scanSegment, type Border } from './segment-scan.ts';

/** Room of an opening's segment beside the frames that it copies (O3). */
export const openingRoomBytes: number = 1024 * 1024;

/** What an opening has to know beside the directory. */
export interface OpeningInput {
  readonly storeId: Uint8Array;
  readonly timeline: number;
  /** Position of the newest valid checkpoint record. */
  readonly checkpoint: LogPosition | undefined;
  readonly lowWater: LowWater | undefined;
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
  const listing = await listLog(fs, directory);
  const { checkpoint } = input;
  const through = Math.max(checkpoint?.segment ?? 0, input.lowWater?.segment ?? 0);
  const walk = await walkLog(fs, directory, listing, through);
  const newest = walk.segments.at(-1);
  if (!newest) return emptyPlan(listing, checkpoint);
  checkOwner(newest, input.storeId);
  const endsBefore = newest.header.number < (checkpoint?.segment ?? 0);
  if (checkpoint && endsBefore) return damagedPlan(listing, checkpoint, walk.segments);
  checkWalk(walk.segments, walk.missing, input);
  if (newest.fileBytes < newest.header.size) {
    throw new CorruptionError('CORRUPT_SEGMENT', `segment is cut short: ${newest.path}`, {
      path: newest.path,
      offset: newest.fileBytes,
      expected: newest.header.size,
      actual: newest.fileBytes,
    });
  }
  return scanNewest(fs, listing, walk.segments, checkpoint);
}

function emptyPlan(listing: LogListing, checkpoint: LogPosition | undefined): OpeningPlan {
  if (checkpoint) return damagedPlan(listing, checkpoint, []);
  return {
    listing,
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
  checkpoint: LogPosition,
  segments: readonly SegmentFile[],
): OpeningPlan {
  return {
    ...emptyPlan(listing, undefined),
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
  checkpoint: LogPosition | undefined,
): Promise<OpeningPlan> {
  const newest = segments.at(-1)!;
  const { header } = newest;
  const start = startIn(newest, checkpoint);
  const bytes = await readFileRange(fs, newest.path, start.offset);
  const before = Math.max(header.predecessor?.lastLsn ?? 0, header.firstLsn - 1, start.lsn);
  const scan = scanSegment(bytes, start.offset, header.salt, start, before);
  if (scan.sealed) {
    throw new CorruptionError('LOG_HOLE', `sealed segment has no successor: ${newest.path}`, {
      path: newest.path,
      offset: scan.end.offset,
      lsn: scan.end.lsn + 1,
    });
  }
  if (scan.proved > scan.end.lsn) {
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `${scan.damage?.why ?? 'log ends'} at or below the proved LSN ${scan.proved}: ${newest.path}`,
      { path: newest.path, offset: scan.end.offset, lsn: scan.end.lsn + 1, proved: scan.proved },
    );
  }
  const proved = provedBorder(scan.borders, scan.proved);
  const copies = scan.end.lsn > proved.lsn ? { source: newest, end: scan.end.offset } : undefined;
  return {
    listing,
    segments,
    ranges: rangesFrom(segments, checkpoint, scan.end.offset),
    proved: { ...proved, ...heldBy(segments, proved) },
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

/** Where reading starts in a segment: the checkpoint's position if it is there, else the first group. */
function startIn(segment: SegmentFile, checkpoint: LogPosition | undefined): Border {
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
 * Where the newest proves nothing of its own, that is its predecessor, at the end that it names.
 */
function heldBy(
  segments: readonly SegmentFile[],
  proved: Border,
): { segment: SegmentFile | undefined; offset: number } {
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]!;
    if (segment.header.firstLsn <= proved.lsn)
      return { segment, offset: endOf(segments, i, proved) };
    const { predecessor } = segment.header;
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

/** The segment that an opening made, ready for appends. */
export interface OpenedSegment {
  readonly handle: FileHandle;
  readonly header: SegmentHeader;
  readonly path: string;
  /** Where the next group goes. */
  readonly end: Border;
  /** What the segment's own groups hold: from here on it is read. */
  readonly start: Border;
}

/**
 * Builds the opening's segment: header naming the predecessor, copies of the frames that were not
 * proved, sync, rename, directory sync, synced proof mark (O3). Then the predecessor's seal mark,
 * and leftovers go (O4).
 */
export async function applyOpening(
  fs: FileSystem,
  directory: string,
  plan: OpeningPlan,
  input: OpeningInput,
  random: Random,
): Promise<OpenedSegment> {
  const number = plan.listing.numberMax + 1;
  const path = `${directory}/${segmentName(number, input.timeline)}`;
  const temporary = `${directory}/${temporaryName(number)}`;
  let handle: FileHandle | undefined;
  try {
    handle = await fs.open(temporary, 'create');
    const copies = await readCopies(fs, plan);
    const header = newHeader(number, plan, input, random, copies);
    const start = { offset: segmentHeaderBytes, lsn: plan.proved.lsn, chain: plan.proved.chain };
    const copied = await writeOpening(handle, header, copies, start);
    await handle.sync();
    await fs.rename(temporary, path);
    await fs.syncDirectory(directory);
    const end = await writeProofMark(handle, header, copied);
    await clearLeftovers(fs, directory, plan, number, input.lowWater?.segment ?? 0);
    return { handle, header, path, start, end };
  } catch (error) {
    await handle?.close();
    throw toStorageError(error, 'open the log', directory);
  }
}

interface CopiedGroup {
  readonly header: GroupHeader;
  readonly body: Uint8Array;
}

async function readCopies(fs: FileSystem, plan: OpeningPlan): Promise<CopiedGroup[]> {
  const { copies, proved } = plan;
  if (!copies) return [];
  const { header, path } = copies.source;
  const inSource = proved.segment === copies.source;
  const from: Border = inSource
    ? { offset: proved.offset, lsn: proved.lsn, chain: proved.chain }
    : { offset: segmentHeaderBytes, lsn: header.firstLsn - 1, chain: header.chain };
  const bytes = await readFileRange(fs, path, from.offset, copies.end);
  const scanner = new GroupScanner(bytes, from.offset, header.salt, from);
  const groups: CopiedGroup[] = [];
  for (;;) {
    const at = scanner.border.offset;
    if (at >= copies.end) break;
    const group = scanner.next();
    if (!group) {
      throw new CorruptionError('CORRUPT_FRAME', `group changed while it was copied: ${path}`, {
        path,
        offset: at,
        lsn: scanner.border.lsn + 1,
      });
    }
    if (group.kind !== groupKinds.frames) continue;
    const bodyStart = scanner.bodyStart(at);
    groups.push({ header: group, body: bytes.subarray(bodyStart, bodyStart + group.bodyBytes) });
  }
  return groups;
}

function newHeader(
  number: number,
  plan: OpeningPlan,
  input: OpeningInput,
  random: Random,
  copies: readonly CopiedGroup[],
): SegmentHeader {
  const salt = new Uint8Array(8);
  random.fill(salt);
  const { proved } = plan;
  const predecessor: Predecessor | undefined = proved.segment && {
    number: proved.segment.header.number,
    timeline: proved.segment.header.timeline,
    lastLsn: proved.lsn,
    end: proved.offset,
  };
  const copiedBytes = copies.reduce((sum, copy) => sum + groupBytes(copy.body.length), 0);
  return {
    storeId: input.storeId,
    timeline: input.timeline,
    epoch: plan.epochMax + 1,
    number,
    firstLsn: proved.lsn + 1,
    size: segmentHeaderBytes + copiedBytes + openingRoomBytes,
    salt,
    predecessor,
    chain: proved.chain,
  };
}

async function writeOpening(
  handle: FileHandle,
  header: SegmentHeader,
  copies: readonly CopiedGroup[],
  start: Border,
): Promise<Border> {
  const content = new Uint8Array(header.size);
  content.set(encodeSegmentHeader(header), 0);
  let border = start;
  for (const copy of copies) {
    const group = { ...copy.header, durableLsn: start.lsn };
    encodeGroupHeader(content, border.offset, group, header.salt, border.offset);
    content.set(copy.body, border.offset + groupHeaderBytes);
    border = {
      offset: border.offset + groupBytes(copy.body.length),
      lsn: border.lsn + group.recordCount,
      chain: group.chain,
    };
  }
  await handle.write(content, 0);
  return border;
}

/** Writes and syncs a mark that names the LSN behind which it stands. */
async function writeProofMark(
  handle: FileHandle,
  header: SegmentHeader,
  at: Border,
): Promise<Border> {
  await handle.write(encodeMark('proof', header.salt, at, at.lsn), at.offset);
  await handle.sync();
  return { ...at, offset: at.offset + groupHeaderBytes };
}

/** Bytes of a mark that stands at a border. */
export function encodeMark(
  kind: 'proof' | 'seal',
  salt: Uint8Array,
  at: Border,
  durableLsn: number,
): Uint8Array {
  const mark = new Uint8Array(groupHeaderBytes);
  const header: GroupHeader = {
    kind: groupKinds[kind],
    bodyBytes: 0,
    frameCount: 0,
    recordCount: 0,
    firstLsn: at.lsn + 1,
    durableLsn,
    chain: at.chain,
    bodyCrc: 0,
  };
  encodeGroupHeader(mark, 0, header, salt, at.offset);
  return mark;
}

async function clearLeftovers(
  fs: FileSystem,
  directory: string,
  plan: OpeningPlan,
  number: number,
  lowWaterSegment: number,
): Promise<void> {
  const { segment, offset, lsn, chain } = plan.proved;
  if (segment) {
    const handle = await fs.open(segment.path, 'write');
    try {
      const mark = encodeMark('seal', segment.header.salt, { offset, lsn, chain }, lsn);
      await handle.write(mark, offset);
      await handle.sync();
      await handle.truncate(offset + groupHeaderBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
  // Damaged history may still be needed by a person; it stays (O5).
  const proofless = plan.damagedHistory
    ? []
    : plan.listing.segments.filter(
        (other) =>
          other.number < lowWaterSegment ||
          (other.number > (segment?.header.number ?? 0) && other.number < number),
      );
  for (const { name } of proofless) await fs.unlink(`${directory}/${name}`);
  for (const name of plan.listing.temporaryNames) await fs.unlink(`${directory}/${name}`);
  await fs.syncDirectory(directory);
}
