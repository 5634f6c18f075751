/*
 * The file system of a disk over either set of system calls.
 *
 * Durability: `sync` of a handle is fdatasync, which also writes the size that reading needs; names
 * are durable after `syncDirectory`, which is fsync of the directory (Linux and macOS allow it;
 * Windows has no such call, so this file system does not serve there).
 */
import { statfsSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

import { errnoOf } from '../errors.ts';
import { openFlags, type DiskCalls } from './disk-calls.ts';
import { DiskFile } from './disk-file.ts';
import type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from './file-system.ts';
import { takeKernelLock } from './kernel-lock.ts';
import { systemError } from './system-error.ts';

/** A file system over system calls; @internal */
export class DiskFileSystem implements FileSystem {
  readonly #calls: DiskCalls;

  constructor(calls: DiskCalls) {
    this.#calls = calls;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const fd = await this.#calls.open(path, openFlags[mode]);
    // The system opens directories for reading, and refuses only to read them.
    if (mode === 'read') await this.#refuseDirectory(fd, path);
    return new DiskFile(this.#calls, fd, path);
  }

  async list(directory: string): Promise<string[]> {
    return (await this.#calls.readdir(directory)).sort();
  }

  async makeDirectory(path: string): Promise<void> {
    const missing: string[] = [];
    for (let at = path; ; at = dirname(at)) {
      const found = await this.stat(at);
      if (found?.kind === 'directory') break;
      if (found) throw systemError(at === path ? 'EEXIST' : 'ENOTDIR', 'mkdir', path);
      if (dirname(at) === at) throw systemError('ENOENT', 'mkdir', path);
      missing.push(at);
    }
    for (const at of missing.reverse()) {
      await this.#makeOne(at);
      await this.syncDirectory(dirname(at));
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.#calls.rename(from, to);
  }

  link(existing: string, to: string): Promise<void> {
    return this.#calls.link(existing, to);
  }

  unlink(path: string): Promise<void> {
    return this.#calls.unlink(path);
  }

  async stat(path: string): Promise<FileStat | undefined> {
    try {
      const stats = await this.#calls.stat(path);
      return { kind: kindOf(stats), bytes: stats.size };
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async syncDirectory(path: string): Promise<void> {
    const fd = await this.#calls.open(path, openFlags.directory);
    try {
      await this.#calls.fsync(fd);
    } finally {
      await this.#calls.close(fd);
    }
  }

  freeBytes(path: string): number {
    const volume = statfsSync(path);
    return volume.bavail * volume.bsize;
  }

  lock(path: string): Promise<FileLock | undefined> {
    return takeKernelLock(this.#calls, path);
  }

  async #refuseDirectory(fd: number, path: string): Promise<void> {
    let isDirectory = true;
    try {
      isDirectory = (await this.#calls.fstat(fd)).isDirectory();
    } finally {
      if (isDirectory) await this.#calls.close(fd);
    }
    if (isDirectory) throw systemError('EISDIR', 'open', path);
  }

  /** Somebody may make the same directory meanwhile, which is as good. */
  async #makeOne(path: string): Promise<void> {
    try {
      await this.#calls.mkdir(path);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      const found = await this.stat(path);
      if (found?.kind !== 'directory') throw error;
    }
  }
}

function kindOf(stats: Stats): FileStat['kind'] {
  if (stats.isFile()) return 'file';
  return stats.isDirectory() ? 'directory' : 'other';
}
