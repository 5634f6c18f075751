/*
 * What a fresh process costs until its store is open: with the bundles that the package ships, and
 * with the files of the compiler, one after the other in each round. Run `npm run build` first.
 *
 *     node test/bench/start.mjs [rounds] [entries]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEngine } from '../../dist/bundle/index.js';

const rounds = Number(process.argv[2] ?? 7);
const entries = Number(process.argv[3] ?? 5000);
const dir = mkdtempSync(join(tmpdir(), 'tidemark-start-'));
const files = { bundled: 'bundle/index.js', 'as compiled': 'engine/index.js' };

const program = `
  const startedAt = performance.now();
  const { openEngine } = await import(process.argv[1]);
  const loadedAt = performance.now();
  const engine = await openEngine({ dir: process.argv[2] });
  const openedAt = performance.now();
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify([loadedAt - startedAt, openedAt - loadedAt, (user + system) / 1000]));
  await engine.close();`;

function measured(file) {
  const url = new URL(`../../dist/${file}`, import.meta.url).href;
  const flags = ['--input-type=module', '--eval', program, url, dir];
  return JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' }));
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1].toFixed(0);

const engine = await openEngine({ dir });
const state = engine.operator('op').value('state');
for (let i = 0; i < entries; i++) state.set(i, { number: i, text: 'x'.repeat(50) });
await engine.commit();
await engine.checkpoint();
await engine.close();

const found = Object.fromEntries(Object.keys(files).map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const [name, file] of Object.entries(files)) found[name].push(measured(file));
}
console.log(`a store of ${entries} entries, medians of ${rounds} interleaved rounds, ms`);
for (const [name, times] of Object.entries(found)) {
  const [load, open, cpu] = [0, 1, 2].map((column) => median(times.map((row) => row[column])));
  console.log(
    `${name.padEnd(12)} import ${load}, open ${open}, processor time of the whole ${cpu}`,
  );
}
rmSync(dir, { recursive: true });
