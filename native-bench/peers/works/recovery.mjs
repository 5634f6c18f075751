/*
 * (g) Crash recovery: entries are committed durably, the process is killed with SIGKILL, and another one
 * opens the store, reads one entry, and reads all keys. Every entry has to be there. Where commits
 * are not durable, the last snapshot or flush comes just before the kill, which is the peer's best case.
 */
import { entryBytes, keyBytes, keyOf } from '../data.mjs';
import { fillStore } from './filled.mjs';

export const recovery = {
  letter: 'g',
  title: 'Recovery after SIGKILL',
  metrics: [
    { name: 'firstReadMs', unit: 'ms', better: 'less', title: 'open and first read' },
    { name: 'allReadMs', unit: 'ms', better: 'less', title: 'open and all keys' },
  ],
  cases: (sizes) => [
    { name: `${sizes.entries.toLocaleString('en')} entries`, entries: sizes.entries },
  ],
  steps: [
    {
      name: 'fill',
      killed: true,
      async run({ open, case: { entries }, seed }) {
        const store = await open({});
        await fillStore(store, entries, seed);
      },
    },
    {
      name: 'recover',
      async run({ open, case: { entries } }) {
        const startedAt = performance.now();
        const store = await open({});
        const first = await store.get(keyOf(entries >> 1));
        const firstReadMs = performance.now() - startedAt;
        if (first?.length !== entryBytes - keyBytes)
          throw new Error('the first entry is not there');
        const found = await store.walk();
        const allReadMs = performance.now() - startedAt;
        if (found.entries !== entries) {
          throw new Error(`${found.entries} entries were found, not ${entries}`);
        }
        await store.close();
        return { firstReadMs, allReadMs };
      },
    },
  ],
};
