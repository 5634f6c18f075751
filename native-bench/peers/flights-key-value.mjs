/*
 * The flights job over a key-value store with batches: the keys that a thousand events touch are
 * read once, together; changes are made in memory; what changed and the position go out as one
 * durable batch, while the next thousand are worked on. What is not yet durable is read from memory.
 */
import { commitsInFlightMax } from './flights-job.mjs';

/** `store` has `getMany(keys)` and `write(puts, removes)`, which resolves when they are durable. */
export async function keyValueFlights(job, store) {
  const pending = new Map();
  const writes = [];
  const names = new Set();

  const readAll = async (keys) => {
    const values = new Map();
    const wanted = keys.filter((key) => {
      if (pending.has(key)) values.set(key, pending.get(key));
      return !pending.has(key);
    });
    const found = await store.getMany(wanted);
    for (const [i, key] of wanted.entries()) values.set(key, found[i]);
    return values;
  };

  const write = async (changed) => {
    for (const [key, value] of changed) pending.set(key, value);
    await store.write([...changed], []);
    for (const [key, value] of changed) if (pending.get(key) === value) pending.delete(key);
  };

  for (const batch of job.batches) {
    for (const [from, to] of job.commits(batch)) {
      const keys = new Set();
      for (let row = from; row < to; row++)
        for (const key of keysOf(job, batch, row)) keys.add(key);
      const values = await readAll([...keys]);
      const changed = new Map([['position', to]]);
      for (let row = from; row < to; row++) addFlight(job, batch, row, values, changed);
      for (const key of changed.keys()) if (key.startsWith('stats ')) names.add(key);
      writes.push(write(changed));
      if (writes.length >= commitsInFlightMax) await writes.shift();
    }
  }
  await Promise.all(writes);
  return async () => {
    const all = await store.getMany(['position', ...names]);
    const sums = { routes: names.size, flights: 0, delaySum: 0, position: all[0] };
    for (const { flights, delaySum } of all.slice(1)) {
      sums.flights += flights;
      sums.delaySum += delaySum;
    }
    return sums;
  };
}

function keysOf(job, batch, row) {
  const index = row - batch.start;
  const origin = batch.origins[index];
  const route = job.routeOf(origin, batch.destinations[index]);
  const day = job.dayOf(batch.dates[index]);
  return [
    `stats ${route}`,
    `worst ${route}`,
    `day ${route} ${day}`,
    `departures ${origin}`,
    `recent ${origin}`,
  ];
}

function addFlight(job, batch, row, values, changed) {
  const index = row - batch.start;
  const at = batch.dates[index];
  const delay = batch.delays[index];
  const destination = batch.destinations[index];
  const [stats, worst, day, departures, recent] = keysOf(job, batch, row);
  const set = (key, value) => {
    values.set(key, value);
    changed.set(key, value);
  };
  set(stats, job.nextStats(values.get(stats), delay, batch.distances[index]));
  const before = values.get(worst);
  const after = job.insertDelay(before, delay, at);
  if (after !== before) set(worst, after);
  set(day, job.nextDay(values.get(day), delay));
  set(departures, (values.get(departures) ?? 0) + 1);
  set(recent, [...(values.get(recent) ?? []), { at, destination, delay }].slice(-job.recentMax));
}
