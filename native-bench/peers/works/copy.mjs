/*
 * (f) A second image of the state, durable, after one entry in a hundred has changed: for Tidemark an
 * incremental checkpoint, for a peer its backup or a copy of its files. Bytes are those it writes.
 * A copy is not durable before its files are synced, so that is part of the time.
 */
import fs from 'node:fs';
import path from 'node:path';
import { keyOf, makeRandom, makeValues } from '../data.mjs';
import { fillStore } from './filled.mjs';

export const copy = {
  letter: 'f',
  title: 'A second image after 1 % has changed: checkpoint, backup or copy',
  metrics: [
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
        const changed = Array.from({ length: Math.ceil(entries / 100) }, (_, i) => [
          keyOf(Math.floor(random() * entries)),
          values[i % values.length],
        ]);
        await store.commit(changed);
        const to = path.join(dir, 'copy');
        const startedAt = performance.now();
        const made = await store.copy(to);
        const bytes = made?.bytes ?? syncAll(to);
        const ms = performance.now() - startedAt;
        await store.close();
        return { ms, bytes };
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
