/*
 * Figures of the built engine beside the limits of the same run: durable commits against a raw
 * write and fdatasync loop, the stall of the event loop by a checkpoint of a million changed entries
 * against the same run without one, and recovery. Rounds are interleaved; medians are printed with
 * the least and the greatest. Run by `npm run measure`, or `npm run measure -- throughput` for one of
 * them; needs about 2 GB of disk in the temporary
 * directory and takes a few minutes.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openEngine } from '../../dist/bundle/index.js';
import { openLog } from '../../dist/bundle/log.js';
import { tuning } from './tune.mjs';
import { strategies, triggers } from './chain.mjs';
import { logCompression } from './log-compression.mjs';
import { savings } from './savings.mjs';
import { throughput } from './throughput.mjs';

const rounds = Number(process.env.TIDEMARK_ROUNDS ?? 5);
const entries = Number(process.env.TIDEMARK_ENTRIES ?? 1_000_000);
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tidemark-measure-'));
const only = process.argv[2];

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const spread = (values, digits = 0) =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} … ${Math.max(...values).toFixed(digits)})`;

function fresh(name) {
  const dir = path.join(root, name);
  fs.rmSync(dir, { recursive: true, force: true });
  return dir;
}

/** The limit: synchronous write and fdatasync in a file full of zeros, as the log lays it out. */
function rawLoop(count, bytes) {
  const file = path.join(root, 'raw');
  const fd = fs.openSync(file, 'w');
  const zeros = Buffer.alloc(1 << 20);
  for (let i = 0; i < 8; i++) fs.writeSync(fd, zeros, 0, zeros.length, i << 20);
  fs.fsyncSync(fd);
  const record = Buffer.alloc(bytes, 7);
  const startedAt = performance.now();
  for (let i = 0; i < count; i++) {
    fs.writeSync(fd, record, 0, bytes, i * bytes);
    fs.fdatasyncSync(fd);
  }
  const rate = (count / (performance.now() - startedAt)) * 1000;
  fs.closeSync(fd);
  return rate;
}

async function inFlight(count, depth, act) {
  let next = 0;
  const startedAt = performance.now();
  const worker = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: depth }, worker));
  return (count / (performance.now() - startedAt)) * 1000;
}

async function engineCommits(count, depth) {
  const engine = await openEngine({ dir: fresh('commits') });
  const state = engine.operator('bench').value('state');
  const value = 'x'.repeat(80);
  const rate = await inFlight(count, depth, (i) => {
    state.set(i % 100_000, value);
    return engine.commit();
  });
  await engine.close();
  return rate;
}

async function logAppends(count, depth, batch) {
  const log = await openLog({ dir: fresh('log') });
  const record = Buffer.alloc(100, 7);
  const records = Array(batch).fill(record);
  const append = batch === 1 ? () => log.append(record) : () => log.appendBatch(records);
  const rate = (await inFlight(count / batch, depth, append)) * batch;
  await log.close();
  return rate;
}

async function commits() {
  const cases = [
    ['raw write + fdatasync, 192 B', () => rawLoop(3000, 192)],
    ['engine, 1 in flight', () => engineCommits(3000, 1)],
    ['engine, 64 in flight', () => engineCommits(60_000, 64)],
    ['engine, 1024 in flight', () => engineCommits(300_000, 1024)],
    ['log, 1 in flight', () => logAppends(3000, 1, 1)],
    ['log, 64 in flight', () => logAppends(100_000, 64, 1)],
    ['log, 1024 in flight', () => logAppends(600_000, 1024, 1)],
    ['log, batches of 1000, 4 in flight', () => logAppends(6_000_000, 4, 1000)],
  ];
  const rates = cases.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < cases.length; i++) rates[i].push(await cases[i][1]());
  }
  const limit = median(rates[0]);
  console.log(
    `Durable records a second, median of ${rounds} (least … greatest), ratio to the raw loop`,
  );
  cases.forEach(([name], i) => {
    const ratio = (median(rates[i]) / limit).toFixed(2);
    console.log(`  ${name.padEnd(36)} ${spread(rates[i]).padStart(36)}   ${ratio}`);
  });
}

async function fill(engine, round) {
  const state = engine.operator('bench').value('state');
  const pending = [];
  for (let i = 0; i < entries; i++) {
    state.set(`key-${i}`, { count: i + round, sum: i * 1.5, text: 'some text to fill it' });
    if (i % 1000 !== 999) continue;
    pending.push(engine.commit({ positions: { source: i } }));
    if (pending.length > 8) await pending.shift();
  }
  await Promise.all(pending);
}

