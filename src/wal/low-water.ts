/*
 * The low-water record (R2): segments wholly below it were trimmed, or are about to be. It is put
 * and the directory synced before the first segment is unlinked, so unlinks may reach the disk in
 * any order.
 */
import { decodeSealedJson, encodeSealedJson } from '../codec/sealed-json.ts';
import { CorruptionError, toStorageError } from '../errors.ts';
import { replaceFile } from '../fs/replace-file.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { readFileRange } from './segment-scan.ts';

/** Where the kept log starts. */
export interface LowWater {
  readonly timeline: number;
  /** Every LSN below it is trimmed. */
  readonly lsn: number;
  /** Number of the first kept segment. */
  readonly segment: number;
}

/** In the directory of the log. */
export const lowWaterName = 'low-water.json';

export async function readLowWater(
  fs: FileSystem,
  directory: string,
): Promise<LowWater | undefined> {
  const path = `${directory}/${lowWaterName}`;
  try {
    if ((await fs.stat(path)) === undefined) return undefined;
  } catch (error) {
    throw toStorageError(error, 'read', path);
  }
  const body = decodeSealedJson(await readFileRange(fs, path, 0));
  if (typeof body === 'string') {
    throw new CorruptionError('CORRUPT_RECORD', `low-water record ${body}: ${path}`, {
      path,
      offset: 0,
    });
  }
  const { timeline, lsn, segment } = body;
  const numbers = [timeline, lsn, segment];
  if (!numbers.every((value) => Number.isSafeInteger(value) && Number(value) > 0)) {
    throw new CorruptionError('CORRUPT_RECORD', `low-water record lacks a field: ${path}`, {
      path,
      offset: 0,
    });
  }
  return { timeline: Number(timeline), lsn: Number(lsn), segment: Number(segment) };
}

/** Replaces the record; durable when it resolves. */
export async function writeLowWater(
  fs: FileSystem,
  directory: string,
  lowWater: LowWater,
): Promise<void> {
  try {
    await replaceFile(fs, directory, lowWaterName, encodeLowWater(lowWater));
  } catch (error) {
    throw toStorageError(error, 'write', `${directory}/${lowWaterName}`);
  }
}

/** The bytes of the record. */
export function encodeLowWater({ timeline, lsn, segment }: LowWater): Uint8Array {
  return encodeSealedJson({ timeline, lsn, segment });
}
