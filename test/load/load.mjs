/*
 * Mixed work at full speed: commits of every size at several levels, reads, scans, checkpoints,
 * merges, retention, savepoints, views and an open feed. Prints over time what must stay bounded:
 * memory, handles, threads, disk; and latencies of commits throughout. Run `npm run build` first.
 *
 *     node test/load/load.mjs [seconds] [--json]      default 600
 *
 * With --json each sample is one line, for the test. The keys are so many and no more, so that the
 * state has a size that it keeps.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { openEngine } from '../../dist/bundle/index.js';

const json = process.argv.includes('--json');
const seconds = Number(process.argv[2] ?? 600);
const samples = 20;
const keys = 20_000;
const callers = 32;
const MIB = 1024 * 1024;
const dir = mkdtempSync(join(tmpdir(), 'tidemark-load-'));

const engine = await openEngine({
  dir,
  segmentBytesMax: 8 * MIB,
  undurableBytesMax: 2 * MIB,
  memtableBytesMax: 32 * MIB,
  checkpointing: { entries: 20_000 },
  maxChainLength: 5,
  retention: { checkpoints: 3 },
});
const operator = engine.operator('load');
const values = operator.value('values');
const counters = operator.counter('counters');
const maps = operator.map('maps');
const lists = operator.list('lists', { itemsMax: 20 });
const failures = [];
engine.on('failure', (error) => failures.push(String(error)));

let done = 0;
let seed = 1;
const below = (n) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const counts = { commits: 0, reads: 0, views: 0, savepoints: 0, changes: 0, refused: 0 };
let latency = createHistogram();

function change() {
  const size = 2 ** below(10);
  for (let i = 0; i <= below(4); i++) {
    const key = below(keys);
    values.set(key, { size, text: 'x'.repeat(size) });
    counters.add(key % 1000, 1);
    maps.set(key % 500, below(20), size);
    lists.append(key % 300, size);
  }
}

function read() {
  for (let i = 0; i < 5; i++) {
    values.get(below(keys));
    counters.get(below(1000));
    counts.reads += 2;
  }
}

async function caller() {
  while (!done) {
    change();
    const durability = below(10) === 0 ? 'os' : 'disk';
    const startedAt = process.hrtime.bigint();
    try {
      await engine.commit({ positions: { load: counts.commits }, durability });
      latency.record(process.hrtime.bigint() - startedAt);
      counts.commits++;
    } catch (error) {
      // Refused for want of room: the changes are still open, and go with the next commit.
      if (error.code !== 'OVERLOADED') throw error;
      counts.refused++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    read();
  }
}

/** Views of now and of kept moments, each read and closed; savepoints that come and go. */
async function looker() {
  for (let round = 0; !done; round++) {
    const view = await engine.snapshot();
    view.operator('load').value('values').get(below(keys));
    await view.close();
    const name = `point-${round}`;
    await engine.checkpoint({ savepoint: name });
    counts.savepoints++;
    const past = await engine.viewAt({ savepoint: name });
    past.operator('load').counter('counters').get(1);
    await past.close();
    counts.views += 2;
    await engine.dropSavepoint(name);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function follower(signal) {
  for await (const commit of engine.changes({ from: engine.durableLsn + 1, signal })) {
    counts.changes += commit.lsn > 0 ? 1 : 0;
  }
}

function bytesIn(path) {
  let bytes = 0;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const at = join(path, entry.name);
    // Files are collected while they are counted.
    if (entry.isDirectory()) bytes += bytesIn(at);
    else bytes += statSync(at, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

const countIn = (path) => {
  try {
    return readdirSync(path).length;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
};

function sample(second) {
  const { rss, heapUsed } = process.memoryUsage();
  const ms = (percentile) => Number((latency.percentile(percentile) / 1e6).toFixed(2));
  const row = {
    second,
    ...counts,
    rssMiB: Math.round(rss / MIB),
    heapMiB: Math.round(heapUsed / MIB),
    handles: countIn('/proc/self/fd'),
    threads: countIn('/proc/self/task'),
    diskMiB: Math.round(bytesIn(dir) / MIB),
    p50: ms(50),
    p99: ms(99),
    p999: ms(99.9),
  };
  latency = createHistogram();
  return row;
}

const stop = new AbortController();
const running = Promise.all([
  ...Array.from({ length: callers }, caller),
  looker(),
  follower(stop.signal),
]);
// A caller that fails ends the run: its error comes out of `running`.
let failed;
running.catch((error) => {
  failed = error;
});
const rows = [];
// On a machine that does much else, little is done in the time: it goes on until there is something to judge.
const isEnough = () => counts.commits >= 1000 && counts.views >= 4 && counts.changes >= 500;
for (let i = 1; (i <= samples || !isEnough()) && failed === undefined; i++) {
  await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / samples));
  const row = sample(Math.round((i * seconds) / samples));
  rows.push(row);
  if (json) console.log(JSON.stringify(row));
}
done = 1;
stop.abort();
await running;
await engine.close();
if (!json) console.table(rows);
if (failures.length > 0) throw new Error(`failures in the background: ${failures.join('; ')}`);
rmSync(dir, { recursive: true });
