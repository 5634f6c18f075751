/*
 * Cost as the state grows: latency of commits, time of an incremental checkpoint of a thousand changed
 * entries, opening, and memory, for states of 10^4 to 10^7 entries of about 100 bytes.
 */
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { openEngine } from '../../../dist/bundle/index.js';
import { makeRandom, percentile } from '../statistics.mjs';

export async function benchmark({ quick, directory }) {
  const sizes = quick ? [1e4, 3e4, 1e5] : [1e4, 1e5, 1e6, 1e7];
  const found = new Map();
  const cases = sizes.flatMap((entries) => [
    {
      name: `checkpoint of 1000 changed entries, ${entries.toLocaleString('en')} entries`,
      ...at(entries, 'checkpoint of 1000 changed entries', 'ms'),
      async run() {
        found.set(entries, await measure(path.join(directory, String(entries)), entries));
        return found.get(entries).checkpointMs;
      },
    },
    shown(entries, 'commit of one entry, p50', 'ms', 'commitP50'),
    shown(entries, 'commit of one entry, p99', 'ms', 'commitP99'),
    shown(entries, 'open and first read', 'ms', 'openMs'),
    shown(entries, 'memory of images for each entry', 'bytes', 'imageBytesEach'),
    shown(entries, 'JavaScript heap', 'bytes', 'heapBytes'),
  ]);
  function shown(entries, series, unit, field) {
    return {
      name: `${series}, ${entries.toLocaleString('en')} entries`,
      ...at(entries, series, unit),
      run: () => found.get(entries)[field],
    };
  }
  return {
    title: 'Cost as the state grows',
    rounds: quick ? 1 : 3,
    warmup: 0,
    charts: ['ms', 'bytes'].map((unit) => ({ unit, x: 'entries', scale: 'log' })),
    cases,
  };
}

const at = (x, series, unit) => ({ at: x, series, unit, chart: unit, better: 'less' });

/** Fills the store at the first call; later ones find it. */
async function measure(dir, entries) {
  const options = { dir, checkpointing: false, memtableBytesMax: 2 ** 30 };
  let engine = await openEngine(options);
  let state = engine.operator('bench').value('state');
  if (state.get(keyOf(0)) === undefined) {
    for (let from = 0; from < entries; from += 1000) {
      for (let i = from; i < from + 1000; i++) state.set(keyOf(i), valueOf(i));
      await engine.commit();
      // Memtables are bounded, and no checkpoint is taken by itself.
      if (engine.stats().memtableBytes > 2 ** 28) await engine.checkpoint();
    }
    await engine.checkpoint();
    await engine.merge({ strategy: 'sequential' });
  }
  await engine.close();
  const startedAt = performance.now();
  engine = await openEngine(options);
  state = engine.operator('bench').value('state');
  if (state.get(keyOf(7)) === undefined) throw new Error('an entry is not there');
  const openMs = performance.now() - startedAt;
  globalThis.gc();
  await turn();
  globalThis.gc();
  const heapBytes = process.memoryUsage().heapUsed;
  const random = makeRandom(1);
  const latencies = [];
  for (let i = 0; i < 1000; i++) {
    const began = performance.now();
    const number = Math.floor(random() * entries);
    state.set(keyOf(number), valueOf(number + i));
    await engine.commit();
    latencies.push(performance.now() - began);
  }
  latencies.sort((a, b) => a - b);
  const began = performance.now();
  await engine.checkpoint();
  const checkpointMs = performance.now() - began;
  const imageBytesEach = engine.stats().imageBytes / entries;
  await engine.close();
  return {
    openMs,
    heapBytes,
    checkpointMs,
    imageBytesEach,
    commitP50: percentile(latencies, 0.5),
    commitP99: percentile(latencies, 0.99),
  };
}

const keyOf = (number) => `key-${String(number).padStart(12, '0')}`;
const valueOf = (number) => ({
  count: number,
  sum: number * 1.5,
  text: 'text that fills it up to about a hundred bytes',
});
