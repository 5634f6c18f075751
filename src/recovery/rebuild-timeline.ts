/*
 * The record of a timeline that is lost or damaged, from the header of the timeline's first segment, which
 * names the place in the other one's log where it went on (T1), and from what stands there. While
 * that segment is kept. Reads only.
 *
 * The first groups of that segment are the frames that both share of a group, then comes a proof mark
 * (O3), before anything is served: so the LSN at the first mark is the last one that both have. Not so
 * where a crash came before anything of the timeline was proved: then a later opening has made its first
 * segment, and what it copied is the timeline's own. The chain values of the frames tell the two apart.
 */
import type { TimelineRecord } from '../checkpoint/timelines/timeline-record.ts';
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import { CorruptionError, IncompatibleError, NotFoundError } from '../errors.ts';
import { decodeCommitHeader } from '../snapshot/commit-format.ts';
import { toHex } from '../std/bytes.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { sameChain } from '../wal/chain-value.ts';
import { readCopies } from '../wal/frame-copies.ts';
import { groupKinds } from '../wal/group-format.ts';
import { listLog, openSegmentFile, type SegmentFile } from '../wal/log-directory.ts';
import { readRecords } from '../wal/log-records.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';
import { GroupScanner, readFileRange, type Border } from '../wal/segment-scan.ts';
import { logDirectoryOf, readLogMoment, type ReaderSource } from './reader-moment.ts';

/** The record; undefined: its first segment, or what that goes on from, is not kept or cannot be read. */
export async function rebuildTimeline(
  source: ReaderSource,
  identity: StoreIdentity,
  timelines: Timelines,
  id: number,
): Promise<TimelineRecord | undefined> {
  const first = await firstSegment(source, id);
  const before = first?.header.predecessor;
  if (!first || !before || before.timeline >= id) return undefined;
  const { header } = first;
  const copied = await throughFirstMark(source, first);
  const parent = (await segmentsOf(source, before.timeline)).find(
    (file) => file.header.number === before.number,
  );
  const due = { offset: before.end, lsn: before.lastLsn, chain: header.chain };
  const shared = await sharedWith(source, parent, due, copied);
  if (!shared) return undefined;
  const isForeign = parent && Buffer.compare(parent.header.storeId, identity.storeId) !== 0;
  const borders = parent ? await bordersAt(source, parent, due, shared.lsn) : undefined;
  const { at, behind } = borders ?? { at: due, behind: due };
  const position = { ...at, segment: before.number, timeline: before.timeline };
  const end = at.lsn === shared.lsn ? at.offset : behind.offset;
  const forkTimestamp =
    (await timestampIn(source, first, shared, shared.lsn)) ??
    (parent && (await timestampIn(source, parent, at, shared.lsn)));
  return {
    id,
    storeId: toHex(identity.storeId),
    fork: { parent: before.timeline, lsn: shared.lsn, position, end },
    forkTimestamp: forkTimestamp ?? header.createdAt,
    createdAt: header.createdAt,
    epoch: header.epoch - 1,
    // Each timeline is one above the one that was current.
    from: { timeline: id - 1, lsn: await endOf(source, identity, timelines, id - 1, shared.lsn) },
    ...(isForeign && { store: toHex(parent.header.storeId) }),
  };
}

/** The segment of a timeline that goes on in another one, by the walk back from its newest (O2). */
async function firstSegment(source: ReaderSource, id: number): Promise<SegmentFile | undefined> {
  const files = await segmentsOf(source, id);
  let file = files.at(-1);
  while (file?.header.predecessor?.timeline === id) {
    const { number } = file.header.predecessor;
    file = files.find(({ header }) => header.number === number && number < file!.header.number);
  }
  return file;
}

