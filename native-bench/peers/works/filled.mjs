/*
 * A store that holds so many entries of 100 bytes, for the works that begin with one.
 */
import { keyOf, makeValues } from '../data.mjs';

/** Commits entries in batches of a thousand, eight of them in flight. */
export async function fillStore(store, entries, seed) {
  const values = makeValues(seed);
  const waiting = [];
  for (let from = 0; from < entries; from += 1000) {
    const pairs = [];
    for (let i = from; i < Math.min(entries, from + 1000); i++) {
      pairs.push([keyOf(i), values[i % values.length]]);
    }
    waiting.push(store.commit(pairs));
    if (waiting.length >= 8) await waiting.shift();
  }
  await Promise.all(waiting);
  await store.settle?.();
}
