/*
 * Cost as the chain grows: reads of present and of missing keys, opening, for chains of 1 to 32
 * snapshots: a base and deltas that each change one key in fifty.
 */
import path from 'node:path';
import { openEngine } from '../../../dist/bundle/index.js';
import { makeRandom } from '../statistics.mjs';

export async function benchmark({ quick, directory }) {
  const entries = quick ? 20_000 : 500_000;
  const lengths = quick ? [1, 4, 8] : [1, 2, 4, 8, 16, 32];
  const calls = quick ? 20_000 : 200_000;
  const found = new Map();
  const fields = [
    ['openMs', 'open and first read', 'ms'],
    ['hitNs', 'get, a key that is there', 'ns'],
    ['missNs', 'get, a key that is not there', 'ns'],
    ['walkNs', 'iteration, for each entry', 'ns'],
  ];
  const cases = lengths.flatMap((length) =>
    fields.map(([field, series, unit], i) => ({
      name: `${series}, chain of ${length}`,
      unit,
      better: 'less',
      at: length,
      series,
      chart: unit,
      async run() {
        if (i === 0) found.set(length, await measure(directory, { entries, length, calls }));
        return found.get(length)[field];
      },
    })),
  );
  return {
    title: `Cost as the chain grows, ${entries.toLocaleString('en')} entries`,
    rounds: quick ? 1 : 3,
    warmup: 0,
    charts: ['ms', 'ns'].map((unit) => ({ unit, x: 'snapshots in the chain', scale: 'log' })),
    cases,
  };
}

async function measure(directory, { entries, length, calls }) {
  const dir = path.join(directory, String(length));
  const options = {
    dir,
    checkpointing: false,
    maxChainLength: 100,
    memtableBytesMax: 2 ** 30,
    prefetch: 'aggressive',
  };
  let engine = await openEngine(options);
  let state = engine.operator('bench').value('state');
  if (engine.stats().chainLength === 0) {
    for (let i = 0; i < entries; i++) {
      state.set(i * 2, { count: i, text: 'some text to fill it' });
      if (i % 1000 === 999) await engine.commit();
    }
    await engine.commit();
    await engine.checkpoint();
    for (let delta = 1; delta < length; delta++) {
      for (let i = delta; i < entries; i += 50)
        state.set(i * 2, { count: -i, text: `delta ${delta}` });
      await engine.commit();
      await engine.checkpoint();
    }
  }
  if (engine.stats().chainLength !== length) throw new Error('the chain was merged');
  await engine.close();
  const startedAt = performance.now();
  engine = await openEngine(options);
  state = engine.operator('bench').value('state');
  if (state.get(0) === undefined) throw new Error('an entry is not there');
  const openMs = performance.now() - startedAt;
  const random = makeRandom(1);
  const even = Array.from({ length: calls }, () => 2 * Math.floor(random() * entries));
  const timed = (keys) => {
    const began = performance.now();
    for (const key of keys) state.get(key);
    return ((performance.now() - began) * 1e6) / keys.length;
  };
  timed(even.slice(0, calls / 10));
  const hitNs = timed(even);
  const missNs = timed(even.map((key) => key + 1));
  const began = performance.now();
  let walked = 0;
  for (const entry of state.entries()) if (entry) walked++;
  const walkNs = ((performance.now() - began) * 1e6) / walked;
  if (walked !== entries) throw new Error(`${walked} entries were found`);
  await engine.close();
  return { openMs, hitNs, missNs, walkNs };
}
