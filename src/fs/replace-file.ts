/*
 * Writing a small file whole. Order: temporary file, sync, rename (or link) in, directory sync: a
 * reader, and a crash, sees the old file or the new one, never a part.
 */
import { errnoOf } from '../errors.ts';
import type { FileSystem } from './file-system.ts';

/** Suffix of files that are not in place yet; a crash may leave them. */
export const temporarySuffix = '.tmp';

/** Puts a file in place of the one of that name. Durable when it resolves. */
export async function replaceFile(
  fs: FileSystem,
  directory: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = `${directory}/${name}${temporarySuffix}`;
  await writeTemporary(fs, temporary, bytes);
  await fs.rename(temporary, `${directory}/${name}`);
  await fs.syncDirectory(directory);
}

/** Puts a file unless one of that name exists; true when this call put it. Durable when it resolves. */
export async function createFile(
  fs: FileSystem,
  directory: string,
  name: string,
  bytes: Uint8Array,
): Promise<boolean> {
  const temporary = `${directory}/${name}${temporarySuffix}`;
  await writeTemporary(fs, temporary, bytes);
  let created = true;
  try {
    await fs.link(temporary, `${directory}/${name}`);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    created = false;
  }
  await fs.unlink(temporary);
  await fs.syncDirectory(directory);
  return created;
}

async function writeTemporary(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  if (await fs.stat(path)) await fs.unlink(path);
  const handle = await fs.open(path, 'create');
  try {
    await handle.write(bytes, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
