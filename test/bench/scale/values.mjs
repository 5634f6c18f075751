/*
 * Cost as values grow, 16 B to 1 MiB: bytes a second of durable commits (at least 64 KiB a commit),
 * of a checkpoint, and of reads from an image; all in MB a second of the values' bytes.
 */
import fs from 'node:fs';
import path from 'node:path';
import { openEngine } from '../../../dist/bundle/index.js';
import { makeRandom } from '../statistics.mjs';

const fields = [
  ['commit', 'durable commits'],
  ['checkpoint', 'checkpoint'],
  ['open', 'open'],
  ['read', 'reads of cold keys'],
];

export async function benchmark({ quick, directory }) {
  const sizes = quick ? [16, 1024, 65_536] : [16, 256, 4096, 65_536, 1_048_576];
  const totalBytes = (quick ? 4 : 128) * 1024 * 1024;
  const found = new Map();
  const cases = sizes.flatMap((bytes) =>
    fields.map(([field, series], i) => ({
      name: `${series}, values of ${bytes.toLocaleString('en')} bytes`,
      unit: 'MB/s',
      better: 'more',
      at: bytes,
      series,
      chart: 'MB/s',
      async run() {
        if (i === 0)
          found.set(bytes, await measure(path.join(directory, 'values'), bytes, totalBytes));
        return found.get(bytes)[field];
      },
    })),
  );
  return {
    title: 'Cost as values grow',
    rounds: quick ? 1 : 3,
    warmup: 0,
    charts: [{ unit: 'MB/s', x: 'bytes of a value', scale: 'log' }],
    cases,
  };
}

async function measure(dir, bytes, totalBytes) {
  fs.rmSync(dir, { recursive: true, force: true });
  // A million entries are enough, also of small values.
  const count = Math.min(1_000_000, Math.floor(totalBytes / bytes));
  const random = makeRandom(1);
  const values = Array.from({ length: 16 }, () => {
    const value = Buffer.alloc(bytes);
    // Half of it compresses.
    for (let at = 0; at < bytes / 2; at++) value[at] = random() * 256;
    return value;
  });
  const options = { dir, checkpointing: false, memtableBytesMax: 2 ** 30 };
  let engine = await openEngine(options);
  let state = engine.operator('bench').value('state');
  const perCommit = Math.max(1, Math.ceil(65_536 / bytes));
  const rate = (startedAt) => (count * bytes) / (performance.now() - startedAt) / 1000;
  let startedAt = performance.now();
  const pending = [];
  for (let i = 0; i < count; i++) {
    state.set(i, values[i % values.length]);
    if (i % perCommit !== perCommit - 1) continue;
    pending.push(engine.commit());
    if (pending.length > 4) await pending.shift();
  }
  pending.push(engine.commit());
  await Promise.all(pending);
  const commit = rate(startedAt);
  startedAt = performance.now();
  await engine.checkpoint();
  const checkpoint = rate(startedAt);
  await engine.close();
  startedAt = performance.now();
  engine = await openEngine(options);
  const open = rate(startedAt);
  state = engine.operator('bench').value('state');
  startedAt = performance.now();
  let readBytes = 0;
  for (let i = 0; i < count; i++) readBytes += state.get((i * 7919) % count).length;
  const read = readBytes / (performance.now() - startedAt) / 1000;
  await engine.close();
  return { commit, checkpoint, open, read };
}
