/*
 * A store that is being made whole in a directory of its own, which was empty: it opens as a store
 * only once everything is in it.
 *
 * Durability, in this order, each step synced before the next: the mark RESTORING, which no opening
 * takes for a store's; the snapshot; its record; the low-water record, the log's segment and mark;
 * the identity; then the mark goes. Before the identity every opening refuses the directory, since it
 * holds a name that no store has; with it the store is whole. What a crash leaves is made empty
 * by the next attempt: the mark says that nothing else is in there.
 */
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { storeCall } from '../checkpoint/store-call.ts';
import { encodeSealedJson } from '../codec/sealed-json.ts';
import { ConflictError, toStorageError } from '../errors.ts';
import type { FileLock, FileSystem } from '../fs/file-system.ts';
import { createFile } from '../fs/replace-file.ts';
import { toHex } from '../std/bytes.ts';
import { FileObjectStore } from '../store/file-store.ts';
import {
  directoryError,
  identityName,
  lockName,
  restoringName,
  writeIdentity,
} from '../wal/identity.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { lockDirectory } from '../wal/log.ts';
import type { TimelineFork } from '../wal/ancestry.ts';
import { writeLogMark, type LogMark } from '../wal/log-mark.ts';
import { writeLowWater, type LowWater } from '../wal/low-water.ts';
import { startLog } from '../wal/start-log.ts';
import type { CopyComponents } from './copy-run.ts';
import { clearDirectory, findInTheWay, storeDirectories } from './empty-directory.ts';

/** What a fork takes over of what is said of its parent's log. */
export interface ForkedLog {
  readonly mark: LogMark | undefined;
  readonly lowWater: LowWater | undefined;
  readonly fork: TimelineFork;
}

/** What stands in a directory that a store is to be made in. */
type Found = 'nothing' | 'an unfinished restore';

/** A store in the making. */
export class NewStore {
  readonly #on: CopyComponents;
  readonly #dir: string;
  readonly #lock: FileLock;
  readonly #objects: FileObjectStore;
  #stagedCount = 0;
  #whole = false;

  constructor(on: CopyComponents, dir: string, lock: FileLock) {
    this.#on = on;
    this.#dir = dir;
    this.#lock = lock;
    this.#objects = new FileObjectStore(on.fs, dir, on.random);
  }

