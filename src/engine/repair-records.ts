/*
 * Writes the small files of a store that were found damaged and could be made anew (rebuild-records.ts).
 *
 * Durability: a copy of everything is whole before the first is put in place of what is there; each is
 * synced, renamed in and its directory synced before the next. A crash between leaves a store that
 * lacks the rest of them, and the next repair makes those.
 */
import { replaceFile } from '../fs/replace-file.ts';
import { keepStore } from '../recovery/given-up.ts';
import { rebuildRecords } from '../recovery/rebuild-records.ts';
import type { StoreLocation } from '../recovery/reader-moment.ts';
import { toStorageError } from '../errors.ts';
import { FileObjectStore } from '../store/file-store.ts';
import { lockDirectory } from '../wal/log.ts';
import type { EngineComponents } from './open-engine.ts';

/** Keeps a copy of a store under its lock; the copy's directory. */
export function keepCopy(
  dir: string,
  { store }: StoreLocation,
  on: EngineComponents,
): Promise<string> {
  return whileLocked(dir, on, () => copyOf(dir, store, on));
}

/** Puts what can be made anew; the directory of the copy as it was before. */
export function putRebuilt(
  dir: string,
  location: StoreLocation,
  on: EngineComponents,
): Promise<string> {
  return whileLocked(dir, on, async () => {
    // Anew, now that nobody writes.
    const { files } = await rebuildRecords(on, location);
    const kept = await copyOf(dir, location.store, on);
    for (const { name, bytes } of files) {
      const path = `${dir}/${name}`;
      const at = path.lastIndexOf('/');
      try {
        await replaceFile(on.fs, path.slice(0, at), path.slice(at + 1), bytes);
      } catch (error) {
        throw toStorageError(error, 'put', path);
      }
    }
    return kept;
  });
}

async function copyOf(
  dir: string,
  store: StoreLocation['store'],
  { fs, random }: EngineComponents,
): Promise<string> {
  const objects = store ?? new FileObjectStore(fs, dir, random);
  return `${dir}/${await keepStore({ fs, dir, objects }, { why: 'before a repair' })}`;
}

async function whileLocked<T>(
  dir: string,
  { fs }: EngineComponents,
  act: () => Promise<T>,
): Promise<T> {
  const lock = await lockDirectory(fs, dir);
  try {
    return await act();
  } finally {
    await lock.release();
  }
}
