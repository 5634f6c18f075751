/*
 * Group commit on the main thread: frames that arrive while a sync runs go out together in the next
 * group. How a group becomes durable is one of three: asynchronous write, then asynchronous sync;
 * synchronous write (it only reaches the page cache, and saves a trip through the thread pool), then
 * asynchronous sync; or one asynchronous write into a file opened with O_DSYNC.
 */
import fs from 'node:fs';
import {
  frameBytes,
  groupBytesMax,
  headerBytes,
  nextOffset,
  putFrame,
  sealGroup,
} from './log-common.mjs';

export function writeThenSync(fd, group, bytes, at, done) {
  fs.write(fd, group, 0, bytes, at, (error) => {
    if (error) done(error);
    else fs.fdatasync(fd, done);
  });
}

export function writeNowThenSync(fd, group, bytes, at, done) {
  fs.writeSync(fd, group, 0, bytes, at);
  fs.fdatasync(fd, done);
}

/** For a file opened with O_DSYNC. */
export function writeDurably(fd, group, bytes, at, done) {
  fs.write(fd, group, 0, bytes, at, done);
}

export class MainThreadWriter {
  #fd;
  #store;
  #filling = Buffer.alloc(groupBytesMax);
  #writing = Buffer.alloc(groupBytesMax);
  #end = headerBytes;
  #waiting = [];
  #sequence = 0;
  #offset = 0;
  #busy = false;
  #scheduled = false;
  groups = 0;

  constructor(fd, store) {
    this.#fd = fd;
    this.#store = store;
  }

  /** Resolves when the frame is durable. */
  append(payload) {
    if (this.#end + frameBytes(payload) + 8 > groupBytesMax) throw new Error('too much in flight');
    this.#end = putFrame(this.#filling, this.#end, payload);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#schedule();
    });
  }

  async close() {}

  /** Waits for the turn to end, so that appends of one turn share a group. */
  #schedule() {
    if (this.#busy || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush() {
    const waiting = this.#waiting;
    const group = this.#filling;
    const bytes = sealGroup(group, this.#end, waiting.length, this.#sequence);
    this.#filling = this.#writing;
    this.#writing = group;
    this.#end = headerBytes;
    this.#waiting = [];
    this.#sequence += waiting.length;
    this.#scheduled = false;
    this.#busy = true;
    this.groups++;
    const at = nextOffset(this.#offset, bytes);
    this.#offset = at + bytes;
    this.#store(this.#fd, group, bytes, at, (error) => this.#synced(error, waiting));
  }

  #synced(error, waiting) {
    this.#busy = false;
    for (const { resolve, reject } of waiting) {
      if (error) reject(error);
      else resolve();
    }
    if (this.#waiting.length > 0) this.#schedule();
  }
}
