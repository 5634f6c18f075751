/*
 * What retention costs on disk: the same job under several settings, and what is there at its end
 * beside what the state takes. Run `npm run build` first.
 *
 *     node test/bench/retention.mjs [checkpoints] [keys]
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEngine } from '../../dist/bundle/index.js';

const checkpoints = Number(process.argv[2] ?? 60);
const keys = Number(process.argv[3] ?? 50_000);
const valueBytes = 200;
const commitsPerCheckpoint = 10;
const changesPerCommit = 1000;
const MIB = 1024 * 1024;

/** Settings that are compared. */
const cases = {
  default: {},
  'checkpoints: 1': { retention: { checkpoints: 1 } },
  'checkpoints: 20': { retention: { checkpoints: 20 } },
  'schedule, 24 h of hours': { retention: { schedule: { hourly: 24 } } },
  'windowMs: all of the run': { retention: { windowMs: 86_400_000 } },
  'retention: false': { retention: false },
};

async function bytesIn(dir) {
  let bytes = 0;
  let files = 0;
  for (const name of await readdir(dir)) {
    bytes += (await stat(join(dir, name))).size;
    files++;
  }
  return { bytes, files };
}

/** A value that compresses by about half, as text does. */
function valueOf(seed) {
  const bytes = new Uint8Array(valueBytes);
  let state = seed >>> 0;
  for (let i = 0; i < valueBytes / 2; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

async function run(options) {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-retention-'));
  try {
    const engine = await openEngine({
      dir,
      segmentBytesMax: 2 * MIB,
      checkpointing: false,
      ...options,
    });
    const state = engine.operator('op').value('v');
    let random = 1;
    const change = () => {
      random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
      state.set(random % keys, valueOf(random));
    };
    for (let key = 0; key < keys; key++) state.set(key, valueOf(key));
    await engine.commit();
    for (let n = 0; n < checkpoints; n++) {
      for (let c = 0; c < commitsPerCheckpoint; c++) {
        for (let i = 0; i < changesPerCommit; i++) change();
        await engine.commit();
      }
      await engine.checkpoint();
    }
    while (engine.stats().compacting) await new Promise((done) => setTimeout(done, 20));
    await engine.collect();
    const records = await bytesIn(join(dir, 'checkpoints'));
    const snapshots = await bytesIn(join(dir, 'snapshots'));
    const log = await bytesIn(join(dir, 'wal'));
    const openingBytes = engine.stats().restore.bytes;
    await engine.close();
    return { records, snapshots, log, openingBytes };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const mib = (bytes) => (bytes / MIB).toFixed(1).padStart(8);
console.log(
  `${keys} keys of ${valueBytes} bytes, ${checkpoints} checkpoints of ` +
    `${commitsPerCheckpoint * changesPerCommit} changes each; MiB`,
);
console.log(
  'settings                   records  snapshots (files)      log    total  an opening reads',
);
for (const [name, options] of Object.entries(cases)) {
  const { records, snapshots, log, openingBytes } = await run(options);
  const total = records.bytes + snapshots.bytes + log.bytes;
  console.log(
    `${name.padEnd(26)}${String(records.files).padStart(8)} ${mib(snapshots.bytes)} ` +
      `(${String(snapshots.files).padStart(3)}) ${mib(log.bytes)} ${mib(total)} ${mib(openingBytes)}`,
  );
}
