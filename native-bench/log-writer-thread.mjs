/*
 * A log thread with synchronous calls, fed through a ring in shared memory. The main thread copies
 * frames in and publishes once a turn; the thread takes all that is published, writes it as one
 * group, syncs, and publishes how many frames are durable. Positions and counts are modulo 2^32.
 */
import fs from 'node:fs';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { frameBytes, groupBytesMax, headerBytes, nextOffset, sealGroup } from './log-common.mjs';

const RING_BYTES = 4 * 1024 * 1024;
const MASK = RING_BYTES - 1;
// Cells of the control array, each on a cache line of its own.
const HEAD = 0;
const DURABLE = 32;
const GROUPS = 33;
const STOP = 64;
const CELLS = 96;
/** A wake-up at stopping may come just before the thread waits. */
const STOP_CHECK_MS = 100;

export class ThreadWriter {
  #ring = Buffer.from(new SharedArrayBuffer(RING_BYTES));
  #control = new Int32Array(new SharedArrayBuffer(CELLS * 4));
  #length = Buffer.alloc(4);
  #worker;
  #waiting = [];
  #taken = 0;
  #head = 0;
  #used = 0;
  #scheduled = false;

  constructor(file) {
    this.#worker = new Worker(new URL(import.meta.url), {
      workerData: { file, ring: this.#ring.buffer, control: this.#control.buffer },
    });
    this.#worker.on('error', (error) => {
      throw error;
    });
    this.#listen(0);
  }

  get groups() {
    return Atomics.load(this.#control, GROUPS);
  }

  append(payload) {
    const bytes = frameBytes(payload);
    if (this.#used + bytes > RING_BYTES) throw new Error('too much in flight');
    this.#length.writeUInt32LE(payload.length);
    this.#put(this.#length);
    this.#put(payload);
    this.#used += bytes;
    return new Promise((resolve) => {
      this.#waiting.push({ resolve, bytes });
      if (this.#scheduled) return;
      this.#scheduled = true;
      queueMicrotask(() => this.#publish());
    });
  }

  async close() {
    const exited = new Promise((resolve) => {
      this.#worker.once('exit', resolve);
    });
    Atomics.store(this.#control, STOP, 1);
    Atomics.notify(this.#control, HEAD);
    await exited;
  }

  #put(bytes) {
    const at = this.#head & MASK;
    const first = Math.min(bytes.length, RING_BYTES - at);
    this.#ring.set(first === bytes.length ? bytes : bytes.subarray(0, first), at);
    if (first < bytes.length) this.#ring.set(bytes.subarray(first), 0);
    this.#head = (this.#head + bytes.length) | 0;
  }

  #publish() {
    this.#scheduled = false;
    Atomics.store(this.#control, HEAD, this.#head);
    Atomics.notify(this.#control, HEAD);
  }

  #listen(seen) {
    const wait = Atomics.waitAsync(this.#control, DURABLE, seen);
    if (wait.async) wait.value.then(() => this.#advance(seen));
    else this.#advance(seen);
  }

  #advance(seen) {
    const durable = Atomics.load(this.#control, DURABLE);
    const count = (durable - seen) >>> 0;
    for (let i = 0; i < count; i++) {
      const { resolve, bytes } = this.#waiting[this.#taken++];
      this.#used -= bytes;
      resolve();
    }
    if (this.#taken > 4096) {
      this.#waiting.splice(0, this.#taken);
      this.#taken = 0;
    }
    if (Atomics.load(this.#control, STOP) === 0) this.#listen(durable);
  }
}

/** The thread: ends when it is told to stop and nothing is left to write. */
function runThread({ file, ring, control: controlBuffer }) {
  const bytes = new Uint8Array(ring);
  const control = new Int32Array(controlBuffer);
  const group = Buffer.alloc(groupBytesMax + RING_BYTES);
  const fd = fs.openSync(file, 'r+');
  let tail = 0;
  let done = 0;
  let offset = 0;
  let sequence = 0;
  for (;;) {
    Atomics.wait(control, HEAD, tail, STOP_CHECK_MS);
    const head = Atomics.load(control, HEAD);
    if (head === tail) {
      if (Atomics.load(control, STOP) === 1) break;
      continue;
    }
    const length = (head - tail) >>> 0;
    const at = tail & MASK;
    const first = Math.min(length, RING_BYTES - at);
    group.set(bytes.subarray(at, at + first), headerBytes);
    group.set(bytes.subarray(0, length - first), headerBytes + first);
    const count = countFrames(group, headerBytes + length);
    const padded = sealGroup(group, headerBytes + length, count, sequence);
    const to = nextOffset(offset, padded);
    fs.writeSync(fd, group, 0, padded, to);
    fs.fdatasyncSync(fd);
    offset = to + padded;
    sequence += count;
    tail = head;
    done = (done + count) | 0;
    Atomics.add(control, GROUPS, 1);
    Atomics.store(control, DURABLE, done);
    Atomics.notify(control, DURABLE);
  }
  fs.closeSync(fd);
}

function countFrames(group, end) {
  let count = 0;
  for (let at = headerBytes; at < end; count++) at += 4 + group.readUInt32LE(at);
  return count;
}

if (!isMainThread && workerData?.ring) runThread(workerData);
