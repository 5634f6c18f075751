/*
 * The mark of a log: `log-mark.json` beside `store.json`, so that removing everything in `wal/` does
 * not remove it. It says which timelines' log has had a segment, and behind which checkpoints a log
 * was found to end, so that a log that was lost is never taken for one that never was.
 *
 * Durability: put when a timeline's first segment is in and proved, and before anything is served; a
 * later opening puts it where a crash came between. An LSN behind which commits were lost is put
 * before the segment that goes on there is renamed in, because that segment hides the loss.
 */
import { decodeSealedJson, encodeSealedJson } from '../codec/sealed-json.ts';
import { CorruptionError, IncompatibleError, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { replaceFile } from '../fs/replace-file.ts';
import { toHex } from '../std/bytes.ts';
import { readFileRange } from './segment-scan.ts';

export const logMarkName = 'log-mark.json';
export const logMarkVersion = 1;
/** LSNs that the mark keeps; the oldest go first. */
export const lostBehindMax = 64;

/** What is known of the log beside its segments. */
export interface LogMark {
  /** LSNs of checkpoints before which the log was found to end, ascending: commits behind may be lost. */
  readonly lostBehind: readonly number[];
  /** The newest timeline that has had a segment. */
  readonly timeline: number;
}

/** The mark of a store; undefined when its log has had no segment yet. */
export async function readLogMark(
  fs: FileSystem,
  storeDirectory: string,
  storeId: Uint8Array,
): Promise<LogMark | undefined> {
  const path = `${storeDirectory}/${logMarkName}`;
  try {
    if ((await fs.stat(path)) === undefined) return undefined;
  } catch (error) {
    throw toStorageError(error, 'read', path);
  }
  const body = decodeSealedJson(await readFileRange(fs, path, 0));
  const corrupt = (why: string): CorruptionError =>
    new CorruptionError('CORRUPT_RECORD', `mark of the log ${why}: ${path}`, { path, offset: 0 });
  if (typeof body === 'string') throw corrupt(body);
  const { format, lostBehind } = body;
  if (typeof format !== 'number') throw corrupt('has no format');
  if (format !== logMarkVersion) {
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `log mark version ${format} is not known to this release: ${path}`,
      { path, version: format, supported: logMarkVersion },
    );
  }
  if (body['storeId'] !== toHex(storeId)) throw corrupt('is of another store');
  if (!Array.isArray(lostBehind) || lostBehind.length > lostBehindMax) throw corrupt('has no list');
  for (const [i, lsn] of (lostBehind as unknown[]).entries()) {
    const before = i === 0 ? 0 : Number(lostBehind[i - 1]);
    if (!Number.isSafeInteger(lsn) || Number(lsn) <= before) throw corrupt('lists no LSNs');
  }
  const timeline = body['timeline'];
  if (typeof timeline !== 'number' || !Number.isSafeInteger(timeline) || timeline < 1) {
    throw corrupt('has no timeline');
  }
  return { lostBehind: lostBehind as number[], timeline };
}

/** Puts the mark in place of the one before; durable when it resolves. */
export async function writeLogMark(
  fs: FileSystem,
  storeDirectory: string,
  storeId: Uint8Array,
  { lostBehind, timeline }: LogMark,
): Promise<void> {
  const body = { format: logMarkVersion, storeId: toHex(storeId), timeline, lostBehind };
  try {
    await replaceFile(fs, storeDirectory, logMarkName, encodeSealedJson(body));
  } catch (error) {
    throw toStorageError(error, 'write', `${storeDirectory}/${logMarkName}`);
  }
}

/** The mark with one more LSN behind which commits may be lost. */
export function withLoss(mark: LogMark | undefined, lsn: number, timeline: number): LogMark {
  const lsns = new Set([...(mark?.lostBehind ?? []), lsn]);
  const lostBehind = [...lsns].sort((a, b) => a - b).slice(-lostBehindMax);
  return { lostBehind, timeline: Math.max(timeline, mark?.timeline ?? 0) };
}
