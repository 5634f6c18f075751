/*
 * (a) Durable commits of one entry of 100 bytes: 1, 64 and 1024 callers, keys in random order and in
 * their own. (b) Durable batches of 1000 such entries, likewise; a batch is one commit.
 */
import { keyOf, makeOrder, makeValues } from '../data.mjs';
import { inFlight } from '../in-flight.mjs';

const orders = ['random', 'sequential'];

const metrics = [
  { name: 'rate', unit: 'entries/s', better: 'more' },
  { name: 'p99Ms', unit: 'ms', better: 'less', title: 'p99' },
  { name: 'processorUs', unit: 'µs', better: 'less', title: 'processor time of an entry' },
];

function makeWork(letter, title, batch, counts) {
  return {
    letter,
    title,
    metrics,
    cases: (sizes) =>
      orders.flatMap((order) =>
        sizes.depths.map((depth) => ({
          name: `${order} keys, ${depth} in flight`,
          order,
          depth,
          count: counts(depth, sizes),
          keys: sizes.keys,
          secondsMax: sizes.secondsMax,
        })),
      ),
    steps: [
      {
        name: 'run',
        async run({ open, case: { order, depth, count, keys, secondsMax }, seed }) {
          const store = await open({ callers: depth });
          const next = makeOrder(order, keys, seed);
          const values = makeValues(seed);
          const pair = (at) => [keyOf(next()), values[at % values.length]];
          const act =
            batch === 1
              ? (i) => store.commit([pair(i)])
              : (i) => store.commit(Array.from({ length: batch }, (_, at) => pair(i + at)));
          const { calls, ms, processorUs, p99Ms } = await inFlight(
            { count, depth, secondsMax },
            act,
          );
          await store.close();
          const entries = calls * batch;
          return { rate: (entries * 1000) / ms, p99Ms, processorUs: processorUs / entries };
        },
      },
    ],
  };
}

export const commits = makeWork(
  'a',
  'Durable commits of one entry of 100 bytes',
  1,
  (depth, { commits: count }) => Math.max(depth, count),
);

export const batches = makeWork(
  'b',
  'Durable batches of 1000 entries of 100 bytes',
  1000,
  (depth, { batches: count }) => Math.max(depth, count),
);
