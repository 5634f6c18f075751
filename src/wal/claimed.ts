/*
 * The mark of a store that another one has claimed: `CLAIMED` beside the identity says which store has all
 * that it had. No opening and no reader takes the directory for a store any more.
 *
 * Durability: the mark is put, synced, linked in and its directory synced, when the other store is
 * whole and durable, and before any file of this one goes.
 */
import { decodeSealedJson, encodeSealedJson } from '../codec/sealed-json.ts';
import { ConflictError, CorruptionError, toStorageError, type TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { createFile } from '../fs/replace-file.ts';
import { readFileRange } from './segment-scan.ts';

export const claimedName = 'CLAIMED';
const version = 1;

/** Which store has what this one had. */
export interface Claim {
  /** Hexadecimal, of the store that was claimed. */
  readonly storeId: string;
  /** Hexadecimal, of the store that claimed it. */
  readonly by: string;
  /** Directory of that store when it was made. */
  readonly dir: string;
}

/** Puts the mark; durable when it resolves. */
export async function markClaimed(fs: FileSystem, directory: string, claim: Claim): Promise<void> {
  try {
    const mark = encodeSealedJson({ format: version, ...claim });
    await createFile(fs, directory, claimedName, mark);
  } catch (error) {
    throw toStorageError(error, 'mark as claimed', directory);
  }
}

/** The error of whoever wants a store that was claimed. */
export async function claimedError(fs: FileSystem, directory: string): Promise<TidemarkError> {
  const path = `${directory}/${claimedName}`;
  const body = decodeSealedJson(await readFileRange(fs, path, 0));
  const fault = typeof body === 'string' ? body : 'does not say by whom';
  if (typeof body === 'string' || ![body['by'], body['dir']].every(isText)) {
    const message = `mark of a store that was claimed ${fault}: ${path}`;
    return new CorruptionError('CORRUPT_RECORD', message, { path, offset: 0 });
  }
  const { storeId, by, dir } = body;
  return new ConflictError(
    'CLAIMED',
    `store was claimed by store ${String(by)}, which was made in ${String(dir)}: ${directory}`,
    { path: directory, storeId, by, dir },
  );
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
