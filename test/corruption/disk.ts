/*
 * The files of a directory as plain bytes by path, so that damage is a map with one entry changed,
 * and a file system in memory that holds them.
 */
import { errnoOf } from '../../src/errors.ts';
import type { FileHandle } from '../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';

/** Bytes by path. Nobody changes an array in it. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** The directory of every store of the sweep. */
export const dir = '/store';

/** A file system with these files, and the empty directories of a store. */
export async function diskOf(files: Files): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem();
  await fs.makeDirectory(dir);
  await fs.makeDirectory('/recordings');
  for (const [path, bytes] of files) {
    await fs.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    const handle = await fs.open(path, 'create');
    await handle.write(bytes, 0);
    await handle.close();
  }
  return fs;
}

/** What is there now, of one moment: an engine that runs gives files their names meanwhile. */
export async function filesOf(fs: MemoryFileSystem): Promise<Files> {
  for (;;) {
    const before = await readAll(fs, '/');
    const after = await readAll(fs, '/');
    if (before && after && differenceOf(before, after) === undefined) return after;
  }
}

/** The content of locks means nothing. Undefined: a name was gone before its file was read. */
async function readAll(fs: MemoryFileSystem, under: string): Promise<Files | undefined> {
  const found = new Map<string, Uint8Array>();
  for (const name of await fs.list(under)) {
    const path = `${under === '/' ? '' : under}/${name}`;
    const stat = await fs.stat(path);
    if (stat?.kind === 'directory') {
      const inside = await readAll(fs, path);
      if (!inside) return undefined;
      for (const [inner, bytes] of inside) found.set(inner, bytes);
      continue;
    }
    if (name === 'LOCK') continue;
    const handle = stat && (await openedOf(fs, path));
    if (!handle) return undefined;
    const bytes = new Uint8Array(await handle.size());
    await handle.read(bytes, 0);
    await handle.close();
    found.set(path, bytes);
  }
  return found;
}

async function openedOf(fs: MemoryFileSystem, path: string): Promise<FileHandle | undefined> {
  try {
    return await fs.open(path, 'read');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The first path at which two disks differ, if any. */
export function differenceOf(a: Files, b: Files): string | undefined {
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const [of, to] = [a.get(path), b.get(path)];
    if (!of || !to || Buffer.compare(of, to) !== 0) return path;
  }
  return undefined;
}

/** The same with one file put, or taken away. */
export function withFile(files: Files, path: string, bytes: Uint8Array | undefined): Files {
  const made = new Map(files);
  if (bytes) made.set(path, bytes);
  else made.delete(path);
  return made;
}
