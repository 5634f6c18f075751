/*
 * The system calls below the file system of a real disk, one by one. Two sets exist: asynchronous
 * ones for the main thread and synchronous ones for workers. Everything above (whole writes,
 * parents, locks) is written once, over this seam.
 */
import fs, { constants, type Stats } from 'node:fs';

/** System calls on files; each rejects with the error of Node. */
export interface DiskCalls {
  open(path: string, flags: number): Promise<number>;
  /** Returns the bytes read, 0 at the end of the file; may be short. */
  read(fd: number, target: Uint8Array, at: number, bytes: number, from: number): Promise<number>;
  /** Returns the bytes written; may be short. */
  write(fd: number, source: Uint8Array, at: number, bytes: number, to: number): Promise<number>;
  /** Returns the bytes written; may be short. */
  writev(fd: number, sources: readonly Uint8Array[], to: number): Promise<number>;
  fdatasync(fd: number): Promise<void>;
  fsync(fd: number): Promise<void>;
  fstat(fd: number): Promise<Stats>;
  ftruncate(fd: number, bytes: number): Promise<void>;
  close(fd: number): Promise<void>;
  readdir(path: string): Promise<string[]>;
  mkdir(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  link(existing: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  stat(path: string): Promise<Stats>;
  /** Left out where all calls hold the calling thread. */
  readonly held?: HeldCalls;
}

/** What durable writes that hold the calling thread need. */
export interface HeldCalls {
  /** As `write`. */
  readonly write: (fd: number, source: Uint8Array, at: number, bytes: number, to: number) => number;
  /** For durations. */
  readonly nowMs: () => number;
  /** Lets other work of this thread go on. */
  readonly turn: () => Promise<void>;
}

/** The read that holds the calling thread, of either set. */
export function readNow(
  fd: number,
  target: Uint8Array,
  at: number,
  bytes: number,
  from: number,
): number {
  return fs.readSync(fd, target, at, bytes, from);
}

/** Flags of `open`. Node adds O_CLOEXEC, so no child process inherits a file or its lock. */
export const openFlags: Readonly<
  Record<'read' | 'write' | 'create' | 'lock' | 'directory' | 'through', number>
> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  lock: constants.O_RDWR | constants.O_CREAT,
  directory: constants.O_RDONLY | constants.O_DIRECTORY,
  // Each write returns when what it wrote is durable (open(2): as if followed by fdatasync).
  through: constants.O_WRONLY | constants.O_DSYNC,
};
