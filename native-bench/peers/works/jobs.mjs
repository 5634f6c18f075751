/*
 * (d) Counter updates over Zipf-distributed keys: commits of ten updates, 64 callers. (e) Appends to
 * lists that keep their newest thousand items, which are full before: commits of ten items of 50
 * bytes, 64 callers. Every commit is durable when it is answered.
 */
import { makeRandom, makeZipf } from '../data.mjs';
import { inFlight } from '../in-flight.mjs';

const callers = 64;
const updatesPerCommit = 10;
const itemsMax = 1000;
const lists = 100;

const metrics = [
  { name: 'rate', unit: 'updates/s', better: 'more' },
  { name: 'p99Ms', unit: 'ms', better: 'less', title: 'p99' },
  { name: 'processorUs', unit: 'µs', better: 'less', title: 'processor time of an update' },
];

export const counters = {
  letter: 'd',
  title: 'Counter updates, Zipf-distributed keys',
  metrics,
  cases: (sizes) => [
    {
      name: `${sizes.counters.toLocaleString('en')} keys, ${callers} in flight, 10 a commit`,
      keys: sizes.counters,
      count: sizes.updates / updatesPerCommit,
      secondsMax: sizes.secondsMax,
    },
  ],
  steps: [
    {
      name: 'run',
      async run({ open, case: { keys, count, secondsMax }, seed }) {
        const store = await open({ callers });
        const job = store.counters();
        const next = makeZipf(keys, seed);
        const expected = new Map();
        const { calls, ms, processorUs, p99Ms } = await inFlight(
          { count, depth: callers, secondsMax },
          (i) =>
            job.add(
              Array.from({ length: updatesPerCommit }, (_, at) => {
                const key = next();
                const amount = 1 + ((i + at) % 5);
                expected.set(key, (expected.get(key) ?? 0) + amount);
                return [key, amount];
              }),
            ),
        );
        await checkSums(job, expected);
        await store.close();
        const done = calls * updatesPerCommit;
        return { rate: (done * 1000) / ms, p99Ms, processorUs: processorUs / done };
      },
    },
  ],
};

async function checkSums(job, expected) {
  let left = 1000;
  for (const [key, sum] of expected) {
    const found = await job.get(key);
    if (Number(found) !== sum) throw new Error(`counter ${key} is ${found}, expected ${sum}`);
    if (--left === 0) return;
  }
}

export const appends = {
  letter: 'e',
  title: 'Appends to lists of a thousand items',
  metrics,
  cases: (sizes) => [
    {
      name: `${lists} lists, ${callers} in flight, 10 a commit`,
      count: sizes.updates / updatesPerCommit,
      secondsMax: sizes.secondsMax,
    },
  ],
  steps: [
    {
      name: 'run',
      async run({ open, case: { count, secondsMax }, seed }) {
        const store = await open({ callers });
        const job = store.lists(itemsMax);
        const random = makeRandom(seed);
        const item = () => String(random()).padEnd(50, '.').slice(0, 50);
        for (let at = 0; at < itemsMax; at += 10) {
          const fills = Array.from({ length: lists }, (_, list) =>
            job.append(Array.from({ length: 10 }, () => [list, item()])),
          );
          await Promise.all(fills);
        }
        const { calls, ms, processorUs, p99Ms } = await inFlight(
          { count, depth: callers, secondsMax },
          () =>
            job.append(
              Array.from({ length: updatesPerCommit }, () => [
                Math.floor(random() * lists),
                item(),
              ]),
            ),
        );
        const length = await job.length(0);
        if (length !== itemsMax) throw new Error(`a list has ${length} items, not ${itemsMax}`);
        await store.close();
        const done = calls * updatesPerCommit;
        return { rate: (done * 1000) / ms, p99Ms, processorUs: processorUs / done };
      },
    },
  ],
};
