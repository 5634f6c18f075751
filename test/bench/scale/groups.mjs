/*
 * Key groups and threads: a merge of a base and four deltas and an opening, for 1 to 4096 key groups;
 * and the same merge by 1 thread and by as many as there are cores.
 */
import os from 'node:os';
import path from 'node:path';
import { mergeStore, openEngine } from '../../../dist/bundle/index.js';
import fs from 'node:fs';

export async function benchmark({ quick, directory }) {
  const entries = quick ? 20_000 : 500_000;
  const counts = quick ? [1, 128] : [1, 16, 128, 1024, 4096];
  const threads = [...new Set([1, os.availableParallelism()])];
  const stores = new Map();
  const storeOf = async (keyGroups) => {
    if (!stores.has(keyGroups)) {
      stores.set(
        keyGroups,
        await fill(path.join(directory, String(keyGroups)), keyGroups, entries),
      );
    }
    return stores.get(keyGroups);
  };
  const point = (keyGroups, series, run) => ({
    name: `${series}, ${keyGroups} key groups`,
    unit: 'ms',
    better: 'less',
    at: keyGroups,
    series,
    chart: 'ms',
    run,
  });
  const merging = (keyGroups, threadsMax) =>
    point(keyGroups, `merge in ${threadsMax} threads`, async () => {
      const copy = path.join(directory, 'copy');
      fs.cpSync(await storeOf(keyGroups), copy, { recursive: true });
      const startedAt = performance.now();
      await mergeStore({ dir: copy, strategy: 'parallel', threadsMax });
      const ms = performance.now() - startedAt;
      fs.rmSync(copy, { recursive: true });
      return ms;
    });
  const opening = (keyGroups) =>
    point(keyGroups, 'open', async () => {
      const dir = await storeOf(keyGroups);
      const startedAt = performance.now();
      const engine = await openEngine({ dir, checkpointing: false });
      const ms = performance.now() - startedAt;
      await engine.close();
      return ms;
    });
  const cases = counts.flatMap((keyGroups) =>
    threads.map((threadsMax) => merging(keyGroups, threadsMax)).concat(opening(keyGroups)),
  );
  return {
    title: `Key groups and threads, ${entries.toLocaleString('en')} entries`,
    rounds: quick ? 1 : 3,
    warmup: 0,
    charts: [{ unit: 'ms', x: 'key groups', scale: 'log' }],
    cases,
  };
}

async function fill(dir, keyGroups, entries) {
  const options = { dir, keyGroups, checkpointing: false, maxChainLength: 100 };
  const engine = await openEngine({ ...options, memtableBytesMax: 2 ** 30 });
  const state = engine.operator('bench').value('state');
  for (let i = 0; i < entries; i++) {
    state.set(i, { count: i, text: 'some text to fill it' });
    if (i % 1000 === 999) await engine.commit();
  }
  await engine.commit();
  await engine.checkpoint();
  for (let delta = 1; delta < 5; delta++) {
    for (let i = delta; i < entries; i += 10) state.set(i, { count: -i, text: `delta ${delta}` });
    await engine.commit();
    await engine.checkpoint();
  }
  await engine.close();
  return dir;
}
