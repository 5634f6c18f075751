/*
 * Rule F2: a reader beside a writer may see a group that is half written, a directory in the middle
 * of a rotation, or a file that has just been unlinked. Damage is reported only when two readings
 * agree on the error, the bytes at its place, the names in the directories and the newest proof that
 * the error names; until then the caller reads again. The number of readings is bounded.
 */
import { createHash } from 'node:crypto';
import { CorruptionError, NotFoundError, StorageError, TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { isMissing } from './reader-objects.ts';

/** Readings that may disagree before the reader gives up. */
export const readingsMax = 100;
const EVIDENCE_BYTES = 64 * 1024;

/** Where a reader looks. */
export interface ReadDirectories {
  readonly fs: FileSystem;
  /** Directories whose names count as evidence. */
  readonly directories: readonly string[];
}

/** Compares failed readings of one view. */
export class Agreement {
  readonly #where: ReadDirectories;
  #previous: string | undefined;
  #readings = 0;

  constructor(where: ReadDirectories) {
    this.#where = where;
  }

  /**
   * Takes the error of a reading. Returns when the caller is to read again; throws the error when
   * it is none that another reading could cure, or when the reading before ended the same way.
   */
  async failed(error: unknown): Promise<void> {
    if (!curable(error)) throw error;
    const evidence = await this.#evidence(error as TidemarkError);
    if (evidence === this.#previous) throw error;
    this.#previous = evidence;
    if (++this.#readings < readingsMax) return;
    throw new StorageError(
      'OVERLOADED',
      `store changed under each of ${readingsMax} readings: try again`,
      { readings: readingsMax },
      error,
    );
  }

  /** A reading went on: what failed before is settled. */
  succeeded(): void {
    this.#previous = undefined;
    this.#readings = 0;
  }

  async #evidence(error: TidemarkError): Promise<string> {
    const { fs, directories } = this.#where;
    const names = [];
    for (const directory of directories) names.push(await listIfThere(fs, directory));
    const { path, offset } = error.details;
    const at = typeof offset === 'number' ? offset : 0;
    const bytes = typeof path === 'string' ? await digestAt(fs, path, at) : '';
    return JSON.stringify([error.code, error.message, error.details, names, bytes]);
  }
}

function curable(error: unknown): boolean {
  if (error instanceof CorruptionError) return true;
  if (error instanceof NotFoundError) return error.code === 'CHECKPOINT_NOT_FOUND';
  return error instanceof TidemarkError && isMissing(error);
}

async function listIfThere(fs: FileSystem, directory: string): Promise<string[]> {
  try {
    return await fs.list(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Digest of what stands at a place now; of nothing when the file is gone. */
async function digestAt(fs: FileSystem, path: string, offset: number): Promise<string> {
  const stat = await fs.stat(path);
  if (stat?.kind !== 'file') return 'gone';
  const hash = createHash('sha256').update(`${stat.bytes}:`);
  try {
    const handle = await fs.open(path, 'read');
    try {
      const bytes = new Uint8Array(EVIDENCE_BYTES);
      const read = await handle.read(bytes, offset);
      return hash.update(bytes.subarray(0, read)).digest('hex');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error)) return 'gone';
    throw error;
  }
}
