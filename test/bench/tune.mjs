/*
 * The paper replay against fact, over real flights: a job is recorded once, then run with three
 * other settings, and bytes, write amplification and restore times are printed beside what the paper
 * said of them. Also what a recording costs a commit, in rounds with and without, and its size.
 * Run by `npm run measure -- tune`; TIDEMARK_EVENTS says how many flights (default 600000).
 */
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { openFlights } from '../../dist/demo/flights.js';
import { addFlight, jobStates } from '../../dist/demo/states.js';
import { openEngine, tuneStore } from '../../dist/bundle/index.js';
import { WorkloadEncoder } from '../../dist/checkpoint/tuning/workload-codec.js';
import { WorkloadSampler } from '../../dist/checkpoint/tuning/workload-sampler.js';
import { CommitEncoder } from '../../dist/state/commit-encoder.js';
import { PaperReplay } from '../../dist/checkpoint/tuning/tuning-replay.js';
import { workloadOf } from '../../dist/checkpoint/tuning/tuning-source.js';
import { resolveOptions } from '../../dist/engine/options.js';

const events = Number(process.env.TIDEMARK_EVENTS ?? 600_000);
const rounds = Number(process.env.TIDEMARK_ROUNDS ?? 5);
const eventsPerCommit = 1000;
const MIB = 1024 * 1024;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const spread = (values, digits) =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} … ${Math.max(...values).toFixed(digits)})`;

/** Runs the job; every checkpoint and merge ends before the next commit, as on paper. */
async function job(dir, options, count = events) {
  fs.rmSync(dir, { recursive: true, force: true });
  const engine = await openEngine({ dir, checks: false, ...options });
  const states = jobStates(engine);
  const flights = await openFlights();
  let sealMs = 0;
  for await (const batch of flights.read(0, count)) {
    for (let row = batch.from; row < batch.to; row++) {
      addFlight(states, batch, row);
      if ((row + 1) % eventsPerCommit !== 0) continue;
      const startedAt = performance.now();
      const commit = engine.commit({ positions: { flights: row + 1 } });
      sealMs += performance.now() - startedAt;
      await commit;
      await idle(engine);
    }
  }
  await engine.close();
  return { engine, sealMs, commits: Math.floor(count / eventsPerCommit) };
}

async function idle(engine) {
  for (;;) {
    const { compacting, checkpointing } = engine.stats();
    if (!compacting && !checkpointing.running) {
      await turn();
      if (!engine.stats().compacting) return;
    }
    await turn();
  }
}

async function restores(dir, options) {
  const seconds = [];
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now();
    const engine = await openEngine({
      dir,
      ...options,
      checkpointing: false,
      prefetch: 'aggressive',
    });
    seconds.push((performance.now() - startedAt) / 1000);
    await engine.close();
  }
  return seconds;
}

async function totalsOf(dir) {
  const engine = await openEngine({ dir, checkpointing: false });
  const newest = (await engine.checkpoints()).at(-1);
  await engine.close();
  return newest.totals;
}

export async function tuning(root) {
  const record = path.join(root, 'flights.tmr');
  const recorded = path.join(root, 'recorded');
  const first = { checkpointing: { logBytes: 16 * MIB }, record };
  await job(recorded, first);
  const size = fs.statSync(record).size;
  const { workload } = workloadOf(fs.readFileSync(record), record);
  const logBytes = (await totalsOf(recorded)).logBytes;
  console.log(
    `Recording of ${events} flights: ${size} bytes, ${((size / logBytes) * 100).toFixed(2)} % of ${logBytes} bytes of log, ` +
      `${workload.keys.tables.length} keys and ${workload.rows.ids.length} rows`,
  );
  const report = await tuneStore({ dir: recorded, recording: record });
  const models = new Map(
    report.tried.map(({ settings }) => [settings.codec.codec, settings.codec]),
  );
  const settings = [
    { checkpointing: { logBytes: 8 * MIB }, maxChainLength: 4 },
    { checkpointing: { commits: 40 }, maxChainLength: 8, compression: 'zstd' },
    { checkpointing: { entries: 300_000 }, maxChainLength: 3, merge: { strategy: 'sequential' } },
  ];
  console.log(
    'Paper and fact, and how far the paper is off; restores in seconds, median (least … greatest)',
  );
  for (const [i, options] of settings.entries()) {
    const dir = path.join(root, `real-${i}`);
    await job(dir, options);
    const fact = await totalsOf(dir);
    const { checkpointing, chain, retention, log, compression } = resolveOptions({
      dir,
      ...options,
    });
    const replay = new PaperReplay(
      workload,
      {
        triggers: checkpointing,
        policy: chain.policy,
        codec: models.get(compression.codec),
        retention: retention.settings,
        segmentBytesMax: log.segmentBytesMax,
      },
      await openRates(dir),
    );
    const paper = replay.run();
    const amplification = (fact.checkpointBytes + fact.mergeBytes) / fact.logBytes;
    console.log(`  ${JSON.stringify(options)}`);
    for (const name of ['logBytes', 'checkpointBytes', 'mergeBytes']) {
      line(name, paper.totals[name], fact[name], 0);
    }
    line('write amplification', paper.writeAmplification, amplification, 3);
    const seconds = await restores(dir, options);
    console.log(
      `    ${'restore'.padEnd(22)} ${replay.endSeconds.toFixed(3)} at the end, ${paper.restoreSeconds.worst.toFixed(3)} at worst; fact ${spread(seconds, 3)}`,
    );
  }
  await cost(root);
  samplingCost();
}

async function openRates(dir) {
  const engine = await openEngine({ dir, checkpointing: false });
  const { rates } = engine.stats().restore;
  await engine.close();
  return rates;
}

function line(name, paper, fact, digits) {
  const off = ((paper / fact - 1) * 100).toFixed(2);
  console.log(
    `    ${name.padEnd(22)} ${paper.toFixed(digits).padStart(14)} ${fact.toFixed(digits).padStart(14)} ${off.padStart(8)} %`,
  );
}

/** What a commit takes on the main thread, encoding and sealing, with a recording and without. */
async function cost(root) {
  const count = Math.min(events, 200_000);
  const times = { without: [], with: [] };
  for (let round = 0; round < rounds; round++) {
    for (const name of ['without', 'with']) {
      const record = path.join(root, `cost-${round}.tmr`);
      const options = name === 'with' ? { record } : {};
      const { sealMs, commits } = await job(path.join(root, 'cost'), options, count);
      times[name].push((sealMs / commits) * 1000);
    }
  }
  console.log(
    `Microseconds of the main thread for a commit of about 3000 entries, median of ${rounds}`,
  );
  for (const [name, values] of Object.entries(times)) {
    console.log(`  ${name.padEnd(8)} a recording ${spread(values, 0)}`);
  }
}

/** The sampling alone: the same records again and again, against the encoding of them. */
export function samplingCost() {
  const entries = 3000;
  const encoder = new CommitEncoder(1 << 26);
  const value = new Uint8Array(60);
  const encode = (commit) => {
    encoder.begin(commit, undefined);
    for (let i = 0; i < entries; i++) {
      const key = `key-${(commit * 7919 + i * 104_729) % 200_000}`;
      const change = { table: 16, op: 1, operator: 0, expiry: 0, eventTime: 0, key };
      encoder.add({ ...change, subKey: undefined, value });
    }
    return encoder.finish();
  };
  const sampler = new WorkloadSampler({
    seed: { low: 1, high: 2 },
    itemsMax: () => undefined,
    before: () => undefined,
  });
  const out = new WorkloadEncoder();
  const times = { encode: [], sample: [] };
  for (let commit = 1; commit <= 1000; commit++) {
    const startedAt = performance.now();
    const record = encode(commit);
    const encodedAt = performance.now();
    out.begin(commit - 1);
    out.add(sampler.commit(commit, record));
    out.take();
    const endedAt = performance.now();
    if (commit <= 200) continue;
    times.encode.push(((encodedAt - startedAt) / entries) * 1e6);
    times.sample.push(((endedAt - encodedAt) / entries) * 1e6);
  }
  console.log('Nanoseconds an entry of a commit of 3000, 200,000 keys, median (least … greatest)');
  console.log(`  encoding the record  ${spread(times.encode, 0)}`);
  console.log(`  sampling it          ${spread(times.sample, 0)}`);
}
