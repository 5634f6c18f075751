/*
 * Reads and writes of single keys against a Map: hot keys, which the memtable has; cold ones, which are
 * in an image; keys that are not there. Values are objects of three fields, as a job keeps them.
 */
import path from 'node:path';
import { openEngine } from '../../../dist/bundle/index.js';
import { makeRandom } from '../statistics.mjs';

const hotKeys = 10_000;

export async function benchmark({ quick, directory }) {
  const entries = quick ? 100_000 : 1_000_000;
  const calls = quick ? 200_000 : 1_000_000;
  const random = makeRandom(1);
  const keyOf = (number) => `key-${String(number).padStart(12, '0')}`;
  const valueOf = (number) => ({ count: number, sum: number * 1.5, text: 'some text to fill it' });
  const dir = path.join(directory, 'reads');
  let engine = await openEngine({ dir, checkpointing: { onClose: true } });
  let state = engine.operator('bench').value('state');
  const map = new Map();
  const set = async (number) => {
    state.set(keyOf(number), valueOf(number));
    map.set(keyOf(number), valueOf(number));
  };
  for (let number = 0; number < entries; number++) {
    await set(number);
    if (number % 1000 === 999) await engine.commit();
  }
  await engine.commit();
  await engine.close();
  engine = await openEngine({ dir, prefetch: 'aggressive' });
  state = engine.operator('bench').value('state');
  // The lowest keys are written again, so that the memtable has them; all others are in the image.
  for (let number = 0; number < hotKeys; number++) await set(number);
  await engine.commit();

  const any = (below, from = 0) =>
    Array.from({ length: calls }, () => keyOf(from + Math.floor(random() * below)));
  const hot = any(hotKeys);
  const cold = any(entries - hotKeys, hotKeys);
  const missing = cold.map((key) => `${key}x`);
  const timed = (keys, get, there) => {
    let found = 0;
    const startedAt = performance.now();
    for (const key of keys) if (get(key) !== undefined) found++;
    const ms = performance.now() - startedAt;
    if (found !== (there ? keys.length : 0)) throw new Error(`${found} keys were found`);
    return (ms * 1e6) / keys.length;
  };
  const fromMap = (key) => map.get(key);
  const fromEngine = (key) => state.get(key);
  const reads = (name, keys, get, more, there = true) => ({
    name,
    unit: 'ns',
    better: 'less',
    run: () => timed(keys, get, there),
    ...more,
  });
  const value = valueOf(1);
  const writes = (write) => () => {
    const startedAt = performance.now();
    for (const key of hot) write(key);
    return ((performance.now() - startedAt) * 1e6) / hot.length;
  };
  return {
    title: `Reads and writes of one key, ${entries.toLocaleString('en')} entries`,
    cases: [
      reads('limit: Map.get, hot keys', hot, fromMap),
      reads('get, hot keys', hot, fromEngine, {
        limit: 'limit: Map.get, hot keys',
        aim: { text: 'half of Map', ratioMin: 0.5 },
      }),
      reads('limit: Map.get, all keys', cold, fromMap),
      reads('get, cold keys', cold, fromEngine, { limit: 'limit: Map.get, all keys' }),
      reads('get, missing keys', missing, fromEngine, { limit: 'limit: Map.get, all keys' }, false),
      {
        name: 'limit: Map.set, hot keys',
        unit: 'ns',
        better: 'less',
        run: writes((key) => map.set(key, value)),
      },
      {
        name: 'set, hot keys, in one transaction',
        unit: 'ns',
        better: 'less',
        limit: 'limit: Map.set, hot keys',
        run: writes((key) => state.set(key, value)),
        clear: () => engine.rollback(),
      },
    ],
    close: () => engine.close(),
  };
}
