/*
 * What an opening costs until something is read, by the size of the state: a process of its own opens
 * the store, reads one key, then random keys while slices are loaded behind the opening, then all hot.
 * Sizes in GB of entries: TIDEMARK_SIZES, 0.1,1,3 by default; 0.05 takes seconds. `measure -- heap`
 * opens stores of TIDEMARK_COUNTS entries, a million and ten million by default, and prints the heap;
 * `measure -- nonresident` serves TIDEMARK_GB, 2 by default, of a state that stays in its files.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openEngine } from '../../dist/bundle/index.js';

const GB = 1e9;
const entryBytes = 1000;
const child = fileURLToPath(new URL('open-and-read.mjs', import.meta.url));
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** A store of so many entries in one base, without a log behind it. */
export async function fillStore(dir, count, bytes, options = {}) {
  const engine = await openEngine({
    dir,
    durability: 'os',
    checkpointing: false,
    maxChainLength: 100,
  });
  const state = engine.operator('bench').value('state', options);
  // Half of it differs in each entry: lz4 leaves about half.
  const noise = randomBytes(4 << 20).toString('base64');
  const text = 'The tide mark of a thousand entries, '.repeat(Math.ceil(bytes / 30));
  const half = Math.ceil(bytes / 2);
  const perCheckpoint = Math.floor(100e6 / bytes);
  for (let i = 0; i < count; i++) {
    const at = (i * 104_729) % (noise.length - half);
    state.set(i, noise.slice(at, at + half) + text.slice(i % 37, (i % 37) + half));
    if (i % 500 === 499) await engine.commit({ positions: { source: i } });
    if (i % perCheckpoint === perCheckpoint - 1) await engine.checkpoint();
  }
  await engine.commit();
  await engine.checkpoint();
  if (engine.stats().chainLength > 1) await engine.checkpoint({ kind: 'base' });
  const { storedBytes, entryBytes: bytesOfEntries } = engine.stats().storage;
  await engine.close();
  return { storedBytes, entryBytes: bytesOfEntries };
}

function opened(dir, count, mode, ...rest) {
  const args = ['--expose-gc', child, dir, String(count), mode, ...rest.map(String)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1e9 }));
}

export async function firstRead(fresh, rounds) {
  const sizes = (process.env.TIDEMARK_SIZES ?? '0.1,1,3').split(',').map(Number);
  const modes = ['adaptive', 'none', 'aggressive'];
  const points = [];
  for (const size of sizes) {
    const dir = fresh(`first-${size}`);
    const count = Math.round((size * GB) / entryBytes);
    const { storedBytes } = await fillStore(dir, count, entryBytes);
    const runs = Object.fromEntries(modes.map((mode) => [mode, []]));
    for (let round = 0; round < rounds; round++) {
      for (const mode of modes) runs[mode].push(opened(dir, count, mode));
    }
    console.log(
      `First read, ${size} GB in ${count} entries, ${(storedBytes / 1e6).toFixed(0)} MB of files, median of ${rounds} (greatest)`,
    );
    for (const mode of modes) {
      const of = (name) => runs[mode].map((run) => run[name]);
      const text = (name, digits = 1) =>
        `${median(of(name)).toFixed(digits)} (${Math.max(...of(name)).toFixed(digits)})`;
      console.log(
        `  ${mode.padEnd(10)} open ${text('openMs')} ms, open and first read ${text('firstReadMs')} ms, of the processor ${text('cpuMs')} ms; ` +
          `both again in the same process ${text('againMs')} ms; ` +
          `reads meanwhile p50 ${text('coldP50Us')} µs, p99 ${text('coldP99Us', 0)} µs; all in memory after ${text('residentMs', 0)} ms; ` +
          `hot p50 ${text('hotP50Us', 2)} µs`,
      );
    }
    const ms = (name) => median(runs.adaptive.map((run) => run[name]));
    points.push({ size, ms: ms('firstReadMs'), againMs: ms('againMs') });
    fs.rmSync(dir, { recursive: true, force: true });
  }
  if (points.length > 1) {
    console.log(`  adaptive: ${fitText(points)}`);
    const again = points.map(({ size, againMs }) => ({ size, ms: againMs }));
    console.log(`  adaptive, again in the same process: ${fitText(again)}`);
  }
}

/** The straight line through the points that leaves least squares. */
function fitText(points) {
  const n = points.length;
  const sum = (of) => points.reduce((total, point) => total + of(point), 0);
  const [sx, sy] = [sum(({ size }) => size), sum(({ ms }) => ms)];
  const slope =
    (n * sum(({ size, ms }) => size * ms) - sx * sy) /
    (n * sum(({ size }) => size * size) - sx * sx);
  const at0 = (sy - slope * sx) / n;
  return `${at0.toFixed(1)} ms + ${slope.toFixed(2)} ms a GB; 10 GB by this line: ${(at0 + 10 * slope).toFixed(1)} ms`;
}

export async function heap(fresh) {
  const counts = (process.env.TIDEMARK_COUNTS ?? '1000000,10000000').split(',').map(Number);
  console.log(
    'V8 heap of an engine that was opened, all of its state in memory, after full collections',
  );
  for (const count of counts) {
    const dir = fresh(`heap-${count}`);
    await fillStore(dir, count, 100);
    const { heapBytes, imageBytes, rssBytes } = opened(dir, count, 'aggressive');
    console.log(
      `  ${count} entries: heap ${(heapBytes / 1e6).toFixed(1)} MB, images ${(imageBytes / 1e6).toFixed(0)} MB, RSS ${(rssBytes / 1e6).toFixed(0)} MB`,
    );
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

export async function nonResident(fresh) {
  const size = Number(process.env.TIDEMARK_GB ?? 2);
  const cacheBytesMax = Number(process.env.TIDEMARK_CACHE ?? 128 * 1024 * 1024);
  const dir = fresh('nonresident');
  const count = Math.round((size * GB) / entryBytes);
  const { storedBytes } = await fillStore(dir, count, entryBytes, { resident: false });
  const run = opened(dir, count, 'adaptive', 'nonresident', cacheBytesMax);
  console.log(
    `A state of ${size} GB (${(storedBytes / 1e6).toFixed(0)} MB of files) with resident: false, a cache of ${(cacheBytesMax / 1e6).toFixed(0)} MB:\n` +
      `  ${run.reads} random reads and ${run.writes} writes with checkpoints: RSS at most ${(run.rssMostBytes / 1e6).toFixed(0)} MB;\n` +
      `  reads p50 ${run.coldP50Us.toFixed(1)} µs, p99 ${run.coldP99Us.toFixed(0)} µs; of 1 % of the keys p50 ${run.hotP50Us.toFixed(1)} µs`,
  );
  fs.rmSync(dir, { recursive: true, force: true });
}
