/*
 * A day's run condensed: a hundred checkpoints under compaction and retention with the defaults, over a
 * state whose size stays. Disk, memory and latency are to stay flat: the chart shows each tenth checkpoint.
 */
import fs from 'node:fs';
import path from 'node:path';
import { openEngine } from '../../../dist/bundle/index.js';
import { makeRandom, percentile } from '../statistics.mjs';

const MIB = 1024 * 1024;

const fields = [
  ['diskBytes', 'disk', 'bytes'],
  ['memoryBytes', 'memory of the process', 'bytes'],
  ['imageBytes', 'memory of images', 'bytes'],
  ['heapBytes', 'JavaScript heap', 'bytes'],
  ['commitP50', 'commit of 100 entries, p50', 'ms'],
  ['commitP99', 'commit of 100 entries, p99', 'ms'],
  ['checkpointMs', 'checkpoint', 'ms'],
];

export async function benchmark({ quick, directory }) {
  const entries = quick ? 20_000 : 500_000;
  const checkpoints = quick ? 20 : 100;
  const samples = 10;
  const dir = path.join(directory, 'day');
  let days;
  const cases = Array.from({ length: samples }, (_, sample) =>
    fields.map(([field, series, unit]) => ({
      name: `${series}, checkpoint ${((sample + 1) * checkpoints) / samples}`,
      unit,
      better: 'less',
      at: ((sample + 1) * checkpoints) / samples,
      series,
      chart: unit,
      async run() {
        days ??= await runDay(dir, { entries, checkpoints, every: checkpoints / samples });
        return days[sample][field];
      },
    })),
  ).flat();
  return {
    title: `A run of ${checkpoints} checkpoints, ${entries.toLocaleString('en')} entries`,
    rounds: 1,
    warmup: 0,
    charts: ['bytes', 'ms'].map((unit) => ({ unit, x: 'checkpoints', scale: 'linear' })),
    cases,
  };
}

async function runDay(dir, { entries, checkpoints, every }) {
  const engine = await openEngine({ dir, checkpointing: false, segmentBytesMax: 16 * MIB });
  const state = engine.operator('bench').value('state');
  const random = makeRandom(1);
  const valueOf = (i) => ({
    count: i,
    sum: random() * 1e6,
    text: 'text to fill it up to a hundred',
  });
  for (let i = 0; i < entries; i++) {
    state.set(i, valueOf(i));
    if (i % 1000 === 999) await engine.commit();
  }
  await engine.commit();
  const found = [];
  let latencies = [];
  let times = [];
  for (let checkpoint = 1; checkpoint <= checkpoints; checkpoint++) {
    for (let commit = 0; commit < entries / 5000; commit++) {
      for (let i = 0; i < 100; i++) {
        const key = Math.floor(random() * entries);
        state.set(key, valueOf(key));
      }
      const began = performance.now();
      await engine.commit();
      latencies.push(performance.now() - began);
    }
    const began = performance.now();
    await engine.checkpoint();
    times.push(performance.now() - began);
    if (checkpoint % every !== 0) continue;
    while (engine.stats().compacting) await new Promise((resolve) => setTimeout(resolve, 10));
    globalThis.gc();
    const { rss, heapUsed } = process.memoryUsage();
    latencies.sort((a, b) => a - b);
    times.sort((a, b) => a - b);
    found.push({
      diskBytes: allocated(dir),
      memoryBytes: rss,
      imageBytes: engine.stats().imageBytes,
      heapBytes: heapUsed,
      commitP50: percentile(latencies, 0.5),
      commitP99: percentile(latencies, 0.99),
      checkpointMs: percentile(times, 0.5),
    });
    latencies = [];
    times = [];
  }
  await engine.close();
  return found;
}

function allocated(place) {
  const stat = fs.lstatSync(place);
  if (!stat.isDirectory()) return stat.blocks * 512;
  return fs.readdirSync(place).reduce((sum, name) => sum + allocated(path.join(place, name)), 0);
}
