/*
 * What compressing groups of the log saves and costs: commits of the demo's flights, one flight or a
 * thousand of them a commit, with 1, 64 or 1024 commits in flight. Codecs take turns in each round,
 * in another order each time. Run by `npm run measure -- log`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadCodec } from '../../dist/codec/compression.js';
import { openFlights } from '../../dist/demo/flights.js';
import { addFlight, jobStates } from '../../dist/demo/states.js';
import { openEngine } from '../../dist/bundle/index.js';

const codecs = ['none', 'lz4', 'snappy', 'zstd', 'gzip'];
const cases = [
  { flights: 1, depth: 1, commits: 1500 },
  { flights: 1, depth: 64, commits: 20_000 },
  { flights: 1, depth: 1024, commits: 30_000 },
  { flights: 1000, depth: 8, commits: 60 },
];

/** Bytes of a group that one call compresses. */
const callBytes = [1024, 65_536, 1024 * 1024];

export async function logCompression({ rounds, fresh, median }) {
  const rows = 60_000;
  const flights = await openFlights();
  const batches = [];
  for await (const batch of flights.read(0, rows)) batches.push(batch);
  const batchOf = (row) => batches.find(({ from, to }) => row >= from && row < to);

  for (const { flights: size, depth, commits } of cases) {
    const runs = new Map(codecs.map((codec) => [codec, []]));
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < codecs.length; i++) {
        const codec = codecs[(i + round) % codecs.length];
        runs.get(codec).push(await run(codec, size, depth, commits));
      }
    }
    console.log(`${size} flight(s) a commit, ${depth} in flight, ${commits} commits`);
    for (const codec of codecs) {
      const of = (name) => median(runs.get(codec).map((figures) => figures[name]));
      console.log(
        `  ${codec.padEnd(7)} ${of('rate').toFixed(0).padStart(6)} commits/s, ` +
          `${of('bytes').toFixed(0).padStart(6)} bytes and ${of('cpu').toFixed(0).padStart(5)} us of CPU a commit, ` +
          `loop delay p99 ${of('p99').toFixed(2)}, max ${of('max').toFixed(2)} ms`,
      );
    }
  }
  await calls();

  async function run(codec, size, depth, commits) {
    const engine = await openEngine({
      dir: fresh('log'),
      checkpointing: false,
      memtableBytesMax: 2 ** 30,
      logCompression: { codec, bytesMin: 256 },
    });
    const states = jobStates(engine);
    let row = 0;
    let next = 0;
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const before = process.cpuUsage();
    const startedAt = performance.now();
    delay.enable();
    const worker = async () => {
      while (next++ < commits) {
        for (let i = 0; i < size; i++, row++) addFlight(states, batchOf(row % rows), row % rows);
        await engine.commit({ positions: { flights: row } });
      }
    };
    await Promise.all(Array.from({ length: depth }, worker));
    delay.disable();
    const ms = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(before);
    const { bytes } = engine.stats().log;
    await engine.close();
    return {
      rate: (commits / ms) * 1000,
      bytes: bytes / commits,
      cpu: (user + system) / commits,
      p99: delay.percentile(99) / 1e6,
      max: delay.max / 1e6,
    };
  }

  /** How long one call of each codec holds the event loop. */
  async function calls() {
    const parts = [];
    const text = (row) => {
      const batch = batchOf(row);
      const i = row - batch.start;
      return `${batch.origins[i]}-${batch.destinations[i]} ${batch.dates[i]} ${batch.delays[i]} ${batch.distances[i]}\n`;
    };
    for (let row = 0; row < 30_000; row++) parts.push(text(row));
    const source = Buffer.from(parts.join(''));
    console.log('one call, ms, on lines of flights');
    for (const codec of codecs.filter((name) => name !== 'none')) {
      const loaded = loadCodec(codec);
      const figures = callBytes.map((bytes) => {
        const frames = source.subarray(0, bytes);
        const times = [];
        for (let i = 0; i < 15; i++) {
          const startedAt = performance.now();
          loaded.compress(frames);
          times.push(performance.now() - startedAt);
        }
        return `${bytes} bytes ${median(times).toFixed(3)}`;
      });
      console.log(`  ${codec.padEnd(7)} ${figures.join(', ')}`);
    }
  }
}
