/*
 * A copy of a store as it was, kept before anything of it is given up: `given-up/<number>/` in its
 * directory, with the same names inside, so that whatever reads a store reads the copy. Files that
 * are never written again are given a second name where the file system has such; a collection then
 * takes the first one only. The newest segments are copied: the opening that goes on behind one seals
 * and cuts it in place. One that the disk cannot read whole has a second name all the same: nothing goes
 * on behind what cannot be read.
 *
 * Durability: every name is synced before `given-up.json` is put, which says that the copy is whole.
 * A copy without it was cut off by a crash, and the next attempt goes on with it. Nothing here ever
 * deletes a copy: a person does.
 */
import { checkpointPrefix, snapshotPrefix } from '../checkpoint/checkpoint-record.ts';
import { timelinePrefix } from '../checkpoint/timelines/timeline-record.ts';
import { encodeSealedJson } from '../codec/sealed-json.ts';
import { errnoOf, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { createFile, temporarySuffix } from '../fs/replace-file.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { identityName } from '../wal/identity.ts';
import { logMarkName } from '../wal/log-mark.ts';
import { settledSegments } from '../wal/sealed-segments.ts';
import { parseSegmentName } from '../wal/segment-format.ts';

export const givenUpDirectory = 'given-up';
export const givenUpName = 'given-up.json';

const copyBytes = 4 * 1024 * 1024;
/** What a file system says that has no second names, or none between these places. */
const noLinks: readonly string[] = ['EPERM', 'EXDEV', 'ENOTSUP', 'EMLINK', 'ENOSYS', 'EOPNOTSUPP'];

/** The store that is copied. */
export interface KeptStore {
  readonly fs: FileSystem;
  /** Absolute. */
  readonly dir: string;
  readonly objects: Pick<ObjectStore, 'list' | 'get' | 'local'>;
}

/** Keeps all files of a store; the copy's path, relative to the store's directory. */
export async function keepStore(
  store: KeptStore,
  note: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { fs, dir } = store;
  const kept = await chooseName(fs, dir);
  const to = `${dir}/${kept}`;
  try {
    const parts = ['wal', 'checkpoints', 'snapshots', 'timelines'];
    for (const part of parts) await fs.makeDirectory(`${to}/${part}`);
    await keepLog(fs, `${dir}/wal`, `${to}/wal`);
    const prefixes = [checkpointPrefix, snapshotPrefix, timelinePrefix];
    for (const prefix of prefixes) await keepObjects(store, prefix, to);
    for (const name of [identityName, logMarkName]) {
      if (await fs.stat(`${dir}/${name}`)) await keepFile(fs, `${dir}/${name}`, `${to}/${name}`);
    }
    // The names above it too: an attempt that was cut off may have left them without a sync.
    for (const path of [to, `${dir}/${givenUpDirectory}`, dir]) await fs.syncDirectory(path);
    await createFile(fs, to, givenUpName, encodeSealedJson({ format: 1, ...note }));
  } catch (error) {
    throw toStorageError(error, 'keep a copy in', to);
  }
  return kept;
}

/** Copies of a store that are whole, oldest first, relative to its directory. */
export async function listKept(fs: FileSystem, dir: string): Promise<string[]> {
  const found: string[] = [];
  if (!(await fs.stat(`${dir}/${givenUpDirectory}`))) return found;
  for (const name of await fs.list(`${dir}/${givenUpDirectory}`)) {
    const path = `${givenUpDirectory}/${name}`;
    if (await fs.stat(`${dir}/${path}/${givenUpName}`)) found.push(path);
  }
  return found;
}

/** One above the last whole copy: an unfinished one is gone on with. */
async function chooseName(fs: FileSystem, dir: string): Promise<string> {
  const last = (await listKept(fs, dir)).at(-1);
  const number = Number(last?.slice(givenUpDirectory.length + 1) ?? 0) + 1;
  return `${givenUpDirectory}/${String(number).padStart(4, '0')}`;
}

async function keepLog(fs: FileSystem, from: string, to: string): Promise<void> {
  const settled = await settledSegments(fs, from);
  for (const name of (await fs.stat(from)) ? await fs.list(from) : []) {
    const path = `${from}/${name}`;
    if ((await fs.stat(path))?.kind !== 'file' || name.endsWith(temporarySuffix)) continue;
    const isChanging = parseSegmentName(name) !== undefined && !settled.has(name);
    const isCopied = isChanging && (await copyWhole(fs, path, `${to}/${name}`));
    if (!isCopied) await keepFile(fs, path, `${to}/${name}`);
  }
  await fs.syncDirectory(to);
}

/** False: the disk cannot read all of it. */
async function copyWhole(fs: FileSystem, from: string, to: string): Promise<boolean> {
  try {
    await writeFile(fs, to, readFile(fs, from));
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EIO') throw error;
    return false;
  }
}

async function keepObjects({ fs, objects }: KeptStore, prefix: string, to: string): Promise<void> {
  for (const { name } of await objects.list(prefix)) {
    if (objects.local) {
      await keepFile(fs, objects.local.path(name), `${to}/${name}`);
      continue;
    }
    const bytes = await objects.get(name);
    if (bytes) await writeFile(fs, `${to}/${name}`, [bytes]);
  }
  await fs.syncDirectory(`${to}/${prefix.slice(0, -1)}`);
}

/** Gives a file a second name; one that an attempt before gave is taken away first. */
async function keepFile(fs: FileSystem, from: string, to: string): Promise<void> {
  if (await fs.stat(to)) await fs.unlink(to);
  try {
    await fs.link(from, to);
  } catch (error) {
    if (!noLinks.includes(errnoOf(error) ?? '')) throw error;
    await writeFile(fs, to, readFile(fs, from));
  }
}

async function writeFile(
  fs: FileSystem,
  path: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  if (await fs.stat(path)) await fs.unlink(path);
  const handle = await fs.open(path, 'create');
  try {
    let at = 0;
    for await (const piece of pieces) {
      await handle.write(piece, at);
      at += piece.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* readFile(fs: FileSystem, path: string): AsyncGenerator<Uint8Array> {
  const handle = await fs.open(path, 'read');
  try {
    for (let at = 0; ;) {
      const piece = new Uint8Array(copyBytes);
      const read = await handle.read(piece, at);
      if (read > 0) yield piece.subarray(0, read);
      at += read;
      if (read < piece.length) return;
    }
  } finally {
    await handle.close();
  }
}