/** Commits one after the other while `running()`; their latencies, and the delay of the loop. */
async function watch(engine, running) {
  const state = engine.operator('bench').value('other');
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const latencies = [];
  delay.enable();
  for (let i = 0; running(); i++) {
    state.set(i % 1000, i);
    const startedAt = performance.now();
    await engine.commit();
    latencies.push(performance.now() - startedAt);
  }
  delay.disable();
  const sorted = latencies.sort((a, b) => a - b);
  return {
    p99: delay.percentile(99) / 1e6,
    max: delay.max / 1e6,
    commitP99: sorted[Math.floor(sorted.length * 0.99)],
    commitP50: sorted[Math.floor(sorted.length * 0.5)],
  };
}

async function stall() {
  const figures = { with: [], without: [], ms: [], bytes: [] };
  for (let round = 0; round < rounds; round++) {
    const engine = await openEngine({
      dir: fresh('stall'),
      memtableBytesMax: 2 ** 30,
      checkpointing: false,
      checks: false,
    });
    await fill(engine, round);
    globalThis.gc?.();
    let done = false;
    const startedAt = performance.now();
    const taken = engine.checkpoint().finally(() => {
      done = true;
    });
    figures.with.push(await watch(engine, () => !done));
    const record = await taken;
    const ms = performance.now() - startedAt;
    figures.ms.push(ms);
    figures.bytes.push(record.chain.at(-1).bytes);
    const until = performance.now() + ms;
    figures.without.push(await watch(engine, () => performance.now() < until));
    await engine.close();
  }
  const of = (runs, name) =>
    spread(
      runs.map((run) => run[name]),
      2,
    );
  console.log(`A checkpoint of ${entries} changed entries, commits one after the other beside it`);
  console.log(`  ms, bytes                 ${spread(figures.ms)}, ${spread(figures.bytes)}`);
  const print = (title, runs) => {
    console.log(`  ${title}`);
    console.log(`    loop delay p99, max ms  ${of(runs, 'p99')}, ${of(runs, 'max')}`);
    console.log(`    commit p50, p99 ms      ${of(runs, 'commitP50')}, ${of(runs, 'commitP99')}`);
  };
  print('during the checkpoint', figures.with);
  print('same time without', figures.without);
}

async function recovery() {
  const dir = fresh('recovery');
  let engine = await openEngine({ dir, memtableBytesMax: 2 ** 30, checkpointing: false });
  await fill(engine, 0);
  await engine.close();
  const replay = [];
  for (let round = 0; round < rounds; round++) {
    engine = await openEngine({ dir, checkpointing: false });
    replay.push(engine.recovery.phasesMs.total);
    await engine.close();
  }
  engine = await openEngine({ dir });
  const record = await engine.checkpoint();
  await engine.close();
  const load = [];
  const heap = [];
  for (let round = 0; round < rounds; round++) {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    const startedAt = performance.now();
    engine = await openEngine({ dir });
    load.push(performance.now() - startedAt);
    globalThis.gc?.();
    heap.push((process.memoryUsage().heapUsed - before) / 1024 / 1024);
    await engine.close();
  }
  const rate = (runs) => ((entries / median(runs)) * 1000).toFixed(0);
  console.log(`Opening a store of ${entries} entries (${record.chain[0].bytes} bytes of snapshot)`);
  console.log(`  from its snapshot, ms     ${spread(load)}   ${rate(load)} entries/s`);
  console.log(`  by replay of the log, ms  ${spread(replay)}   ${rate(replay)} entries/s`);
  console.log(`  V8 heap after it, MiB     ${spread(heap, 1)}`);
}

try {
  console.log(`Node ${process.version}, ${os.availableParallelism()} cores, ${os.platform()}`);
  if (!only || only === 'commits') await commits();
  if (!only || only === 'stall') await stall();
  if (!only || only === 'recovery') await recovery();
  const chain = { commits: Number(process.env.TIDEMARK_COMMITS ?? 3000), rounds, fresh, median };
  if (!only || only === 'triggers') await triggers(chain);
  if (!only || only === 'strategies') await strategies(chain);
  if (!only || only === 'log') await logCompression(chain);
  if (!only || only === 'savings') await savings({ fresh, rounds });
  if (!only || only === 'throughput') await throughput({ fresh, rounds, median });
  if (!only || only === 'tune') await tuning(root);
} finally {
  fs.rmSync(root, { recursive: true, force: true });
}
