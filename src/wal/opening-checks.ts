/*
 * What has to hold of the segments on the walk before an opening goes on from them, or the error that
 * the table of log-opening.ts names. Reads only.
 */
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { ownerOf, type Ancestry } from './ancestry.ts';
import { sameChain } from './chain-value.ts';
import type { SegmentFile } from './log-directory.ts';
import type { LogPosition } from './log-position.ts';
import type { LowWater } from './low-water.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import { GroupScanner, readFileRange, type Border } from './segment-scan.ts';

export function lostLog(directory: string): CorruptionError {
  return new CorruptionError('LOG_HOLE', `log has had a segment and has none: ${directory}`, {
    path: directory,
    lsn: 1,
  });
}

/** A segment is of this store, or of the one that this is a fork of where it is of that one's time. */
export function checkOwner(newest: SegmentFile, own: Uint8Array, ancestry: Ancestry): void {
  const { storeId, timeline } = newest.header;
  if (Buffer.compare(storeId, ownerOf(ancestry, timeline, own)) === 0) return;
  throw new CorruptionError('CORRUPT_SEGMENT', `segment is of another store: ${newest.path}`, {
    path: newest.path,
    offset: 8,
  });
}

/** Trimming keeps the newest segment: a log that ends below its low-water record has lost it. */
export function checkLowWater(
  directory: string,
  newest: number,
  lowWater: LowWater | undefined,
): void {
  if (!lowWater || newest >= lowWater.segment) return;
  throw new CorruptionError(
    'LOG_HOLE',
    `log has no segment at or above its low-water record: ${directory}`,
    { path: directory, lsn: lowWater.lsn, expected: lowWater.segment, actual: newest },
  );
}

/** The walk has to reach the checkpoint's segment, the low-water record, or the first LSN. */
export function checkWalk(
  segments: readonly SegmentFile[],
  missing: { name: string; lastLsn: number } | undefined,
  {
    checkpoint,
    lowWater,
  }: { readonly checkpoint: LogPosition | undefined; readonly lowWater: LowWater | undefined },
): void {
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

/** A segment's file is as long as its header and its proof say (L2). */
export function checkSize(segment: SegmentFile, bytesLeast: number): void {
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
export async function checkHeld(
  fs: FileSystem,
  held: SegmentFile,
  due: Border,
  checkpoint: LogPosition | undefined,
): Promise<void> {
  const { path, header } = held;
  const from = startIn(held, checkpoint);
  // The checkpoint stands there too, behind a mark: nothing is between that could be read.
  const isThere = from.offset >= due.offset && from.lsn === due.lsn;
  if (isThere && sameChain(from.chain, due.chain)) return;
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
