/*
 * Figures of single parts of the built engine, each beside a limit of the same run. Every benchmark
 * is a file of its own that gives cases; cases are run in interleaved rounds and reported by their
 * median, with the least and the greatest. A case counts bytes against the wall clock and against
 * the time of the processor that this process took, which other work on the machine disturbs less.
 *
 *   npm run bench -- [NAME …] [--quick] [--json FILE]
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { merge } from './merge.mjs';

const benchmarks = { merge };

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
const unknown = names.filter((name) => !(name in benchmarks));
if (unknown.length > 0) {
  console.error(
    `no benchmark ${unknown.join(', ')}; there are: ${Object.keys(benchmarks).join(', ')}`,
  );
  process.exit(2);
}

const rounds = flags.quick ? 3 : 7;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tidemark-bench-'));
const report = {
  node: process.version,
  cores: os.availableParallelism(),
  processor: os.cpus()[0]?.model,
  rounds,
  results: [],
};

function summary(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const [least, median, greatest] = [0, sorted.length >> 1, sorted.length - 1].map(
    (i) => sorted[i],
  );
  return { median, least, greatest };
}

async function measure(one) {
  const processor = process.cpuUsage();
  const startedAt = performance.now();
  await one.run();
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(processor);
  await one.clear?.();
  return { wall: one.bytes / wallMs / 1000, processor: one.bytes / (user + system) };
}

try {
  for (const name of names) {
    const cases = await benchmarks[name]({ quick: flags.quick, directory });
    const samples = cases.map(() => ({ wall: [], processor: [] }));
    // Not between rounds: a collection while no cursor exists makes V8 drop code compiled for them.
    globalThis.gc?.();
    // The first round warms the compiler up and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const [i, one] of cases.entries()) {
        const { wall, processor } = await measure(one);
        if (round === 0) continue;
        samples[i].wall.push(wall);
        samples[i].processor.push(processor);
      }
    }
    console.log(`${name}: MB/s, median of ${rounds} rounds (least … greatest)`);
    for (const [i, one] of cases.entries()) {
      const result = {
        benchmark: name,
        case: one.name,
        bytes: one.bytes,
        wallMbPerSecond: summary(samples[i].wall),
        processorMbPerSecond: summary(samples[i].processor),
      };
      report.results.push(result);
      const text = ({ median, least, greatest }) =>
        `${median.toFixed(0)} (${least.toFixed(0)} … ${greatest.toFixed(0)})`.padEnd(24);
      const wall = text(result.wallMbPerSecond);
      const own = text(result.processorMbPerSecond);
      console.log(`  ${one.name.padEnd(44)} wall ${wall} processor ${own}`);
    }
  }
  if (flags.json !== undefined)
    fs.writeFileSync(flags.json, `${JSON.stringify(report, null, 2)}\n`);
} finally {
  fs.rmSync(directory, { recursive: true, force: true });
}
