/*
 * The limit of durable writing: write and fdatasync, one after the other, into a file that is full of
 * zeros, which is how the log lays out its segments.
 */
import fs from 'node:fs';
import path from 'node:path';

const MIB = 1024 * 1024;

/** Writes and syncs `count` times `bytes`; the times of each in milliseconds. */
export function rawSync(directory, { count, bytes }) {
  const file = path.join(directory, 'raw');
  const fileBytes = Math.min(64 * MIB, Math.max(MIB, count * bytes));
  const fd = fs.openSync(file, 'w');
  const zeros = Buffer.alloc(MIB);
  for (let at = 0; at < fileBytes; at += MIB) fs.writeSync(fd, zeros, 0, MIB, at);
  fs.fsyncSync(fd);
  const record = Buffer.alloc(bytes, 7);
  const places = Math.floor(fileBytes / bytes);
  const startedAt = performance.now();
  for (let i = 0; i < count; i++) {
    fs.writeSync(fd, record, 0, bytes, (i % places) * bytes);
    fs.fdatasyncSync(fd);
  }
  const ms = performance.now() - startedAt;
  fs.closeSync(fd);
  fs.unlinkSync(file);
  return ms;
}

/** Calls `act` `count` times by `depth` callers that each wait; milliseconds it took. */
export async function drive(count, depth, act) {
  let next = 0;
  const startedAt = performance.now();
  const caller = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: depth }, caller));
  return performance.now() - startedAt;
}

/** A directory of its own for each run, taken away behind it. */
export async function inFresh(directory, use) {
  const dir = fs.mkdtempSync(path.join(directory, 'run-'));
  try {
    return await use(dir);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}
