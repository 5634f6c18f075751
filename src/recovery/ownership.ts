/*
 * Who owns a store when another one has been made of all of it. Without a claim both go on. With one the
 * source is held by its lock from before it is read, so that nobody commits what the new store would not
 * have, and is given up when the new store is whole: a mark first, which every opening and reader
 * refuses, then its files go. What both have names of is the new store's alone from then on.
 *
 * A crash in between leaves both stores, or the mark beside files that mean nothing any more: then the
 * directory can be deleted.
 */
import { toStorageError } from '../errors.ts';
import type { FileLock, FileSystem } from '../fs/file-system.ts';
import { markClaimed, type Claim } from '../wal/claimed.ts';
import { identityName, readIdentity } from '../wal/identity.ts';
import { logMarkName } from '../wal/log-mark.ts';
import { lockDirectory } from '../wal/log.ts';
import { clearDirectory, storeDirectories } from './empty-directory.ts';

/** Whether the source of a copy goes on beside it. */
export type Ownership = 'no-claim' | 'claim';

/** A store that is held until it is given up, or let go. */
export class HeldStore {
  readonly #fs: FileSystem;
  readonly #dir: string;
  readonly #lock: FileLock;

  constructor(fs: FileSystem, dir: string, lock: FileLock) {
    this.#fs = fs;
    this.#dir = dir;
    this.#lock = lock;
  }

  /** Takes the lock of a store that is there. @throws LockedError where somebody has it open */
  static async take(fs: FileSystem, dir: string): Promise<HeldStore> {
    const lock = await lockDirectory(fs, dir);
    try {
      // Whoever had it until now may have claimed it.
      await readIdentity(fs, dir);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return new HeldStore(fs, dir, lock);
  }

  /** Gives the store up to another, which is whole: of its files the mark and the lock are left. */
  async giveUp(claim: Claim): Promise<void> {
    const fs = this.#fs;
    const dir = this.#dir;
    await markClaimed(fs, dir, claim);
    try {
      const names = await fs.list(dir);
      // What is none of the store's own stays.
      const files = [identityName, logMarkName].filter((name) => names.includes(name));
      for (const name of files) await fs.unlink(`${dir}/${name}`);
      for (const name of names) {
        if (storeDirectories.includes(name)) await clearDirectory(fs, `${dir}/${name}`);
      }
      await fs.syncDirectory(dir);
    } catch (error) {
      throw toStorageError(error, 'give up', dir);
    }
  }

  async release(): Promise<void> {
    await this.#lock.release();
  }
}
