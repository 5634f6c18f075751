/*
 * The file system of the machine for the main thread: asynchronous calls of node:fs. Callbacks are
 * wrapped here rather than taken from fs/promises, whose handles add work to every write, and the
 * log writer makes one write and one sync for each group.
 */
import fs from 'node:fs';

import { systemClock } from '../std/clock.ts';
import { yieldNow } from '../std/turns.ts';
import type { DiskCalls } from './disk-calls.ts';
import { DiskFileSystem } from './disk-file-system.ts';
import type { FileSystem } from './file-system.ts';

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** @internal */
export const asynchronousCalls: DiskCalls = {
  open: (path, flags) => promised((done) => fs.open(path, flags, done)),
  read: (fd, target, at, bytes, from) =>
    promised((done) => fs.read(fd, target, at, bytes, from, done)),
  write: (fd, source, at, bytes, to) =>
    promised((done) => fs.write(fd, source, at, bytes, to, done)),
  writev: (fd, sources, to) => promised((done) => fs.writev(fd, sources, to, done)),
  fdatasync: (fd) => promised((done: Done<void>) => fs.fdatasync(fd, done as fs.NoParamCallback)),
  fsync: (fd) => promised((done: Done<void>) => fs.fsync(fd, done as fs.NoParamCallback)),
  fstat: (fd) => promised((done) => fs.fstat(fd, done)),
  ftruncate: (fd, bytes) =>
    promised((done: Done<void>) => fs.ftruncate(fd, bytes, done as fs.NoParamCallback)),
  close: (fd) => promised((done: Done<void>) => fs.close(fd, done as fs.NoParamCallback)),
  readdir: (path) => promised((done) => fs.readdir(path, done)),
  mkdir: (path) => promised((done: Done<void>) => fs.mkdir(path, done as fs.NoParamCallback)),
  rename: (from, to) =>
    promised((done: Done<void>) => fs.rename(from, to, done as fs.NoParamCallback)),
  link: (existing, to) =>
    promised((done: Done<void>) => fs.link(existing, to, done as fs.NoParamCallback)),
  unlink: (path) => promised((done: Done<void>) => fs.unlink(path, done as fs.NoParamCallback)),
  stat: (path) => promised((done) => fs.stat(path, done)),
  held: {
    write: (fd, source, at, bytes, to) => fs.writeSync(fd, source, at, bytes, to),
    nowMs: () => systemClock.monotonicMs(),
    turn: yieldNow,
  },
};

/** The file system of the machine; its calls leave the event loop free. */
export const nodeFileSystem: FileSystem = new DiskFileSystem(asynchronousCalls);

function promised<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error) reject(error);
      else resolve(value);
    });
  });
}
