/*
 * One process of first-read.mjs: opens a store, reads, and prints figures as JSON.
 */
import { getHeapStatistics } from 'node:v8';
import { openEngine } from '../../dist/bundle/index.js';

const [dir, countText, mode, what, cacheText] = process.argv.slice(2);
const count = Number(countText);
const isNonResident = what === 'nonresident';
const options = { dir, prefetch: mode, checkpointing: false };
if (cacheText) options.cacheBytesMax = Number(cacheText);
const quantile = (values, share) =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const turn = () => new Promise((resolve) => setImmediate(resolve));

let seed = 12_345;
const random = (most) => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * most);
};

const startedAt = performance.now();
const cpuBefore = process.cpuUsage();
const engine = await openEngine(options);
const openMs = performance.now() - startedAt;
const state = engine.operator('bench').value('state', isNonResident ? { resident: false } : {});
if (state.get(random(count)) === undefined) throw new Error('a key is missing');
const firstReadMs = performance.now() - startedAt;
const { user, system } = process.cpuUsage(cpuBefore);
// Of all threads; other work on the machine disturbs it less.
const cpuMs = (user + system) / 1000;

let rssMostBytes = 0;
const note = () => {
  rssMostBytes = Math.max(rssMostBytes, process.memoryUsage.rss());
};

/** Microseconds of single reads. */
async function readMany(number, most, until = () => false) {
  const times = [];
  for (let i = 0; i < number && !until(); i++) {
    const key = random(most);
    const at = performance.now();
    const value = state.get(key);
    times.push((performance.now() - at) * 1000);
    if (value === undefined) throw new Error(`key ${key} is missing`);
    if (i % 64 === 63) {
      note();
      await turn();
    }
  }
  return times;
}

const isCold = () => engine.stats().residency.coldBytes > 0;
const result = { openMs, firstReadMs, cpuMs };
let cold;
if (isNonResident) {
  const writes = 50_000;
  cold = await readMany(100_000, count);
  for (let i = 0; i < writes; i++) {
    state.set(random(count), 'written anew, '.repeat(70));
    if (i % 200 === 199) {
      await engine.commit();
      note();
    }
    if (i % 10_000 === 9999) await engine.checkpoint();
  }
  cold.push(...(await readMany(100_000, count)));
  Object.assign(result, { reads: cold.length, writes });
} else {
  cold = mode === 'none' ? await readMany(200, count) : await readMany(1e6, count, () => !isCold());
  if (cold.length === 0) cold = [0];
  if (mode === 'none') await engine.prefetch();
  while (isCold()) await turn();
}
result.residentMs = performance.now() - startedAt;
result.coldP50Us = quantile(cold, 0.5);
result.coldP99Us = quantile(cold, 0.99);
const few = Math.ceil(count / 100);
await readMany(50_000, few);
const hot = await readMany(100_000, few);
result.hotP50Us = quantile(hot, 0.5);
for (let i = 0; i < 3; i++) {
  globalThis.gc();
  await turn();
}
note();
result.heapBytes = getHeapStatistics().used_heap_size;
result.imageBytes = engine.stats().imageBytes;
result.rssBytes = process.memoryUsage.rss();
result.rssMostBytes = rssMostBytes;
await engine.close();
if (!isNonResident) {
  // Without what a process pays once: compiling the engine's code and loading native modules.
  const againAt = performance.now();
  const again = await openEngine(options);
  if (again.operator('bench').value('state').get(random(count)) === undefined) {
    throw new Error('a key is missing');
  }
  result.againMs = performance.now() - againAt;
  await again.close();
}
console.log(JSON.stringify(result));
