/*
 * (c) Reads of one entry, in random order: the first two thousand behind the opening, in one turn of the
 * loop; then, once the store has read what it reads by itself, hot keys, ten thousand that this process
 * wrote and read before; warm ones, as many that it only read before; cold ones, which it has not
 * touched; and keys between them that are not there (miss). The store was filled by another process,
 * then tidied as its background work does in time: levels compacted, a chain merged. Its files are in
 * the page cache of the system. A Map has no cold keys: it has read its snapshot.
 */
import { entryBytes, keyBytes, keyOf, makeRandom, makeValues } from '../data.mjs';

const hotKeys = 10_000;
const batch = 1000;
const fillBatch = 10_000;
const firstReads = 2000;

export const reads = {
  letter: 'c',
  title: 'Reads of one entry of 100 bytes, of a compacted store',
  metrics: ['first', 'hot', 'warm', 'cold', 'miss'].map((name) => ({
    name,
    unit: 'ns',
    better: 'less',
    title: name,
  })),
  cases: (sizes) =>
    sizes.readEntries.map((entries) => ({
      name: `${entries.toLocaleString('en')} entries`,
      entries,
      reads: sizes.reads,
    })),
  fixture: {
    async run({ open, case: { entries }, seed }) {
      const store = await open({ engine: { checkpointing: { onClose: true } } });
      const values = makeValues(seed);
      const waiting = [];
      // In an order of its own, so that no contender finds its keys already sorted.
      for (const [from, count] of partsOf(entries)) {
        const pairs = [];
        for (let i = from; i < from + count; i++) {
          pairs.push([keyOf(spread(i, entries)), values[i % values.length]]);
        }
        waiting.push(store.commit(pairs));
        if (waiting.length >= 8) await waiting.shift();
      }
      await Promise.all(waiting);
      await store.settle?.();
      await store.tidy?.();
      await store.close();
    },
  },
  steps: [
    {
      name: 'read',
      async run({ open, case: { entries, reads: count }, seed }) {
        const store = await open({});
        const random = makeRandom(seed);
        const timed = async (numbers, there) => {
          const keys = numbers.map(there ? keyOf : missingKeyOf);
          let bytes = 0;
          const startedAt = performance.now();
          if (store.reads === 'synchronous') {
            for (const key of keys) bytes += store.get(key)?.length ?? 0;
          } else {
            for (const key of keys) bytes += (await store.get(key))?.length ?? 0;
          }
          const ns = ((performance.now() - startedAt) * 1e6) / keys.length;
          const expected = there ? keys.length * (entryBytes - keyBytes) : 0;
          if (bytes !== expected) throw new Error(`read ${bytes} bytes, expected ${expected}`);
          return ns;
        };
        const any = (below, from = 0) =>
          Array.from({ length: count }, () => from + Math.floor(random() * below));
        const some = Array.from({ length: firstReads }, () => Math.floor(random() * entries));
        const first = await timed(some, true);
        await store.ready?.();
        // Warms the compiler up on keys of their own, a tenth of all.
        const warm = Math.floor(entries / 10);
        await timed(any(warm), true);
        await timed(any(warm), true);
        const cold = await timed([...new Set(any(entries - warm, warm))], true);
        const few = Math.min(hotKeys, warm);
        await timed(any(few), true);
        const read = await timed(any(few), true);
        const values = makeValues(seed);
        const pairs = Array.from({ length: few }, (_, i) => [keyOf(i), values[i % values.length]]);
        for (let at = 0; at < few; at += batch) await store.commit(pairs.slice(at, at + batch));
        await timed(any(few), true);
        const hot = await timed(any(few), true);
        const miss = await timed(any(entries), false);
        await store.close();
        return { first, hot, warm: read, cold, miss };
      },
    },
  ],
};

/** A key that stands between those that are there. */
function missingKeyOf(number) {
  return `${keyOf(number).slice(0, keyBytes - 1)}x`;
}

function* partsOf(entries) {
  for (let from = 0; from < entries; from += fillBatch) {
    yield [from, Math.min(fillBatch, entries - from)];
  }
}

/** A permutation of the numbers below `count`: a step that has no divisor in common with it. */
function spread(number, count) {
  let step = Math.floor(count * 0.618) | 1;
  while (divisor(step, count) !== 1) step += 2;
  return (number * step) % count;
}

function divisor(a, b) {
  return b === 0 ? a : divisor(b, a % b);
}
