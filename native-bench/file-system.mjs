/*
 * What a durable write costs by the way the file was prepared and the sync is asked for, with
 * synchronous calls: no thread pool between. Zero-filled files are written from their start and
 * began again where they end; growing files are cut to nothing before each round.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  fixed,
  interleave,
  medianOf,
  openZeroFilled,
  printTable,
  quantile,
  withScratch,
} from './report.mjs';
import { benchWriteStalls } from './write-stall.mjs';

const ROUNDS = 9;
const FILE_BYTES = 16 * 1024 * 1024;
const SIZES = [
  { bytes: 200, operations: 250 },
  { bytes: 100 * 1024, operations: 60 },
];
const DIRECTORY_OPERATIONS = 60;

export async function benchFileSystem() {
  await withScratch(async (directory) => {
    for (const size of SIZES) await benchWrites(directory, size);
    await benchDirectory(directory);
    await benchWriteStalls(directory);
  });
}

async function benchWrites(directory, { bytes, operations }) {
  const data = Buffer.alloc(bytes, 7);
  const file = (name) => path.join(directory, `${name}-${bytes}`);
  const filled = openZeroFilled(file('filled'), FILE_BYTES);
  const direct = openZeroFilled(file('dsync'), FILE_BYTES, fs.constants.O_DSYNC);
  const growing = fs.openSync(file('growing'), 'w');
  // Sparse: it has its size from the start, but no blocks.
  const sparse = fs.openSync(file('sparse'), 'w');
  const each = (fd, sync, prepare) => () => {
    prepare?.();
    let at = 0;
    const times = timed(operations, () => {
      if (at + bytes > FILE_BYTES) at = 0;
      fs.writeSync(fd, data, 0, bytes, at);
      sync?.(fd);
      at += bytes;
    });
    // Nothing dirty is left for the next case to pay for.
    fs.fdatasyncSync(fd);
    return times;
  };
  const cut = () => {
    fs.ftruncateSync(growing, 0);
    fs.fsyncSync(growing);
  };
  const makeSparse = () => {
    fs.ftruncateSync(sparse, 0);
    fs.ftruncateSync(sparse, FILE_BYTES);
    fs.fsyncSync(sparse);
  };
  const results = await interleave(ROUNDS, {
    'write, zero-filled': each(filled),
    'write + fdatasync, zero-filled': each(filled, fs.fdatasyncSync),
    'write + fsync, zero-filled': each(filled, fs.fsyncSync),
    'write with O_DSYNC, zero-filled': each(direct),
    'write + fdatasync, growing': each(growing, fs.fdatasyncSync, cut),
    'write + fdatasync, sparse': each(sparse, fs.fdatasyncSync, makeSparse),
  });
  for (const fd of [filled, direct, growing, sparse]) fs.closeSync(fd);
  print(`Writes of ${bytes} bytes`, results, 'write + fdatasync, zero-filled');
}

async function benchDirectory(directory) {
  const handle = fs.openSync(directory, 'r');
  let next = 0;
  const fresh = () => path.join(directory, `entry-${next++}`);
  const each = (act) => () => timed(DIRECTORY_OPERATIONS, act);
  const results = await interleave(ROUNDS, {
    'fsync of a directory, unchanged': each(() => fs.fsyncSync(handle)),
    'create, fsync of the directory': each(() => {
      fs.closeSync(fs.openSync(fresh(), 'w'));
      fs.fsyncSync(handle);
    }),
    'write, fsync, rename, fsync of the directory': each(() => {
      const name = fresh();
      const fd = fs.openSync(`${name}.tmp`, 'w');
      fs.writeSync(fd, 'record');
      fs.fsyncSync(fd);
      fs.closeSync(fd);
      fs.renameSync(`${name}.tmp`, name);
      fs.fsyncSync(handle);
    }),
  });
  fs.closeSync(handle);
  print('Directories', results, 'create, fsync of the directory');
}

function timed(operations, act) {
  const times = [];
  for (let i = 0; i < operations; i++) {
    const start = performance.now();
    act();
    times.push((performance.now() - start) * 1000);
  }
  return { median: quantile(times, 0.5), high: quantile(times, 0.95) };
}

function print(title, results, base) {
  const reference = medianOf(results.get(base), 'median');
  const rows = [...results].map(([name, found]) => {
    const middle = medianOf(found, 'median');
    return [
      name,
      fixed(middle, 1),
      fixed(medianOf(found, 'high'), 1),
      fixed(middle / reference, 2),
    ];
  });
  printTable(
    `${title}: medians of ${ROUNDS} interleaved rounds; the last column against "${base}"`,
    ['operation', 'p50 µs', 'p95 µs', 'times'],
    rows,
  );
}
