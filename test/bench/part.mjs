/*
 * One benchmark in a process of its own: warms up with a round that does not count, runs its cases in
 * interleaved rounds, and sends medians, ratios and aims to bench.mjs.
 *
 * A case is `{ name, unit, better, run }`; `run` gives the value, or `bytes` stand for megabytes a
 * second of its time. `limit` names the case that it is a part of, `aim` is
 * `{ text, ratioMin | valueMin | valueMax }`, `published` is `{ text, source }`.
 */
import { summary } from './statistics.mjs';

const job = JSON.parse(process.argv[2]);
const folder = job.group === 'scale' ? 'scale' : 'parts';
const { benchmark } = await import(`./${folder}/${job.name}.mjs`);
const made = await benchmark(job);
const { title, cases, rounds = job.quick ? 3 : 5, warmup = 1, charts = [], close } = made;

const samples = cases.map(() => []);
// Of the time of the processor, which other work on the machine disturbs less.
const processorSamples = cases.map(() => []);
// Not between rounds: a collection while no cursor exists makes V8 drop code compiled for them.
globalThis.gc?.();
for (let round = -warmup; round < rounds; round++) {
  for (const [i, one] of cases.entries()) {
    const processor = process.cpuUsage();
    const startedAt = performance.now();
    const value = await one.run(round);
    const ms = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(processor);
    await one.clear?.();
    if (round < 0) continue;
    samples[i].push(one.bytes === undefined ? value : one.bytes / ms / 1000);
    if (one.bytes !== undefined) processorSamples[i].push(one.bytes / (user + system));
  }
}
await close?.();

const results = cases.map((one, i) => resultOf(one, i));

function resultOf(one, i) {
  return {
    name: one.name,
    unit: one.unit ?? 'MB/s',
    better: one.better ?? 'more',
    ...(one.at === undefined ? {} : { at: one.at, series: one.series, chart: one.chart }),
    ...summary(samples[i]),
    samples: samples[i],
    ...(one.bytes === undefined ? {} : { processor: summary(processorSamples[i]) }),
  };
}

for (const [i, one] of cases.entries()) {
  const result = results[i];
  const limit = results.find(({ name }) => name === one.limit);
  if (limit) {
    const ratio = ratioOf(result, limit);
    result.limit = { name: limit.name, ratio };
  }
  if (one.aim) result.aim = { ...one.aim, met: isMet(one.aim, result) };
  if (one.published) result.published = one.published;
}
process.send({ name: job.name, title, rounds, charts, results }, () => process.disconnect());

/** The part of the limit that was reached: of two times the limit is the lesser one. */
function ratioOf(result, limit) {
  return result.better === 'more' ? result.median / limit.median : limit.median / result.median;
}

function isMet({ ratioMin, valueMin, valueMax }, { median, limit }) {
  if (ratioMin !== undefined && !(limit?.ratio >= ratioMin)) return false;
  if (valueMin !== undefined && median < valueMin) return false;
  return valueMax === undefined || median <= valueMax;
}
