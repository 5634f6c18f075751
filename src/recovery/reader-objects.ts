/*
 * Objects of a store as a reader sees them: listing and reading, nothing else. The objects of a
 * directory are read as the files that they are, without the store, whose opening would make
 * directories; those of a store that is given are read through it, and it is neither opened nor
 * closed here.
 */
import { errnoOf, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { MemoryFileSystem } from '../fs/memory-file-system.ts';
import type { ObjectInfo, ObjectStore } from '../store/object-store.ts';
import { readFileRange } from '../wal/segment-scan.ts';

/** A file that holds an object, and the file system to read it from. */
export interface ObjectFile {
  readonly fs: FileSystem;
  readonly path: string;
}

export interface ReaderObjects {
  /** Objects whose names start with `prefix`, which ends with `/`, in order. */
  list(prefix: string): Promise<ObjectInfo[]>;
  get(name: string): Promise<Uint8Array | undefined>;
  /** Whether there is an object of that name. */
  has(name: string): Promise<boolean>;
  /** A file with the bytes of an object; undefined when there is none. */
  file(name: string): Promise<ObjectFile | undefined>;
  /** How errors and reports name an object. */
  path(name: string): string;
}

/** Objects of a directory. */
export class DirectoryObjects implements ReaderObjects {
  readonly #fs: FileSystem;
  readonly #root: string;

  constructor(fs: FileSystem, root: string) {
    this.#fs = fs;
    this.#root = root;
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const directory = this.path(prefix.slice(0, -1));
    const objects: ObjectInfo[] = [];
    try {
      for (const entry of await this.#fs.list(directory)) {
        const found = await this.#fs.stat(`${directory}/${entry}`);
        if (found?.kind === 'file') objects.push({ name: prefix + entry, bytes: found.bytes });
      }
    } catch (error) {
      throw toStorageError(error, 'list', directory);
    }
    return objects;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const path = this.path(name);
    if ((await this.#fs.stat(path))?.kind !== 'file') return undefined;
    try {
      return await readFileRange(this.#fs, path, 0);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async has(name: string): Promise<boolean> {
    return (await this.#fs.stat(this.path(name)))?.kind === 'file';
  }

  async file(name: string): Promise<ObjectFile | undefined> {
    const path = this.path(name);
    const found = await this.#fs.stat(path);
    return found?.kind === 'file' ? { fs: this.#fs, path } : undefined;
  }

  path(name: string): string {
    return `${this.#root}/${name}`;
  }
}

/** Objects of a store that its owner has opened. */
export class StoreObjects implements ReaderObjects {
  readonly #fs: FileSystem;
  readonly #store: ObjectStore;
  readonly #copies = new MemoryFileSystem();
  readonly #check: (() => void) | undefined;
  #count = 0;

  /** `check` is called before every call, and ends it by throwing. */
  constructor(fs: FileSystem, store: ObjectStore, check?: () => void) {
    this.#fs = fs;
    this.#store = store;
    this.#check = check;
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    this.#check?.();
    return this.#store.list(prefix);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    this.#check?.();
    return this.#store.get(name);
  }

  async has(name: string): Promise<boolean> {
    this.#check?.();
    const listed = await this.#store.list(name.slice(0, name.lastIndexOf('/') + 1));
    return listed.some((object) => object.name === name);
  }

  /** The file itself where objects are files of this machine, else a copy in memory. */
  async file(name: string): Promise<ObjectFile | undefined> {
    const path = this.#store.local?.path(name);
    if (path !== undefined) {
      return (await this.#fs.stat(path)) ? { fs: this.#fs, path } : undefined;
    }
    const bytes = await this.#store.get(name);
    if (!bytes) return undefined;
    const copy = `/${++this.#count}-${name.replaceAll('/', '-')}`;
    const handle = await this.#copies.open(copy, 'create');
    await handle.write(bytes, 0);
    await handle.close();
    return { fs: this.#copies, path: copy };
  }

  path(name: string): string {
    return this.#store.local?.path(name) ?? name;
  }
}

/** Whether an error says that a file is not there. */
export function isMissing(error: unknown): boolean {
  if (errnoOf(error) === 'ENOENT') return true;
  if (typeof error !== 'object' || error === null || !('details' in error)) return false;
  const { details } = error as { details: Readonly<Record<string, unknown>> };
  return details['errno'] === 'ENOENT';
}
