/*
 * Medians, spreads and ratios of samples, and their tables on the terminal.
 */

import { short, summary } from '../../test/bench/statistics.mjs';

/** How many times better `ours` is than `theirs`: above 1 we are ahead, whichever way better is. */
export function ratio(better, ours, theirs) {
  return better === 'more' ? ours / theirs : theirs / ours;
}

/**
 * Rows of a case for one metric: contender, median, spread, and how many times as good Tidemark is.
 * Contenders without samples are left out; `absent` has them.
 */
export function rowsOf(work, one, metric) {
  const reference = one.contenders.find(({ title }) => title === work.reference);
  const ours = reference && summaryOf(reference, metric);
  const rows = [];
  for (const contender of one.contenders) {
    const found = summaryOf(contender, metric);
    if (found === undefined) continue;
    const { title } = contender;
    // Parts of our own are not compared with each other.
    const own = title === reference?.title || title.startsWith('tidemark');
    const ahead =
      own || ours === undefined ? undefined : ratio(metric.better, ours.median, found.median);
    rows.push({ title, ...found, ahead });
  }
  return rows;
}

/** Contenders of a work without a sample in some case, and why. */
export function absent(work) {
  const found = new Map();
  for (const { contenders } of work.cases) {
    for (const { title, refused, failed } of contenders) {
      if (refused !== undefined) found.set(title, `refused: ${refused}`);
      if (failed !== undefined) found.set(title, `failed: ${failed.split('\n')[0]}`);
    }
  }
  return found;
}

function summaryOf({ samples }, { name }) {
  const values = samples.map((sample) => sample[name]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : summary(values);
}

export function printWork(work) {
  console.log(`\n(${work.letter}) ${work.title}`);
  for (const one of work.cases) {
    for (const metric of work.metrics) {
      console.log(`  ${one.name}: ${metric.title ?? metric.name}, ${metric.unit}`);
      for (const row of rowsOf(work, one, metric)) console.log(`    ${lineOf(row)}`);
    }
  }
  for (const [title, why] of absent(work)) console.log(`  ${title}: ${why}`);
}

function lineOf({ title, median, least, greatest, ahead }) {
  const spread = `(${short(least)} … ${short(greatest)})`;
  const text = ahead === undefined ? '' : `Tidemark is ${ahead.toPrecision(3)} times as good`;
  return `${title.padEnd(32)} ${short(median).padStart(8)} ${spread.padEnd(22)} ${text}`;
}
