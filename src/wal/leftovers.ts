/*
 * What an opening clears away (O4), so that a crash loop leaves no growing disk. Everything here is
 * idempotent, and nothing of it changes what the log is: the opening's own segment is in, with a
 * synced proof mark, before the first call but that of `unlinkTemporaries`.
 */
import type { FileSystem } from '../fs/file-system.ts';
import { groupHeaderBytes } from './group-format.ts';
import type { LogListing, SegmentFile } from './log-directory.ts';
import { encodeMark } from './marks.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import { readFileRange, type Border } from './segment-scan.ts';

/** Writes the seal mark of a segment whose successor is in, and cuts what lies behind it. */
export async function sealPredecessor(
  fs: FileSystem,
  predecessor: SegmentFile,
  end: Border,
): Promise<void> {
  const handle = await fs.open(predecessor.path, 'write');
  try {
    const mark = encodeMark('seal', predecessor.header.salt, end, end.lsn);
    await handle.write(mark, end.offset);
    await handle.sync();
    await handle.truncate(end.offset + groupHeaderBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes the seal mark of the segment before another one anew, where a crash of the opening that
 * made the other one has left something else there: no later opening would come by (L5). It is
 * done before the new segment is renamed in, so that a crash here leaves it to the next opening.
 */
export async function completeSeal(
  fs: FileSystem,
  directory: string,
  walked: readonly SegmentFile[],
  { header: { predecessor, timeline, chain } }: SegmentFile,
): Promise<void> {
  const before = walked.find(({ header }) => header.number === predecessor?.number);
  if (!before || !predecessor || before.header.timeline !== timeline) return;
  const { end: offset, lastLsn: lsn } = predecessor;
  const { path, fileBytes } = before;
  // Cut short: that is for others to tell.
  if (fileBytes < offset) return;
  const mark = encodeMark('seal', before.header.salt, { offset, lsn, chain }, lsn);
  const found = await readFileRange(fs, path, offset, offset + groupHeaderBytes);
  if (Buffer.compare(found, mark) === 0) return;
  // The mark requires the successor, whose name may not be durable.
  await fs.syncDirectory(directory);
  const handle = await fs.open(path, 'write');
  try {
    await handle.write(mark, offset);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The end of what is proved without the proof mark that it ends with. The mark was read, and what it
 * proves is durable; but its own sync may have failed, and then it stands in the cache of the system
 * and on no disk: nothing may be named behind it. It is not written anew either, since a crash could
 * garble it while it is the only proof.
 */
export async function endBeforeMark(
  fs: FileSystem,
  { path, header }: SegmentFile,
  end: Border,
): Promise<Border> {
  const at = { ...end, offset: end.offset - groupHeaderBytes };
  if (at.offset < segmentHeaderBytes) return end;
  const mark = encodeMark('proof', header.salt, at, end.lsn);
  const found = await readFileRange(fs, path, at.offset, end.offset);
  return Buffer.compare(found, mark) === 0 ? at : end;
}

/** What of a listing is no longer part of the log. */
export interface LeftoverRules {
  readonly timeline: number;
  /** Number of the opening's own segment. */
  readonly number: number;
  /** Number of the segment that it names as predecessor; 0 when it names none. */
  readonly predecessor: number;
  /** Segments on the walk, oldest first. */
  readonly walked: readonly SegmentFile[];
  /** Segments below this number were trimmed (R2). */
  readonly lowWaterSegment: number;
}

/**
 * Unlinks the segments that are off the walk. Below the oldest segment that was walked nothing is
 * known and nothing goes, but for what was trimmed: an older checkpoint may need it (O5).
 */
export async function unlinkLeftovers(
  fs: FileSystem,
  directory: string,
  listing: LogListing,
  rules: LeftoverRules,
): Promise<void> {
  const { timeline, predecessor, walked, lowWaterSegment } = rules;
  const oldest = walked.at(0)?.header.number ?? rules.number;
  const kept = walked.map(({ header }) => header.number).filter((number) => number <= predecessor);
  for (const { name, number, timeline: other } of listing.segments) {
    if (other !== timeline || number >= rules.number) continue;
    const offTheWalk = number >= oldest && !kept.includes(number);
    if (offTheWalk || number < lowWaterSegment) await fs.unlink(`${directory}/${name}`);
  }
  await fs.syncDirectory(directory);
}

/** Unlinks the files that were being filled: room that the opening itself may need. */
export async function unlinkTemporaries(
  fs: FileSystem,
  directory: string,
  listing: LogListing,
): Promise<void> {
  for (const name of listing.temporaryNames) await fs.unlink(`${directory}/${name}`);
}
