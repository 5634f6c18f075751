/*
 * What the benchmarks share: interleaved rounds, medians, and tables. The cases of a comparison run
 * in turn within each round, so that a neighbour on the machine slows all of them, not one.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Runs every case once a round; resolves with the results of each case, in order of rounds. */
export async function interleave(rounds, cases) {
  const results = new Map(Object.keys(cases).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(cases)) results.get(name).push(await run());
  }
  return results;
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** The median over the rounds of one field of the results. */
export function medianOf(results, field) {
  return median(results.map((result) => result[field]));
}

/** Prints rows of cells under a heading, numbers to the right. */
export function printTable(title, columns, rows) {
  const cells = [columns, ...rows.map((row) => row.map(String))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const line = (row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  console.log(`\n${title}\n`);
  console.log(line(columns));
  console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  for (const row of cells.slice(1)) console.log(line(row));
}

export function printMachine(directory) {
  const { type } = fs.statfsSync(directory);
  const load = os.loadavg().map((value) => value.toFixed(1));
  console.log(
    `Node ${process.version}, ${os.platform()} ${os.arch()}, ${os.cpus().length} CPUs, ` +
      `load ${load.join(' ')}, file system type 0x${type.toString(16)}`,
  );
}

/** Calls with the path of a scratch directory on the file system of this directory. */
export async function withScratch(use) {
  const parent = path.join(import.meta.dirname, 'work');
  fs.mkdirSync(parent, { recursive: true });
  const directory = fs.mkdtempSync(path.join(parent, 'bench-'));
  try {
    return await use(directory);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** Opens a file that is filled with zeros and synced, so that writing into it changes no metadata. */
export function openZeroFilled(file, bytes, flags = 0) {
  const zeros = Buffer.alloc(1 << 20);
  const fd = fs.openSync(file, 'w');
  for (let at = 0; at < bytes; at += zeros.length) {
    fs.writeSync(fd, zeros, 0, Math.min(zeros.length, bytes - at), at);
  }
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  return fs.openSync(file, fs.constants.O_RDWR | flags);
}

export function fixed(value, digits = 0) {
  return value.toFixed(digits);
}
