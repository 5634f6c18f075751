/*
 * Writes docs/BENCHMARKS.md and its charts from the results in native-bench/results:
 *
 *     npm run bench -- --json native-bench/results/bench.json
 *     npm run bench -- scale --json native-bench/results/scale.json
 *     npm run bench:peers -- --json native-bench/results/peers.json
 *     npm run bench:peers -- --large --only c,i --json native-bench/results/peers-large.json
 *     npm run bench:report
 */
import fs from 'node:fs';
import path from 'node:path';
import { install } from '../peers/install.mjs';
import { drawChart } from './charts.mjs';
import { renderPage } from './page.mjs';
import { readResults } from './results.mjs';

const docs = path.resolve(import.meta.dirname, '../../docs');

install();
const { markdown, charts } = renderPage(readResults());
fs.rmSync(path.join(docs, 'benchmarks'), { recursive: true, force: true });
fs.mkdirSync(path.join(docs, 'benchmarks'));
for (const chart of charts) fs.writeFileSync(path.join(docs, chart.file), await drawChart(chart));
fs.writeFileSync(path.join(docs, 'BENCHMARKS.md'), markdown);
console.log(`docs/BENCHMARKS.md and ${charts.length} charts`);
