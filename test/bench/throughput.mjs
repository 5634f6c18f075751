/*
 * How fast an opening loads its state, beside the limit of the same machine in the same run: reading,
 * checking and decompressing the blocks of the same files, and nothing else. One large base, no codec
 * and lz4, one thread and two; rounds are interleaved. Bytes are those of blocks before compression.
 * Then what memory it took, and how fast a log without a checkpoint is replayed.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { openEngine } from '../../dist/bundle/index.js';

const MiB = 1024 * 1024;

/** Text that compresses about as prose does, the same at each run. */
function textOf(seed, bytes) {
  const words = 'tide mark river harbour signal buoy current moon shore drift anchor keel'.split(
    ' ',
  );
  let state = (seed * 2_654_435_761) >>> 0;
  let text = '';
  while (text.length < bytes) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += state >>> 28 < 6 ? state.toString(36) : words[(state >>> 8) % words.length];
    text += ' ';
  }
  return text.slice(0, bytes);
}

const optionsOf = (dir, compression) => ({
  dir,
  compression,
  checkpointing: false,
  memtableBytesMax: 2 ** 32,
  checks: false,
  prefetch: 'aggressive',
});

/** A store whose state is one base, or, with `log`, the log alone. */
async function makeStore(dir, compression, { entries, valueBytes, log = false }) {
  const texts = Array.from({ length: 997 }, (_, i) => textOf(i + 1, valueBytes));
  const engine = await openEngine(optionsOf(dir, compression));
  const state = engine.operator('bench').value('state');
  const pending = [];
  for (let i = 0; i < entries; i++) {
    state.set(`key-${i}`, { n: i, at: i * 1.5, text: texts[i % texts.length] });
    if (i % 1000 === 999) pending.push(engine.commit());
    if (pending.length > 8) await pending.shift();
    // A checkpoint now and then, so that no memtable holds it all.
    if (!log && i % 500_000 === 499_999) await engine.checkpoint();
  }
  await Promise.all(pending);
  if (!log) await engine.checkpoint({ kind: 'base' });
  await engine.close();
}

/** Threads that do nothing but read, check and decompress; started and warm before they are timed. */
class LimitThreads {
  constructor(count) {
    this.threads = Array.from({ length: count }, () => {
      return new Worker(new URL('./throughput-limit.mjs', import.meta.url));
    });
  }

  /** One pass over a file: milliseconds, of all cores together too, and bytes. */
  async pass(file, keep) {
    const next = new Int32Array(new SharedArrayBuffer(4));
    const done = () =>
      this.threads.map(
        (thread) =>
          new Promise((resolve, reject) => {
            // A thread answers or fails once a pass; what is left over goes with the next.
            thread.removeAllListeners('error').once('error', reject);
            thread.once('message', resolve);
            thread.postMessage({ file, next, keep });
          }),
      );
    const { ms, cpuMs, result } = await timed(() => Promise.all(done()));
    return { ms, cpuMs, bytes: result.reduce((sum, part) => sum + part.bytes, 0) };
  }

  close() {
    return Promise.all(this.threads.map((thread) => thread.terminate()));
  }
}

/** Time on the clock, and time of all cores: what others do on the machine is not in the second. */
async function timed(act) {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const result = await act();
  const ms = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000, result };
}

/** Opens and closes; the time of all cores is that of the whole opening, threads that start included. */
async function opening(dir, compression, threadsMax) {
  globalThis.gc?.();
  const options = { ...optionsOf(dir, compression), threadsMax };
  const { ms, cpuMs, result: engine } = await timed(() => openEngine(options));
  const { phasesMs, parallelEfficiency, chainLength } = engine.recovery;
  if (chainLength !== 1) throw new Error(`the chain has ${chainLength} snapshots, one was made`);
  await engine.close();
  return { ms, cpuMs, loadMs: phasesMs.load, efficiency: parallelEfficiency };
}

const column = (text) => String(text).padStart(9);

export async function throughput({ fresh, rounds, median }) {
  // In every pass and opening memory that is new, as in a process that starts: glibc keeps what is let
  // go, and gives it out again without a page fault, unless it is told a fixed threshold.
  if (process.env.MALLOC_MMAP_THRESHOLD_ === undefined) {
    const measure = fileURLToPath(new URL('./measure.mjs', import.meta.url));
    const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: '4194304' };
    execFileSync(process.execPath, ['--expose-gc', measure, 'throughput'], {
      env,
      stdio: 'inherit',
    });
    return;
  }
  const entries = Number(process.env.TIDEMARK_ENTRIES ?? 4_000_000);
  const valueBytes = Number(process.env.TIDEMARK_VALUE_BYTES ?? 250);
  const codecs = (process.env.TIDEMARK_CODECS ?? 'none,lz4').split(',');
  for (const codec of codecs) {
    const dir = fresh(`throughput-${codec}`);
    await makeStore(dir, codec, { entries, valueBytes });
    await measureStore({ dir, codec, entries, rounds, median });
    measureMemory(dir, codec);
    fs.rmSync(dir, { recursive: true, force: true });
  }
  await measureSmall(fresh('throughput-small'), { rounds, median });
  await measureReplay(fresh('throughput-log'), {
    entries: entries / 4,
    valueBytes,
    rounds,
    median,
  });
}

/** Opens a store in a process of its own. */
function openedApart(dir, options) {
  const script = fileURLToPath(new URL('./throughput-memory.mjs', import.meta.url));
  return JSON.parse(execFileSync(process.execPath, [script, JSON.stringify({ dir, options })]));
}

