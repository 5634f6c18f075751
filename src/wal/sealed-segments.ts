/*
 * Which segments are never written again. The newest of a timeline, and those before it behind a
 * crash, are sealed and cut in place by the next opening, so a second name of one is no copy.
 *
 * A segment is settled when its seal mark stands where its successor says that it ends, and either the
 * file ends there as well, or a later header proves an LSN above it: the next opening then goes on
 * from a later segment (O3), and finds nothing to mend here. Reads only.
 */
import { CorruptionError, IncompatibleError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { groupHeaderBytes } from './group-format.ts';
import { listLog, openSegmentFile, type SegmentFile } from './log-directory.ts';
import { encodeMark } from './marks.ts';
import { isUnreadable, readReadable } from './readable-range.ts';

/** Names of the segments in a directory that nothing will ever change. */
export async function settledSegments(fs: FileSystem, directory: string): Promise<Set<string>> {
  const { segments } = await listLog(fs, directory);
  const files: SegmentFile[] = [];
  for (const { name } of segments) {
    const file = await readable(fs, directory, name);
    if (file) files.push(file);
  }
  const settled = new Set<string>();
  for (const file of files) if (await isSettled(fs, file, files)) settled.add(file.name);
  return settled;
}

async function isSettled(
  fs: FileSystem,
  { path, fileBytes, header }: SegmentFile,
  files: readonly SegmentFile[],
): Promise<boolean> {
  const { number, timeline, salt } = header;
  const later = files.filter((file) => file.header.timeline === timeline);
  for (const { header: next } of later) {
    const { predecessor, chain } = next;
    if (predecessor?.number !== number || predecessor.timeline !== timeline) continue;
    const { end: offset, lastLsn: lsn } = predecessor;
    const mark = encodeMark('seal', salt, { offset, lsn, chain }, lsn);
    const end = offset + groupHeaderBytes;
    const { bytes } = await readReadable(fs, path, offset, end);
    if (Buffer.compare(bytes, mark) !== 0) continue;
    const isPassed = later.some((file) => (file.header.predecessor?.lastLsn ?? 0) > lsn);
    if (isPassed || fileBytes === end) return true;
  }
  return false;
}

async function readable(
  fs: FileSystem,
  directory: string,
  name: string,
): Promise<SegmentFile | undefined> {
  try {
    return await openSegmentFile(fs, directory, name);
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof IncompatibleError) return undefined;
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}
