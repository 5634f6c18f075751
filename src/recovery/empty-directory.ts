/*
 * Whether a directory is free for a store to be made in: it holds nothing, or only what an attempt
 * before has left before it put anything; and it is no part of a store that is read meanwhile.
 */
import type { FileSystem } from '../fs/file-system.ts';
import { temporarySuffix } from '../fs/replace-file.ts';
import { badOption } from '../std/option-checks.ts';
import { lockName } from '../wal/identity.ts';

/** Directories of a store. */
export const storeDirectories: readonly string[] = [
  'wal',
  'snapshots',
  'checkpoints',
  'timelines',
  'staging',
  '~staging',
];

/**
 * A copy of a store cannot be in it: what collects, keeps or moves the one would take the other along. The
 * directory of the store itself is not free in the first place.
 * @throws InvalidArgumentError INVALID_OPTION
 */
export function assertOutside(to: string, dir: string): void {
  if (to.startsWith(`${dir}/`)) throw badOption('to', `is inside the store in ${dir}`, to);
}

/** The first name in a directory that is in the way; `mark` is the file that an attempt begins with. */
export async function findInTheWay(
  fs: FileSystem,
  dir: string,
  names: readonly string[],
  mark: string,
): Promise<string | undefined> {
  for (const name of names) {
    // A loss of power may leave the mark before it is in place: nothing else is there yet.
    if (name === lockName || name === mark + temporarySuffix) continue;
    const inside = storeDirectories.includes(name) ? await fs.list(`${dir}/${name}`) : [name];
    if (inside.length > 0) return name;
  }
  return undefined;
}

/** Removes the files of a directory of a store. */
export async function clearDirectory(fs: FileSystem, dir: string): Promise<void> {
  for (const name of await fs.list(dir)) {
    const path = `${dir}/${name}`;
    // Names of objects have no more parts than these.
    if ((await fs.stat(path))?.kind === 'file') await fs.unlink(path);
  }
  await fs.syncDirectory(dir);
}
