/*
 * The file system of the machine for worker threads: synchronous calls of node:fs, whose results
 * resolve at once. A worker has nothing else to do meanwhile, and is spared the queue and the
 * threads of asynchronous calls, which all threads of the process share. It must not be used on the
 * main thread.
 */
import fs from 'node:fs';

import type { DiskCalls } from './disk-calls.ts';
import { DiskFileSystem } from './disk-file-system.ts';
import type { FileSystem } from './file-system.ts';

/** @internal */
export const synchronousCalls: DiskCalls = {
  open: async (path, flags) => fs.openSync(path, flags),
  read: async (fd, target, at, bytes, from) => fs.readSync(fd, target, at, bytes, from),
  write: async (fd, source, at, bytes, to) => fs.writeSync(fd, source, at, bytes, to),
  writev: async (fd, sources, to) => fs.writevSync(fd, sources, to),
  fdatasync: async (fd) => fs.fdatasyncSync(fd),
  fsync: async (fd) => fs.fsyncSync(fd),
  fstat: async (fd) => fs.fstatSync(fd),
  ftruncate: async (fd, bytes) => fs.ftruncateSync(fd, bytes),
  close: async (fd) => fs.closeSync(fd),
  readdir: async (path) => fs.readdirSync(path),
  mkdir: async (path) => {
    fs.mkdirSync(path);
  },
  rename: async (from, to) => fs.renameSync(from, to),
  link: async (existing, to) => fs.linkSync(existing, to),
  unlink: async (path) => fs.unlinkSync(path),
  stat: async (path) => fs.statSync(path),
};

/** The file system of the machine; its calls hold the calling thread. */
export const blockingFileSystem: FileSystem = new DiskFileSystem(synchronousCalls);
