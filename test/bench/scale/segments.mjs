/*
 * Cost as a log gets more segments, 1 to 1000 of 64 KiB: appending one record durably, opening, trimming
 * all but the newest, and reading from the middle.
 */
import path from 'node:path';
import fs from 'node:fs';
import { openLog } from '../../../dist/bundle/log.js';
import { percentile } from '../statistics.mjs';

const segmentBytesMax = 64 * 1024;
const record = Buffer.alloc(1000, 7);

const fields = [
  ['openMs', 'open'],
  ['appendP50', 'append of one record, p50'],
  ['appendP99', 'append of one record, p99'],
  ['readMs', 'read of 100 records from the middle'],
  ['trimMs', 'trim of half of it'],
];

export async function benchmark({ quick, directory }) {
  const counts = quick ? [1, 10, 50] : [1, 10, 100, 300, 1000];
  const found = new Map();
  const cases = counts.flatMap((segments) =>
    fields.map(([field, series], i) => ({
      name: `${series}, ${segments} segments`,
      unit: 'ms',
      better: 'less',
      at: segments,
      series,
      chart: 'ms',
      async run() {
        if (i === 0) found.set(segments, await measure(path.join(directory, 'log'), segments));
        return found.get(segments)[field];
      },
    })),
  );
  return {
    title: 'Cost as a log gets more segments, 64 KiB each',
    rounds: quick ? 1 : 3,
    warmup: 0,
    charts: [{ unit: 'ms', x: 'segments', scale: 'log' }],
    cases,
  };
}

async function measure(dir, segments) {
  fs.rmSync(dir, { recursive: true, force: true });
  let log = await openLog({ dir, segmentBytesMax, undurableBytesMax: segmentBytesMax / 2 });
  const perBatch = 20;
  const batches = Math.ceil((segments * segmentBytesMax) / (perBatch * (record.length + 32)));
  for (let i = 0; i < batches; i++) await log.appendBatch(Array(perBatch).fill(record));
  await log.close();
  const startedAt = performance.now();
  log = await openLog({ dir, segmentBytesMax, undurableBytesMax: segmentBytesMax / 2 });
  const openMs = performance.now() - startedAt;
  const latencies = [];
  for (let i = 0; i < 200; i++) {
    const began = performance.now();
    await log.append(record);
    latencies.push(performance.now() - began);
  }
  latencies.sort((a, b) => a - b);
  const middle = Math.ceil((batches * perBatch) / 2);
  const reading = performance.now();
  let read = 0;
  for await (const found of log.read({ from: middle, limit: 100 })) read += found.bytes.length;
  const readMs = performance.now() - reading;
  if (read === 0) throw new Error('nothing was read');
  const trimming = performance.now();
  await log.trim(middle);
  const trimMs = performance.now() - trimming;
  await log.close();
  return {
    openMs,
    readMs,
    trimMs,
    appendP50: percentile(latencies, 0.5),
    appendP99: percentile(latencies, 0.99),
  };
}
