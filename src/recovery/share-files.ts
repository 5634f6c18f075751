/*
 * Files of one store as files of another one: by a second name where the file system has that, else by
 * a copy. A name is durable when its directory has been synced, which the caller does. What is there
 * already came from a reading before, and is replaced. A copy is compared with the digest that is due.
 */
import { createHash } from 'node:crypto';
import { CorruptionError, errnoOf, toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { temporarySuffix } from '../fs/replace-file.ts';
import type { CopyComponents, CopyRun } from './copy-run.ts';
import { eachPiece } from './backup-target.ts';
import type { ObjectFile } from './reader-objects.ts';

/** What a file system says that cannot give a file this second name: another volume, or none has it. */
const cannotLink: readonly (string | undefined)[] = [
  'EXDEV',
  'EPERM',
  'EACCES',
  'EMLINK',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
];

/** A file to be, and how much of the source it has. */
export interface SharedTarget {
  readonly path: string;
  readonly bytes: number;
  /** What a copy's digest has to be, hexadecimal. @defaultValue it is not compared */
  readonly sha256?: string | undefined;
  /** Does the rest to a copy, and syncs it. @defaultValue syncs it */
  readonly finish?: (handle: FileHandle) => Promise<void>;
}

export class FileSharer {
  /** Reads the source. */
  readonly sourceFs: FileSystem;
  readonly #fs: FileSystem;
  readonly #run: CopyRun;
  #total = 0;
  #done = 0;
  #sharedFiles = 0;
  #sharedBytes = 0;
  #copiedFiles = 0;
  #copiedBytes = 0;

  constructor({ fs }: CopyComponents, sourceFs: FileSystem, run: CopyRun) {
    this.#fs = fs;
    this.sourceFs = sourceFs;
    this.#run = run;
  }

  get totals(): Record<'sharedFiles' | 'sharedBytes' | 'copiedFiles' | 'copiedBytes', number> {
    return {
      sharedFiles: this.#sharedFiles,
      sharedBytes: this.#sharedBytes,
      copiedFiles: this.#copiedFiles,
      copiedBytes: this.#copiedBytes,
    };
  }

  /** Begins anew: so many bytes are to come. */
  expect(bytes: number): void {
    this.#total = bytes;
    this.#done = 0;
    this.#sharedFiles = 0;
    this.#sharedBytes = 0;
    this.#copiedFiles = 0;
    this.#copiedBytes = 0;
    this.#run.progress('copy', 0, bytes);
  }

  /** Gives a file that is never written again up to its end a second name, or copies it. */
  async share(file: ObjectFile, target: SharedTarget): Promise<void> {
    // What is read out of a store that is elsewhere is no file of this machine.
    if (file.fs !== this.sourceFs || !(await this.#link(file.path, target.path))) {
      await this.copy(file, target);
      return;
    }
    this.#sharedFiles++;
    this.#sharedBytes += target.bytes;
    this.#tick(target.bytes);
  }

  /** Copies the beginning of a file; synced when it resolves. */
  async copy(
    { fs, path: source }: ObjectFile,
    { path, bytes, finish, sha256 }: SharedTarget,
  ): Promise<void> {
    const temporary = path + temporarySuffix;
    const hash = createHash('sha256');
    try {
      if (await this.#fs.stat(temporary)) await this.#fs.unlink(temporary);
      const handle = await this.#fs.open(temporary, 'create');
      try {
        await eachPiece(fs, source, { start: 0, end: bytes }, async (piece, at) => {
          this.#run.check();
          if (sha256 !== undefined) hash.update(piece);
          await handle.write(piece, at);
          this.#tick(piece.length);
        });
        await (finish ? finish(handle) : handle.sync());
      } finally {
        await handle.close();
      }
      const actual = sha256 && hash.digest('hex');
      if (actual !== sha256) {
        await this.#fs.unlink(temporary);
        throw notItself(source, sha256, actual);
      }
      await this.#fs.rename(temporary, path);
    } catch (error) {
      throw toStorageError(error, 'copy to', path);
    }
    this.#copiedFiles++;
    this.#copiedBytes += bytes;
  }

  async #link(existing: string, path: string): Promise<boolean> {
    try {
      // What a reading before has put there may have been less.
      if (await this.#fs.stat(path)) await this.#fs.unlink(path);
      await this.#fs.link(existing, path);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (cannotLink.includes(errno)) return false;
      throw toStorageError(error, 'share', existing);
    }
  }

  #tick(bytes: number): void {
    this.#done += bytes;
    this.#run.progress('copy', this.#done, this.#total);
  }
}

function notItself(path: string, expected: unknown, actual: unknown): CorruptionError {
  const message = `snapshot is not that of its name: ${path}`;
  return new CorruptionError('CORRUPT_SNAPSHOT', message, { path, offset: 0, expected, actual });
}
