/*
 * Makes the name of a directory durable that somebody else may have made: `makeDirectory` syncs above
 * what it creates, and a directory that is there already may still be a name in memory only. With
 * such a name everything below it goes, however well it was synced itself. Before a store is whole.
 */
import { errnoOf } from '../errors.ts';
import type { FileSystem } from './file-system.ts';

/**
 * What a file system says that does not sync this directory: it may not be read, or it is on another
 * volume, which has no such call. Whoever made the store's directory there has to see to it.
 */
const notHere: readonly (string | undefined)[] = [
  'EACCES',
  'EPERM',
  'EINVAL',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EROFS',
];

/** Syncs the directories above one, up to the first that cannot be synced at all. */
export async function holdDirectory(fs: FileSystem, directory: string): Promise<void> {
  for (let at = parentOf(directory); at !== undefined; at = parentOf(at)) {
    try {
      await fs.syncDirectory(at);
    } catch (error) {
      if (notHere.includes(errnoOf(error))) return;
      throw error;
    }
  }
}

/** Undefined above the root, also that of a drive. */
function parentOf(path: string): string | undefined {
  const end = path.lastIndexOf('/');
  if (end < 0 || path === '/') return undefined;
  return end === 0 ? '/' : path.slice(0, end);
}
