/*
 * The map that a memtable is, against a JS Map: new keys set behind a look, as a job does it; the same
 * keys read, those strings themselves and texts made anew. Keys come in random order.
 */
import { GrowingMap } from '../../../dist/state/growing-map.js';
import { makeRandom } from '../statistics.mjs';

const hotKeys = 10_000;

export async function benchmark({ quick }) {
  const entries = quick ? 100_000 : 1_000_000;
  const calls = 200_000;
  const keyOf = (number) => `key-${String(number).padStart(12, '0')}`;
  const random = makeRandom(1);
  const any = (below) => Array.from({ length: calls }, () => keyOf(Math.floor(random() * below)));
  const kinds = [
    { title: 'Map', make: () => new Map() },
    { title: 'memtable', make: () => new GrowingMap() },
  ];
  const filled = (make, count) => {
    const map = make();
    for (let number = 0; number < count; number++) map.set(keyOf(number), { number });
    return map;
  };
  const timed = (count, act) => {
    const before = process.cpuUsage();
    act();
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / count;
  };
  const found = (map, keys) => () => {
    let hits = 0;
    for (const key of keys) if (map.get(key) !== undefined) hits++;
    if (hits !== keys.length) throw new Error(`${hits} keys were found`);
  };
  const cases = [];
  const add = (name, run) => {
    for (const { title, make } of kinds) {
      const limit = title === 'Map' ? {} : { limit: `${name}: Map` };
      cases.push({
        name: `${name}: ${title}`,
        unit: 'ns',
        better: 'less',
        run: run(make),
        ...limit,
      });
    }
  };
  add(`get and set of ${entries.toLocaleString('en')} new keys`, (make) => () => {
    const map = make();
    const next = makeRandom(2);
    return timed(entries, () => {
      for (let i = 0; i < entries; i++) {
        const key = keyOf(Math.floor(next() * 1e12));
        if (map.get(key) === undefined) map.set(key, { i });
      }
    });
  });
  for (const count of [hotKeys, entries]) {
    const name = `get, of ${count.toLocaleString('en')} keys`;
    add(name, (make) => {
      const map = filled(make, count);
      const keys = any(count);
      return () => timed(calls, found(map, keys));
    });
    add(`${name}, new texts`, (make) => {
      const map = filled(make, count);
      return () => {
        const keys = any(count);
        return timed(calls, found(map, keys));
      };
    });
  }
  return { title: 'The map of a memtable, processor time', cases };
}
