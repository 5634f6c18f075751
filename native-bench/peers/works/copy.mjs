/*
 * (f) Another image of the state, durable, after one entry in a hundred has changed: for Tidemark an
 * incremental checkpoint, for a peer its backup or a copy of its files. Bytes are those it writes.
 * A copy is not durable before its files are synced, so that is part of the time. The first image that
 * a process makes stands apart from the next ones, of which the middle one counts: a job makes
 * one every so often for as long as it runs.
 */
import fs from 'node:fs';
import path from 'node:path';
import { keyOf, makeRandom, makeValues } from '../data.mjs';
import { fillStore } from './filled.mjs';

/** By one process. */
const imagesMade = 6;

export const copy = {
  letter: 'f',
  title: 'Another image after 1 % has changed: checkpoint, backup or copy',
  metrics: [
    { name: 'firstMs', unit: 'ms', better: 'less', title: 'time, the first of a process' },
    { name: 'ms', unit: 'ms', better: 'less', title: 'time' },
    { name: 'bytes', unit: 'bytes', better: 'less', title: 'written' },
  ],
  cases: (sizes) => [
    { name: `${sizes.entries.toLocaleString('en')} entries`, entries: sizes.entries },
  ],
  fixture: {
    async run({ open, case: { entries }, seed }) {
      const store = await open({ engine: { checkpointing: { onClose: true } } });
      await fillStore(store, entries, seed);
      await store.close();
    },
  },
  steps: [
    {
      name: 'copy',
      async run({ open, case: { entries }, seed, dir }) {
        const store = await open({ engine: { checkpointing: false } });
        const random = makeRandom(seed);
        const values = makeValues(seed + 1);
        const images = [];
        for (let image = 0; image < imagesMade; image++) {
          const changed = Array.from({ length: Math.ceil(entries / 100) }, (_, i) => [
            keyOf(Math.floor(random() * entries)),
            values[i % values.length],
          ]);
          await store.commit(changed);
          const to = path.join(dir, `copy-${image}`);
          const startedAt = performance.now();
          const made = await store.copy(to);
          const bytes = made?.bytes ?? syncAll(to);
          images.push({ ms: performance.now() - startedAt, bytes });
          fs.rmSync(to, { recursive: true, force: true });
        }
        const [first, ...next] = images;
        const { ms, bytes } = next.toSorted((a, b) => a.ms - b.ms)[next.length >> 1];
        await store.close();
        return { firstMs: first.ms, ms, bytes };
      },
    },
  ],
};

/** Syncs every file of a folder; their bytes together. */
function syncAll(folder) {
  let bytes = 0;
  for (const name of fs.readdirSync(folder)) {
    const fd = fs.openSync(path.join(folder, name), 'r+');
    fs.fsyncSync(fd);
    bytes += fs.fstatSync(fd).size;
    fs.closeSync(fd);
  }
  return bytes;
}
