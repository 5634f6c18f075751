/*
 * The stall of the event loop by a checkpoint of many changed entries, with commits one after the other
 * beside it, against the same time without a checkpoint; and how much a commit waits.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openEngine } from '../../../dist/bundle/index.js';
import { percentile } from '../statistics.mjs';
import { inFresh } from './raw-sync.mjs';

export async function benchmark({ quick, directory }) {
  const entries = quick ? 100_000 : 1_000_000;
  let run;
  const of = (name, when, get, more) => ({
    name: `${name}, ${when === 'beside' ? 'during the checkpoint' : 'without one'}`,
    unit: 'ms',
    better: 'less',
    run: () => get(run[when]),
    ...more,
  });
  const first = {
    name: 'checkpoint',
    unit: 'ms',
    better: 'less',
    async run() {
      run = await inFresh(directory, (dir) => checkpointBeside(dir, entries));
      return run.ms;
    },
  };
  return {
    title: `A checkpoint of ${entries.toLocaleString('en')} changed entries`,
    warmup: 0,
    cases: [
      first,
      of('delay of the loop, p99', 'without', ({ p99 }) => p99),
      of('delay of the loop, p99', 'beside', ({ p99 }) => p99, {
        aim: { text: 'under 5 ms', valueMax: 5 },
      }),
      of('delay of the loop, max', 'without', ({ max }) => max),
      of('delay of the loop, max', 'beside', ({ max }) => max, {
        aim: { text: 'under 20 ms', valueMax: 20 },
      }),
      of('commit, p50', 'without', ({ commitP50 }) => commitP50),
      of('commit, p50', 'beside', ({ commitP50 }) => commitP50),
      of('commit, p99', 'without', ({ commitP99 }) => commitP99),
      of('commit, p99', 'beside', ({ commitP99 }) => commitP99),
    ],
  };
}

async function checkpointBeside(dir, entries) {
  const engine = await openEngine({
    dir,
    memtableBytesMax: 2 ** 30,
    checkpointing: false,
    checks: false,
  });
  const state = engine.operator('bench').value('state');
  const pending = [];
  for (let i = 0; i < entries; i++) {
    state.set(`key-${i}`, { count: i, sum: i * 1.5, text: 'some text to fill it' });
    if (i % 1000 !== 999) continue;
    pending.push(engine.commit({ positions: { source: i } }));
    if (pending.length > 8) await pending.shift();
  }
  await Promise.all(pending);
  globalThis.gc?.();
  let done = false;
  const startedAt = performance.now();
  const taken = engine.checkpoint().finally(() => {
    done = true;
  });
  const beside = await watch(engine, () => !done);
  await taken;
  const ms = performance.now() - startedAt;
  const until = performance.now() + ms;
  const without = await watch(engine, () => performance.now() < until);
  await engine.close();
  return { ms, beside, without };
}

/** Commits one after the other while `running()`; their latencies, and the delay of the loop. */
async function watch(engine, running) {
  const state = engine.operator('bench').value('other');
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const latencies = [];
  delay.enable();
  for (let i = 0; running(); i++) {
    state.set(i % 1000, i);
    const startedAt = performance.now();
    await engine.commit();
    latencies.push(performance.now() - startedAt);
  }
  delay.disable();
  latencies.sort((a, b) => a - b);
  return {
    p99: delay.percentile(99) / 1e6,
    max: delay.max / 1e6,
    commitP50: percentile(latencies, 0.5),
    commitP99: percentile(latencies, 0.99),
  };
}
