/*
 * What can be read of a file on a disk that cannot read some of its own sectors: everything else, with
 * zeros in their place. For those who look at what is left of a damaged log; an opening that goes on
 * from a log never takes zeros for what stands there. Reads only.
 */
import { StorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { readFileRange } from './segment-scan.ts';

/** Systems read at least a page at a time: what fails is told page by page. */
const pageBytes = 4096;

/** A part of a file. */
export interface ReadableRange {
  readonly bytes: Uint8Array;
  /** All of it could be read. */
  readonly isWhole: boolean;
}

/** The disk cannot read what was asked for; asking again gives the same. */
export function isUnreadable(error: unknown): boolean {
  if (!(error instanceof StorageError)) return false;
  return error.code === 'IO' && error.details['errno'] === 'EIO';
}

/** Reads a file from an offset to a limit, or to its end, as far as that is possible. */
export async function readReadable(
  fs: FileSystem,
  path: string,
  start: number,
  limit: number = Number.POSITIVE_INFINITY,
): Promise<ReadableRange> {
  try {
    return { bytes: await readFileRange(fs, path, start, limit), isWhole: true };
  } catch (error) {
    if (!isUnreadable(error)) throw error;
  }
  const pieces: Uint8Array[] = [];
  const stat = await fs.stat(path);
  const end = Math.min(limit, stat?.bytes ?? 0);
  for (let at = start; at < end;) {
    const next = Math.min(end, (Math.floor(at / pageBytes) + 1) * pageBytes);
    pieces.push(await pieceOf(fs, path, at, next));
    at = next;
  }
  return { bytes: Buffer.concat(pieces), isWhole: false };
}

async function pieceOf(
  fs: FileSystem,
  path: string,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const zeros = new Uint8Array(end - start);
  try {
    const bytes = await readFileRange(fs, path, start, end);
    zeros.set(bytes);
    return zeros;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return zeros;
  }
}
