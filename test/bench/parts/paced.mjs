/*
 * Latency at exactly a given rate: records are due by the clock, and the latency of each counts from
 * when it was due, so that a stall counts for all that were due meanwhile. A rate that is not
 * held shows in the records that were done by the end. Callers that wait append as many as are due in a
 * second before: what is measured is a process that has been at it for a while, and not how fast V8 compiles.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { openLog } from '../../../dist/bundle/log.js';
import { percentile } from '../statistics.mjs';
import { drive, inFresh } from './raw-sync.mjs';

const record = Buffer.alloc(100, 7);
const inFlightMax = 200_000;

export async function benchmark({ quick, directory }) {
  const seconds = quick ? 1 : 5;
  const shapes = [
    { rate: 500_000, batch: 1, p99MsMax: 0.1, text: 'p99 0.1 ms at 500 K/s' },
    { rate: 2_000_000, batch: 1000, p99MsMax: 0.5, text: 'p99 0.5 ms at 2 M/s' },
  ];
  const cases = shapes.flatMap(({ rate, batch, p99MsMax, text }) => {
    const kind = batch === 1 ? 'single records' : `batches of ${batch}`;
    let run;
    return [
      {
        name: `log alone, ${kind}: rate that was held`,
        unit: 'records/s',
        aim: { text: `${rate / 1e6} M/s`, valueMin: rate * 0.99 },
        async run() {
          run = await inFresh(directory, (dir) => paced(dir, { rate, batch, seconds }));
          return run.rate;
        },
      },
      {
        name: `log alone, ${kind}: p50`,
        unit: 'ms',
        better: 'less',
        run: () => run.p50Ms,
      },
      {
        name: `log alone, ${kind}: p99`,
        unit: 'ms',
        better: 'less',
        ...(batch === 1 ? {} : { aim: { text: 'under 0.5 ms', valueMax: p99MsMax } }),
        published: { text, source: 'wal' },
        run: () => run.p99Ms,
      },
    ];
  });
  return { title: 'Latency of the log at a given rate', cases, rounds: quick ? 2 : 5 };
}

async function paced(dir, { rate, batch, seconds }) {
  const log = await openLog({ dir, retain: { segments: 4 } });
  const records = Array(batch).fill(record);
  const append = batch === 1 ? () => log.append(record) : () => log.appendBatch(records);
  const stepMs = (batch * 1000) / rate;
  await drive(rate / batch, batch === 1 ? 256 : 2, append);
  const warm = Math.ceil(200 / stepMs);
  const count = warm + Math.floor((seconds * 1000) / stepMs);
  const latencies = new Float64Array(count);
  const startedAt = performance.now();
  let issued = 0;
  let done = 0;
  const failures = [];
  const add = (number) =>
    append().then(
      () => {
        latencies[number] = performance.now() - startedAt - number * stepMs;
        done++;
      },
      (error) => failures.push(error),
    );
  while (done < count && failures.length === 0) {
    const due = Math.min(count, Math.floor((performance.now() - startedAt) / stepMs));
    while (issued < due && issued - done < inFlightMax / batch) void add(issued++);
    await turn();
  }
  if (failures.length > 0) throw new AggregateError(failures.slice(0, 1), 'a record was refused');
  const ms = performance.now() - startedAt;
  await log.close();
  const counted = latencies.subarray(warm).toSorted();
  return {
    rate: (count * batch * 1000) / ms,
    p50Ms: percentile(counted, 0.5),
    p99Ms: percentile(counted, 0.99),
  };
}
