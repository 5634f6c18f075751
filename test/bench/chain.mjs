/*
 * What checkpoint triggers and merge strategies cost: the same updates, Zipf-distributed over keys,
 * under each setting, interleaved; events a second, what is written for each byte of log, and what
 * opening the store then costs. Run by `npm run measure -- triggers` and `-- strategies`.
 */
import { openEngine } from '../../dist/bundle/index.js';

const MIB = 1024 * 1024;
const keys = 200_000;
const updatesPerCommit = 1000;

/** Ranks with probability falling as 1 / rank^0.9, from a generator that gives the same again. */
function makeZipf(seed) {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const power = 1 / (1 - 0.9);
  return () => Math.floor(keys * random() ** power);
}

const settled = async (engine) => {
  while (engine.stats().compacting) await new Promise((resolve) => setTimeout(resolve, 5));
};

async function run(dir, { commits, paced }, options) {
  const engine = await openEngine({ dir, ...options });
  const state = engine.operator('bench').value('state');
  const zipf = makeZipf(1);
  if (paced) {
    for (let key = 0; key < keys; key++)
      state.set(key, { count: 0, sum: key, text: 'a hundred bytes, more or less, of state' });
    await engine.commit();
    await engine.checkpoint();
  }
  let chainMax = 0;
  let checkpoints = 0;
  let secondsMax = 0;
  let mergeMs = 0;
  engine.on('checkpoint', () => checkpoints++);
  engine.on('merge', ({ merge }) => {
    mergeMs += merge.milliseconds;
  });
  const startedAt = performance.now();
  const pending = [];
  for (let i = 0; i < commits; i++) {
    for (let j = 0; j < updatesPerCommit; j++) {
      state.set(zipf(), {
        count: i,
        sum: i * 1.5 + j,
        text: 'a hundred bytes, more or less, of state',
      });
    }
    pending.push(engine.commit({ positions: { source: i } }));
    if (pending.length > 8) await pending.shift();
    if (paced && i % paced === paced - 1) {
      await engine.checkpoint();
      await settled(engine);
    }
    const { chainLength, restore } = engine.stats();
    chainMax = Math.max(chainMax, chainLength);
    secondsMax = Math.max(secondsMax, restore.seconds);
  }
  await Promise.all(pending);
  const rate = ((commits * updatesPerCommit) / (performance.now() - startedAt)) * 1000;
  await engine.checkpoint();
  await settled(engine);
  const records = await engine.checkpoints();
  const { totals, chain } = records.at(-1);
  await engine.close();
  const opening = performance.now();
  const again = await openEngine({ dir, checkpointing: false, prefetch: 'aggressive' });
  const openMs = performance.now() - opening;
  await again.close();
  return {
    rate,
    checkpoints,
    chainMax,
    amplification: (totals.checkpointBytes + totals.mergeBytes) / totals.logBytes,
    mergeMib: totals.mergeBytes / MIB,
    mergeMs,
    chainMib: chain.reduce((sum, link) => sum + link.bytes, 0) / MIB,
    secondsMax,
    openMs,
  };
}

async function compare({ title, settings, commits, paced = 0, rounds, fresh, median }) {
  const runs = Object.fromEntries(Object.keys(settings).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, options] of Object.entries(settings)) {
      runs[name].push(await run(fresh('chain'), { commits, paced }, options));
    }
  }
  console.log(title);
  const heads = ['events/s', 'checkpoints', 'longest chain', 'written/log byte', 'merges MiB'];
  const more = ['merging ms', 'chain MiB', 'worst estimate s', 'open ms'];
  console.log(
    `  ${'setting'.padEnd(28)}${[...heads, ...more].map((head) => head.padStart(18)).join('')}`,
  );
  for (const [name, found] of Object.entries(runs)) {
    const of = (key, digits = 0) => median(found.map((one) => one[key])).toFixed(digits);
    const cells = [
      of('rate'),
      of('checkpoints'),
      of('chainMax'),
      of('amplification', 2),
      of('mergeMib', 1),
    ];
    cells.push(of('mergeMs'), of('chainMib', 1), of('secondsMax', 2), of('openMs'));
    console.log(`  ${name.padEnd(28)}${cells.map((cell) => cell.padStart(18)).join('')}`);
  }
}

export function triggers(tools) {
  return compare({
    ...tools,
    title: `Checkpoint triggers, ${tools.commits * updatesPerCommit} updates of ${keys} keys`,
    settings: {
      'none (memtables, 128 MiB)': { checkpointing: { logBytes: 2 ** 40 } },
      '10,000 entries or 60 s': { checkpointing: { entries: 10_000, intervalMs: 60_000 } },
      '16 MiB of log or 60 s': { checkpointing: { logBytes: 16 * MIB, intervalMs: 60_000 } },
      '64 MiB of log or 60 s': { checkpointing: { logBytes: 64 * MIB, intervalMs: 60_000 } },
    },
  });
}

export function strategies(tools) {
  const checkpointing = false;
  const settings = {};
  for (const strategy of ['sequential', 'optimal', 'parallel']) {
    settings[`${strategy}, chain of 10`] = { checkpointing, merge: { strategy } };
  }
  settings['optimal, chain of 4'] = { checkpointing, maxChainLength: 4 };
  settings['optimal, chain of 30'] = { checkpointing, maxChainLength: 30 };
  return compare({
    ...tools,
    title: `Merge strategies, ${tools.commits * updatesPerCommit} updates of ${keys} keys, a checkpoint every 10 commits`,
    paced: 10,
    settings,
  });
}
