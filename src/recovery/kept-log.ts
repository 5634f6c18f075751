/*
 * The log as far back as it is kept, below the newest checkpoint too: byte ranges of whole segments.
 */
import type { Ancestry } from '../wal/ancestry.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { listLog, walkLog, type SegmentFile } from '../wal/log-directory.ts';
import type { LogPosition, LogRange } from '../wal/log-position.ts';
import { readLowWater } from '../wal/low-water.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';
import { readFileRange, scanSegment } from '../wal/segment-scan.ts';
import type { LogMoment } from './reader-moment.ts';

/** Bytes of the log that are kept, oldest first. */
export interface KeptLog {
  readonly ranges: readonly LogRange[];
  /** First LSN in them, or the next one where there are none. */
  readonly firstLsn: number;
}

/** Finds the log that is kept, at a moment that was read of it. */
export async function findKeptLog(
  fs: FileSystem,
  directory: string,
  { plan, lowWater, lsn }: Pick<LogMoment, 'plan' | 'lowWater' | 'lsn'>,
): Promise<KeptLog> {
  const walk = await walkLog(fs, directory, plan.listing, lowWater?.segment ?? 0);
  const newest = walk.segments.at(-1);
  if (!newest) return { ranges: [], firstLsn: lsn + 1 };
  const end =
    plan.listing.fork?.end ??
    plan.ranges.find(({ path }) => path === newest.path)?.end ??
    (await findEnd(fs, newest));
  return keptThrough(walk.segments, end, lsn);
}

/** Finds the log that an open engine keeps, up to a position in it. */
export async function findLogThrough(
  fs: FileSystem,
  directory: string,
  position: LogPosition,
  ancestry: Ancestry,
): Promise<KeptLog> {
  const lowWater = await readLowWater(fs, directory);
  // A fork's log goes on from segments of its parent.
  const listing = await listLog(fs, directory, ancestry);
  const walk = await walkLog(fs, directory, listing, lowWater?.segment ?? 0);
  const { segment, offset, lsn } = position;
  return keptThrough(
    walk.segments.filter(({ header }) => header.number <= segment),
    offset,
    lsn,
  );
}

/** Ranges of segments of which the newest ends at an offset and LSN. */
function keptThrough(segments: readonly SegmentFile[], end: number, lsn: number): KeptLog {
  const ranges = segments.map(({ path, header }, i): LogRange => {
    const { salt, firstLsn, chain } = header;
    const next = segments[i + 1]?.header.predecessor;
    return { path, salt, start: segmentHeaderBytes, end: next?.end ?? end, firstLsn, chain };
  });
  return { ranges, firstLsn: ranges[0]?.firstLsn ?? lsn + 1 };
}

/** Where the groups of a segment end that holds nothing behind the newest checkpoint. */
async function findEnd(fs: FileSystem, { path, header }: SegmentFile): Promise<number> {
  const { salt, firstLsn, chain } = header;
  const from = { offset: segmentHeaderBytes, lsn: firstLsn - 1, chain };
  const bytes = await readFileRange(fs, path, segmentHeaderBytes);
  return scanSegment(bytes, segmentHeaderBytes, salt, from, 0).end.offset;
}
