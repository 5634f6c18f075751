/*
 * Opening the log for writing, second half: builds the opening's own segment as planned (O3), marks
 * what has to be known of the log beside its segments, and clears leftovers (O4). Any of its calls
 * may be the last before a crash: the next opening plans anew and finds the same log.
 */
import { StorageError, toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import { firstAncestry } from './ancestry.ts';
import { copiedBytes, readCopies, writeCopies, type CopiedGroup } from './frame-copies.ts';
import { groupHeaderBytes } from './group-format.ts';
import {
  completeSeal,
  endBeforeMark,
  sealPredecessor,
  unlinkLeftovers,
  unlinkTemporaries,
} from './leftovers.ts';
import { withLoss, writeLogMark } from './log-mark.ts';
import type { OpeningInput, OpeningPlan } from './log-opening.ts';
import { encodeMark } from './marks.ts';
import { startIn } from './opening-checks.ts';
import {
  encodeSegmentHeader,
  segmentHeaderBytes,
  segmentName,
  temporaryName,
  type Predecessor,
  type SegmentHeader,
} from './segment-format.ts';
import type { Border } from './segment-scan.ts';

/** Room of an opening's segment beside the frames that it copies (O3). */
export const openingRoomBytes: number = 1024 * 1024;
/** The least room: for marks and some commits. A full disk still opens with this. */
export const openingRoomLeast: number = 8 * 1024;

/** Where time and salt come from. */
export interface OpeningComponents {
  readonly clock: Clock;
  readonly random: Random;
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
 * Makes sure of the marks that the predecessor ends with; builds the opening's segment: header naming the predecessor, copies of the frames that were not
 * proved, sync, rename, directory sync, synced proof mark (O3). Then the mark of the log where it
 * has none, the predecessor's seal mark, and leftovers go (O4).
 */
export async function applyOpening(
  fs: FileSystem,
  directory: string,
  plan: OpeningPlan,
  input: OpeningInput,
  on: OpeningComponents,
): Promise<OpenedSegment> {
  const { proved } = plan;
  let provedEnd: Border = proved;
  const { timeline } = input.ancestry ?? firstAncestry;
  const number = plan.listing.numberMax + 1;
  const path = `${directory}/${segmentName(number, timeline)}`;
  const temporary = `${directory}/${temporaryName(number)}`;
  let handle: FileHandle | undefined;
  try {
    await unlinkTemporaries(fs, directory, plan.listing);
    if (proved.segment) {
      await completeSeal(fs, directory, plan.segments, proved.segment);
      // The end of an older one was named before; and what a checkpoint stands behind is durable.
      const { segment, offset = 0 } = input.checkpoint ?? {};
      const isHeld = segment === proved.segment.header.number && offset >= proved.offset;
      const isNewest = proved.segment === plan.segments.at(-1);
      if (isNewest && !isHeld) provedEnd = await endBeforeMark(fs, proved.segment, proved);
    }
    const copies = await copiesOf(fs, plan);
    const room = openingRoom(fs, directory, segmentHeaderBytes + copiedBytes(copies), input);
    const header = newHeader(
      number,
      { ...plan, end: provedEnd.offset },
      input,
      on,
      copiedBytes(copies) + room,
    );
    const start = { offset: segmentHeaderBytes, lsn: plan.proved.lsn, chain: plan.proved.chain };
    const content = new Uint8Array(header.size);
    content.set(encodeSegmentHeader(header), 0);
    const copied = writeCopies(content, header, copies, start);
    await markLoss(fs, plan, input);
    handle = await fs.open(temporary, 'create');
    await handle.write(content, 0);
    await handle.sync();
    await fs.rename(temporary, path);
    await fs.syncDirectory(directory);
    const end = await writeProofMark(handle, header, copied);
    // Segments without a mark: a first opening that ended here, or this one is the first.
    if ((plan.mark?.timeline ?? 0) < timeline && !plan.damagedHistory) {
      const mark = { lostBehind: plan.mark?.lostBehind ?? [], timeline };
      await writeLogMark(fs, input.storeDirectory, input.storeId, mark);
    }
    // A segment of another timeline goes on there with that timeline's own future (T1).
    if (proved.segment?.header.timeline === timeline) {
      await sealPredecessor(fs, proved.segment, provedEnd);
    }
    await unlinkLeftovers(fs, directory, plan.listing, {
      timeline,
      number,
      predecessor: proved.segment?.header.number ?? 0,
      walked: plan.segments,
      lowWaterSegment: input.lowWater?.segment ?? 0,
    });
    return { handle, header, path, start, end };
  } catch (error) {
    await handle?.close();
    throw toStorageError(error, 'open the log', directory);
  }
}

/**
 * Commits behind the checkpoint may be lost (L7). Said before the new segment is renamed in: with it
 * the log goes on at the checkpoint's LSN, and nothing in the directory tells any more.
 */
async function markLoss(fs: FileSystem, plan: OpeningPlan, input: OpeningInput): Promise<void> {
  if (!plan.damagedHistory) return;
  const { timeline } = input.ancestry ?? firstAncestry;
  const mark = withLoss(plan.mark, plan.lastLsn, timeline);
  await writeLogMark(fs, input.storeDirectory, input.storeId, mark);
}

/** The room that is asked for, or the least where the volume has not got it. */
function openingRoom(
  fs: FileSystem,
  directory: string,
  usedBytes: number,
  { roomBytes = openingRoomBytes }: OpeningInput,
): number {
  const free = fs.freeBytes(directory);
  if (free >= usedBytes + roomBytes) return roomBytes;
  const least = Math.min(roomBytes, openingRoomLeast);
  const needed = usedBytes + least;
  if (free >= needed) return least;
  throw new StorageError(
    'NO_SPACE',
    `not enough free space to open the log: ${needed} bytes needed, ${free} free: ${directory}`,
    { path: directory, needed, free },
  );
}

/** The frames above the proved LSN; the scan found them in the newest segment. */
async function copiesOf(fs: FileSystem, plan: OpeningPlan): Promise<CopiedGroup[]> {
  const { copies, proved } = plan;
  if (!copies) return [];
  const { source } = copies;
  const from = proved.segment === source ? proved : startIn(source, undefined);
  return readCopies(fs, source, from, copies);
}

function newHeader(
  number: number,
  plan: OpeningPlan & { readonly end: number },
  input: OpeningInput,
  { clock, random }: OpeningComponents,
  bytes: number,
): SegmentHeader {
  const salt = new Uint8Array(8);
  random.fill(salt);
  const { proved } = plan;
  const { timeline, epoch } = input.ancestry ?? firstAncestry;
  const predecessor: Predecessor | undefined = proved.segment && {
    number: proved.segment.header.number,
    timeline: proved.segment.header.timeline,
    lastLsn: proved.lsn,
    end: plan.end,
  };
  return {
    storeId: input.storeId,
    timeline,
    epoch: Math.max(plan.epochMax, input.epochKnown ?? 0, epoch) + 1,
    number,
    firstLsn: proved.lsn + 1,
    size: segmentHeaderBytes + bytes,
    salt,
    predecessor,
    chain: proved.chain,
    createdAt: Math.max(clock.nowMicros(), ...plan.segments.map(({ header }) => header.createdAt)),
  };
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