/** The fixed cost of an opening: little in the log, no checkpoint. */
async function measureSmall(dir, { rounds, median }) {
  await makeStore(dir, 'lz4', { entries: 5000, valueBytes: 100, log: true });
  const cpu = [];
  for (let round = 0; round < rounds; round++) {
    cpu.push(openedApart(dir, optionsOf(dir, 'lz4')).cpuMs);
  }
  fs.rmSync(dir, { recursive: true, force: true });
  console.log(`Opening 5000 entries in the log: ${median(cpu).toFixed(0)} ms of CPU time`);
}

/** What is held when it is open, and the most that was held on the way. */
function measureMemory(dir, codec) {
  console.log('  threads   images MiB   of entries   peak above images and process, MiB');
  for (const threadsMax of [1, 2]) {
    const options = { ...optionsOf(dir, codec), threadsMax };
    const { before, peak, imageBytes, entryBytes } = openedApart(dir, options);
    const above = (peak - before - imageBytes) / MiB;
    console.log(
      `  ${String(threadsMax).padStart(7)} ${(imageBytes / MiB).toFixed(0).padStart(12)}` +
        ` ${(imageBytes / entryBytes).toFixed(3).padStart(12)} ${above.toFixed(0).padStart(12)}`,
    );
  }
}

/** The log turned into an image, without a checkpoint. */
async function measureReplay(dir, { entries, valueBytes, rounds, median }) {
  await makeStore(dir, 'lz4', { entries, valueBytes, log: true });
  const counts = [1, 2];
  const found = counts.map(() => []);
  let bytes = 0;
  for (let round = -1; round < rounds; round++) {
    for (const [i, threadsMax] of counts.entries()) {
      const options = { ...optionsOf(dir, 'lz4'), threadsMax };
      const { cpuMs, result: engine } = await timed(() => openEngine(options));
      const { phasesMs, parallelEfficiency, replayedBytes } = engine.recovery;
      bytes = replayedBytes;
      await engine.close();
      if (round >= 0) found[i].push({ ms: phasesMs.replay, cpuMs, efficiency: parallelEfficiency });
    }
  }
  fs.rmSync(dir, { recursive: true, force: true });
  console.log(
    `Replaying ${entries} entries in the log, ${(bytes / MiB).toFixed(0)} MiB; median of ${rounds}, MB/s`,
  );
  console.log('  threads  replay     busy    ms of CPU time');
  for (const [i, count] of counts.entries()) {
    const of = (name) => median(found[i].map((one) => one[name]));
    const rate = Math.round(bytes / 1e3 / of('ms'));
    console.log(
      `${column(count)}${column(rate)}${column(of('efficiency')?.toFixed(2) ?? '–')}${column(of('cpuMs').toFixed(0))}`,
    );
  }
}

async function measureStore({ dir, codec, entries, rounds, median }) {
  const { file, fileBytes } = largestIn(path.join(dir, 'snapshots'));
  const counts = [1, 2];
  const limits = counts.map((count) => new LimitThreads(count));
  const found = counts.map(() => ({ limit: [], kept: [], opened: [] }));
  // The first round warms caches and threads, and is not counted.
  for (let round = -1; round < rounds; round++) {
    for (const [i, count] of counts.entries()) {
      const limit = await limits[i].pass(file, false);
      const opened = await opening(dir, codec, count);
      const kept = await limits[i].pass(file, true);
      if (round < 0) continue;
      found[i].limit.push(limit);
      found[i].kept.push(kept);
      found[i].opened.push(opened);
    }
  }
  await Promise.all(limits.map((threads) => threads.close()));
  const { bytes } = found[0].limit[0];
  const rate = (ms) => Math.round(bytes / 1e3 / median(ms));
  console.log(
    `Opening ${entries} entries, one base of ${(fileBytes / MiB).toFixed(0)} MiB, ` +
      `${(bytes / MiB).toFixed(0)} MiB before compression (${codec}); median of ${rounds}, MB/s`,
  );
  console.log(
    '  threads    limit     kept     load  opening     busy  load/limit  load/kept  of CPU time: opening/limit, opening/kept',
  );
  for (const [i, count] of counts.entries()) {
    const { limit, kept, opened } = found[i];
    const ratio = (of, ms) => median(opened.map((one, round) => of[round].ms / one[ms])).toFixed(2);
    const cpu = (of) => median(opened.map((one, round) => of[round].cpuMs / one.cpuMs)).toFixed(2);
    console.log(
      [
        column(count),
        column(rate(limit.map(({ ms }) => ms))),
        column(rate(kept.map(({ ms }) => ms))),
        column(rate(opened.map(({ loadMs }) => loadMs))),
        column(rate(opened.map(({ ms }) => ms))),
        column(median(opened.map(({ efficiency }) => efficiency))?.toFixed(2) ?? '–'),
        column(ratio(limit, 'loadMs')),
        column(ratio(kept, 'loadMs')),
        column(cpu(limit)),
        column(cpu(kept)),
      ].join(''),
    );
  }
}

function largestIn(directory) {
  const files = fs.readdirSync(directory).map((name) => {
    const file = path.join(directory, name);
    return { file, fileBytes: fs.statSync(file).size };
  });
  return files.sort((a, b) => b.fileBytes - a.fileBytes)[0];
}
