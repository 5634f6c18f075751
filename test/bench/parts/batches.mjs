/*
 * Durable batches of 1000 entries of 100 bytes: the log alone, sustained over many segments, against raw
 * write and fdatasync of a megabyte at a time; the engine against encoding and Map.set of the same.
 */
import { openEngine } from '../../../dist/bundle/index.js';
import { openLog } from '../../../dist/bundle/log.js';
import { makeRandom, percentile } from '../statistics.mjs';
import { encodeAndSet } from './flight.mjs';
import { drive, inFresh, rawSync } from './raw-sync.mjs';

const batch = 1000;
const keys = 1_000_000;
const recordBytes = 100;
const MB = 1_000_000;
const GIB = 1024 ** 3;

export async function benchmark({ quick, directory }) {
  const entries = quick ? 200_000 : 1_000_000;
  const logBytes = quick ? GIB / 4 : 4 * GIB;
  const random = makeRandom(1);
  const orders = {
    random: Array.from({ length: entries }, () => Math.floor(random() * keys)),
    sequential: Array.from({ length: entries }, (_, i) => i),
  };
  const value = Buffer.alloc(84, 7);
  const encode = 'limit: encode and Map.set, random keys';
  const raw = 'limit: raw write + fdatasync, 1 MB';
  const engineCase = (order) => ({
    name: `engine, 8 in flight, ${order} keys`,
    unit: 'entries/s',
    limit: encode,
    aim: { text: '0.6 of encode and Map.set', ratioMin: 0.6 },
    run: () => inFresh(directory, (dir) => engineBatches(dir, orders[order], value)),
  });
  const latencies = [];
  return {
    title: 'Durable batches of 1000 entries of 100 bytes',
    rounds: quick ? 2 : 5,
    warmup: quick ? 0 : 1,
    cases: [
      {
        name: raw,
        unit: 'records/s',
        run() {
          const count = quick ? 50 : 500;
          const ms = rawSync(directory, { count, bytes: MB });
          return (count * (MB / recordBytes) * 1000) / ms;
        },
      },
      {
        name: `log alone, 8 in flight, over ${logBytes / GIB} GiB`,
        unit: 'records/s',
        limit: raw,
        aim: { text: '2.5 M/s', valueMin: 2_500_000 },
        published: { text: '2 M/s', source: 'wal' },
        run: () => inFresh(directory, (dir) => logBatches(dir, logBytes, latencies)),
      },
      {
        name: 'log alone, p99 of a batch meanwhile',
        unit: 'ms',
        better: 'less',
        aim: { text: 'under 2 ms', valueMax: 2 },
        run: () =>
          percentile(
            latencies.splice(0).toSorted((a, b) => a - b),
            0.99,
          ),
      },
      {
        name: encode,
        unit: 'entries/s',
        run: () => (entries * 1000) / encodeAndSet(orders.random, value),
      },
      engineCase('random'),
      engineCase('sequential'),
    ],
  };
}

async function logBatches(dir, bytes, latencies) {
  // Kept short, as a log is that somebody trims; four gigabytes would only fill the disk.
  const log = await openLog({ dir, retain: { segments: 4 } });
  const records = Array(batch).fill(Buffer.alloc(recordBytes, 7));
  const count = Math.floor(bytes / (batch * recordBytes));
  const ms = await drive(count, 8, async () => {
    const startedAt = performance.now();
    await log.appendBatch(records);
    latencies.push(performance.now() - startedAt);
  });
  await log.close();
  return (count * batch * 1000) / ms;
}

async function engineBatches(dir, order, value) {
  const engine = await openEngine({ dir });
  const state = engine.operator('bench').value('state');
  const ms = await drive(Math.floor(order.length / batch), 8, (i) => {
    for (let at = i * batch; at < (i + 1) * batch; at++) state.set(order[at], value);
    return engine.commit();
  });
  await engine.close();
  return (order.length * 1000) / ms;
}