  /**
   * Takes the directory; what an attempt before left there goes.
   * @throws ConflictError STATE_EXISTS when it holds anything else; LOCKED
   */
  static async begin(on: CopyComponents, dir: string): Promise<NewStore> {
    // Before the lock, whose taking would put a file beside those of somebody else.
    await lookAt(on.fs, dir);
    const lock = await lockDirectory(on.fs, dir);
    const store = new NewStore(on, dir, lock);
    try {
      if ((await lookAt(on.fs, dir)) === 'an unfinished restore') await store.#clear();
      const mark = encodeSealedJson({ format: 1, what: 'a restore that is not finished' });
      await createFile(on.fs, dir, restoringName, mark);
      await storeCall('open', 'file', () => store.#objects.open());
    } catch (error) {
      await lock.release();
      throw toStorageError(error, 'begin to restore', dir);
    }
    return store;
  }

  /** Absolute. */
  get dir(): string {
    return this.#dir;
  }

  /** A path for a file that is not published yet, another one at each call. */
  stagedPath(label: string): string {
    return this.#objects.local.stagingPath(`${label}-${++this.#stagedCount}`);
  }

  /** Publishes a snapshot that has been synced. */
  async publishSnapshot(stagedPath: string, name: string): Promise<void> {
    await storeCall('publish', name, () => this.#objects.local.publish(stagedPath, name));
  }

  /** Makes the store whole: it opens from then on. */
  async finish(identity: StoreIdentity, record: CheckpointRecord): Promise<void> {
    const { fs } = this.#on;
    await new CheckpointStore(this.#objects, toHex(identity.storeId)).publish(record);
    await startLog(fs, this.#dir, identity.storeId, record, this.#on);
    await this.#open(identity);
  }

  /** Makes directories for files that are put by others. */
  async makeDirectories(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const path = `${this.#dir}/${name}`;
      try {
        await this.#on.fs.makeDirectory(path);
      } catch (error) {
        throw toStorageError(error, 'make the directory', path);
      }
    }
  }

  /** Makes the names in directories durable. */
  async syncDirectories(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const path = `${this.#dir}/${name}`;
      try {
        await this.#on.fs.syncDirectory(path);
      } catch (error) {
        throw toStorageError(error, 'sync the directory', path);
      }
    }
  }

  /** Puts small objects, each durable before the next. */
  async putObjects(objects: readonly (readonly [string, Uint8Array])[]): Promise<void> {
    for (const [name, bytes] of objects) {
      await storeCall('put', name, () => this.#objects.putIfAbsent(name, bytes));
    }
  }

  /** Makes a fork whole, whose files and records are in: what is said of its log, then the identity. */
  async finishFork(identity: StoreIdentity, { mark, lowWater, fork }: ForkedLog): Promise<void> {
    const { fs } = this.#on;
    if (lowWater) await writeLowWater(fs, `${this.#dir}/wal`, lowWater);
    if (mark) {
      // The fork's own timeline has no segment yet.
      const { lostBehind } = mark;
      await writeLogMark(fs, this.#dir, identity.storeId, { lostBehind, timeline: fork.parent });
    }
    await this.#open(identity);
  }

  async #open(identity: StoreIdentity): Promise<void> {
    const { fs } = this.#on;
    await storeCall('clear', 'file', () => this.#objects.local.removeStaged());
    await writeIdentity(fs, this.#dir, identity);
    this.#whole = true;
    try {
      await fs.unlink(`${this.#dir}/${restoringName}`);
      await fs.syncDirectory(this.#dir);
    } catch (error) {
      throw toStorageError(error, 'finish a restore', this.#dir);
    }
  }

  /** Empties the directory again, unless the store is whole. */
  async undo(): Promise<void> {
    if (!this.#whole) await this.#clear();
  }

  async release(): Promise<void> {
    await this.#objects.close();
    await this.#lock.release();
  }

  /** The identity goes first, the mark last: in between nothing opens. */
  async #clear(): Promise<void> {
    const { fs } = this.#on;
    const dir = this.#dir;
    try {
      const names = await fs.list(dir);
      if (names.includes(identityName)) {
        await fs.unlink(`${dir}/${identityName}`);
        await fs.syncDirectory(dir);
      }
      for (const name of names) {
        if (storeDirectories.includes(name)) await clearDirectory(fs, `${dir}/${name}`);
        else if (![lockName, restoringName, identityName].includes(name)) {
          await fs.unlink(`${dir}/${name}`);
        }
      }
      await fs.syncDirectory(dir);
      if (names.includes(restoringName)) await fs.unlink(`${dir}/${restoringName}`);
      await fs.syncDirectory(dir);
    } catch (error) {
      throw toStorageError(error, 'clear', dir);
    }
  }
}

/** Refuses a directory that no store can be made in, with STATE_EXISTS; makes nothing. */
export async function refuseFull(fs: FileSystem, dir: string): Promise<void> {
  await lookAt(fs, dir);
}

/** What a directory holds; anything that a restore has not left is STATE_EXISTS. */
async function lookAt(fs: FileSystem, dir: string): Promise<Found> {
  let names: string[];
  try {
    const stat = await fs.stat(dir);
    if (!stat) return 'nothing';
    names = await fs.list(dir);
  } catch (error) {
    throw directoryError(error, 'look at', dir);
  }
  const unfinished = names.includes(restoringName) && !names.includes(identityName);
  const name = unfinished ? undefined : await findInTheWay(fs, dir, names, restoringName);
  if (name === undefined) return unfinished ? 'an unfinished restore' : 'nothing';
  throw new ConflictError('STATE_EXISTS', `directory is not empty, it holds ${name}: ${dir}`, {
    path: dir,
    name,
  });
}
