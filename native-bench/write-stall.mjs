/*
 * How long a synchronous write into a zero-filled log holds the event loop, alone and while a thread
 * writes another file 8 MiB at a time with a sync after each, as checkpoints do.
 */
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { fixed, interleave, medianOf, openZeroFilled, printTable, quantile } from './report.mjs';

const ROUNDS = 5;
const LOG_BYTES = 16 * 1024 * 1024;
const ROUND_MS = 400;
const SIZES = [200, 100 * 1024];
const CHUNK_BYTES = 8 * 1024 * 1024;
const CHUNKS = 32;

const fdatasync = promisify(fs.fdatasync);

export async function benchWriteStalls(directory) {
  const fd = openZeroFilled(path.join(directory, 'log'), LOG_BYTES);
  const cases = {};
  for (const bytes of SIZES) {
    cases[`${bytes} bytes, alone`] = () => writeAndSync(fd, bytes);
    cases[`${bytes} bytes, beside the thread`] = () => beside(directory, fd, bytes);
  }
  const results = await interleave(ROUNDS, cases);
  fs.closeSync(fd);
  const rows = [...results].map(([name, found]) => [
    name,
    fixed(medianOf(found, 'p50'), 1),
    fixed(medianOf(found, 'p99'), 1),
    fixed(Math.max(...found.map(({ max }) => max)), 1),
    fixed(medianOf(found, 'syncP50'), 1),
  ]);
  printTable(
    `A synchronous write before each fdatasync: medians of ${ROUNDS} interleaved rounds, max of all`,
    ['write of', 'p50 µs', 'p99 µs', 'max µs', 'fdatasync p50 µs'],
    rows,
  );
}

async function beside(directory, fd, bytes) {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { busyFile: path.join(directory, 'busy'), stop: stop.buffer },
  });
  const exited = new Promise((resolve, reject) => {
    worker.once('exit', resolve);
    worker.once('error', reject);
  });
  await new Promise((resolve) => {
    worker.once('message', resolve);
  });
  const result = await writeAndSync(fd, bytes);
  Atomics.store(stop, 0, 1);
  await exited;
  return result;
}

async function writeAndSync(fd, bytes) {
  const data = Buffer.alloc(bytes, 7);
  const writes = [];
  const syncs = [];
  let at = 0;
  for (const end = performance.now() + ROUND_MS; performance.now() < end; at += bytes) {
    if (at + bytes > LOG_BYTES) at = 0;
    const start = performance.now();
    fs.writeSync(fd, data, 0, bytes, at);
    const written = performance.now();
    await fdatasync(fd);
    writes.push((written - start) * 1000);
    syncs.push((performance.now() - written) * 1000);
  }
  return {
    p50: quantile(writes, 0.5),
    p99: quantile(writes, 0.99),
    max: quantile(writes, 1),
    syncP50: quantile(syncs, 0.5),
  };
}

/** The thread: writes until it is told to stop. */
function runThread({ busyFile, stop }) {
  const flag = new Int32Array(stop);
  const chunk = Buffer.alloc(CHUNK_BYTES, 9);
  const fd = fs.openSync(busyFile, 'w');
  parentPort.postMessage('ready');
  for (let i = 0; Atomics.load(flag, 0) === 0; i = (i + 1) % CHUNKS) {
    if (i === 0) fs.ftruncateSync(fd, 0);
    fs.writeSync(fd, chunk, 0, CHUNK_BYTES, i * CHUNK_BYTES);
    fs.fdatasyncSync(fd);
  }
  fs.closeSync(fd);
}

if (!isMainThread && workerData?.busyFile) runThread(workerData);
