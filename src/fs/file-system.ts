/*
 * The seam below the log and the file store. Implementations: the real file system, asynchronous
 * (main thread) or resolving from synchronous calls (worker threads), and one in memory.
 *
 * Durability: a write is durable after `sync` of its handle, or when it was a `writeThrough`. A new name, a removed name or a rename
 * is durable after `syncDirectory` of the directory that holds it. Nothing else promises anything.
 * Errors are those of Node, with `code` (`ENOENT`, `EEXIST`, `ENOSPC` …); callers wrap them.
 */

/** How a file is opened: `read` existing; `write` existing, read and write; `create` new, read and write, EEXIST if there. */
export type OpenMode = 'read' | 'write' | 'create';

/** What a path is. */
export interface FileStat {
  readonly kind: 'file' | 'directory' | 'other';
  readonly bytes: number;
}

/** An open file. */
export interface FileHandle {
  /** Fills `target` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** As `read`, holding the calling thread: for a lookup that cannot wait. Errors are thrown. */
  readNow(target: Uint8Array, position: number): number;
  /** Writes everything, in order, from `position`, or throws. */
  write(source: Uint8Array | readonly Uint8Array[], position: number): Promise<void>;
  /**
   * As `write`, and what it wrote is durable when it returns. Earlier writes that were not synced
   * stay so: for one call in the place of two, where everything before is durable. With `mayHold` it
   * may hold the calling thread if it is expected to be quick: whoever calls has nothing else to do.
   */
  writeThrough(
    source: Uint8Array | readonly Uint8Array[],
    position: number,
    mayHold?: boolean,
  ): Promise<void>;
  /** Makes the file's data, and the size needed to read it, durable. */
  sync(): Promise<void>;
  size(): Promise<number>;
  /** Cuts the file, or grows it with zeros. */
  truncate(bytes: number): Promise<void>;
  /** Waits for the calls under way; every later call on the handle is EBADF. */
  close(): Promise<void>;
}

/** A lock that the kernel holds for this process and drops when the process ends. */
export interface FileLock {
  /** Drops the lock; the file stays. A second call does nothing. */
  release(): Promise<void>;
}

/** File operations that Tidemark needs; paths are absolute, `/` separates. */
export interface FileSystem {
  /** Opens a file; a directory is EISDIR. */
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  /** Names in a directory, sorted, without `.` and `..`. */
  list(directory: string): Promise<string[]>;
  /** Creates the directory and missing parents, and syncs the parents of those it created. */
  makeDirectory(path: string): Promise<void>;
  /** Gives the file the new name, in place of a file that has it. */
  rename(from: string, to: string): Promise<void>;
  /** Makes a second name; EEXIST when `to` exists. */
  link(existing: string, to: string): Promise<void>;
  /** Removes a name; handles that are open on the file go on working. */
  unlink(path: string): Promise<void>;
  /** What is at the path, or undefined when nothing is. */
  stat(path: string): Promise<FileStat | undefined>;
  syncDirectory(path: string): Promise<void>;
  /** Free bytes for this user on the volume of an existing path; synchronous, since a commit seals at the call. */
  freeBytes(path: string): number;
  /** Takes the lock of a file (created if absent); undefined when somebody holds it, here or elsewhere. */
  lock(path: string): Promise<FileLock | undefined>;
}