/** Segments of a timeline whose headers can be read, by number. */
async function segmentsOf(source: ReaderSource, id: number): Promise<SegmentFile[]> {
  const directory = logDirectoryOf(source);
  const files: SegmentFile[] = [];
  for (const { name, timeline } of (await listLog(source.fs, directory)).segments) {
    if (timeline !== id) continue;
    try {
      files.push(await openSegmentFile(source.fs, directory, name));
    } catch (error) {
      if (!(error instanceof CorruptionError || error instanceof IncompatibleError)) throw error;
    }
  }
  return files;
}

function scannerOf({ header }: SegmentFile, bytes: Uint8Array, from: Border): GroupScanner {
  return new GroupScanner(bytes, from.offset, header.salt, from);
}

function startOf({ header }: SegmentFile): Border {
  return { offset: segmentHeaderBytes, lsn: header.firstLsn - 1, chain: header.chain };
}

/** Behind the frames that a timeline begins with; without a mark nothing was served of it. */
async function throughFirstMark({ fs }: ReaderSource, file: SegmentFile): Promise<Border> {
  const start = startOf(file);
  const scanner = scannerOf(file, await readFileRange(fs, file.path, start.offset), start);
  let { border } = scanner;
  for (let group = scanner.next(); group?.kind === groupKinds.frames; group = scanner.next()) {
    ({ border } = scanner);
  }
  return border;
}

/**
 * Behind the frames that both timelines have, of those that one of them begins with; undefined: what the other
 * has there cannot be read.
 */
async function sharedWith(
  { fs }: ReaderSource,
  parent: SegmentFile | undefined,
  due: Border,
  copied: Border,
): Promise<Border | undefined> {
  if (copied.lsn === due.lsn) return due;
  if (!parent) return undefined;
  const bytes = await readFileRange(fs, parent.path, due.offset);
  const scanner = scannerOf(parent, bytes, due);
  let before = due;
  while (scanner.border.lsn < copied.lsn) {
    before = scanner.border;
    const group = scanner.next();
    if (group && group.kind !== groupKinds.seal) continue;
    const isEnd = group || bytes.subarray(before.offset - due.offset).every((byte) => byte === 0);
    return isEnd ? due : undefined;
  }
  const cut = { end: scanner.border.offset, throughLsn: copied.lsn };
  const last = (await readCopies(fs, parent, before, cut)).at(-1);
  return last && sameChain(last.header.chain, copied.chain) ? copied : due;
}

/**
 * The last border at or before an LSN, marks included, so that no checkpoint stands behind it, and the
 * next one. Of a fork that can be one mark more than its parent had.
 */
async function bordersAt(
  { fs }: ReaderSource,
  file: SegmentFile,
  from: Border,
  lsn: number,
): Promise<{ at: Border; behind: Border }> {
  const scanner = scannerOf(file, await readFileRange(fs, file.path, from.offset), from);
  let at = from;
  for (let group = scanner.next(); group; group = scanner.next()) {
    if (group.kind === groupKinds.seal || scanner.border.lsn > lsn) break;
    at = scanner.border;
  }
  return { at, behind: scanner.border };
}

/** Time of a commit of a segment; undefined: it is not in there. */
async function timestampIn(
  { fs }: ReaderSource,
  { path, header }: SegmentFile,
  { offset: end }: Border,
  lsn: number,
): Promise<number | undefined> {
  const { salt, firstLsn, chain } = header;
  if (lsn < firstLsn) return undefined;
  const range = { path, salt, start: segmentHeaderBytes, end, firstLsn, chain };
  for await (const { bytes } of readRecords(fs, [range], lsn)) {
    return decodeCommitHeader(bytes, 0, bytes.length).timestamp;
  }
  return undefined;
}

/** The last LSN of a timeline, for people; where it cannot be read, the one that both share. */
async function endOf(
  source: ReaderSource,
  identity: StoreIdentity,
  timelines: Timelines,
  timeline: number,
  shared: number,
): Promise<number> {
  try {
    const moment = await readLogMoment(source, source.fs, identity, { timelines, timeline });
    return moment.lsn;
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof NotFoundError) return shared;
    throw error;
  }
}
