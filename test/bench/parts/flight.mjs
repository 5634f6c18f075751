/*
 * Durable commits of one entry of 100 bytes with many callers, random and sequential keys, and the log
 * alone. The limit is what encoding the same values and setting them in a Map takes, without a disk.
 */
import { createValueCodec } from '../../../dist/codec/value.js';
import { openEngine } from '../../../dist/bundle/index.js';
import { openLog } from '../../../dist/bundle/log.js';
import { makeRandom } from '../statistics.mjs';
import { drive, inFresh } from './raw-sync.mjs';

const keys = 1_000_000;

export async function benchmark({ quick, directory }) {
  const count = quick ? 50_000 : 300_000;
  const random = makeRandom(1);
  const orders = {
    random: Array.from({ length: count }, () => Math.floor(random() * keys)),
    sequential: Array.from({ length: count }, (_, i) => i),
  };
  const value = Buffer.alloc(84, 7);
  const engineCase = (order, depth) => ({
    name: `engine, ${depth} in flight, ${order} keys`,
    unit: 'commits/s',
    limit: 'limit: encode and Map.set, random keys',
    run: () =>
      inFresh(directory, async (dir) => {
        const engine = await openEngine({ dir });
        const state = engine.operator('bench').value('state');
        const ms = await drive(count, depth, (i) => {
          state.set(orders[order][i], value);
          return engine.commit();
        });
        await engine.close();
        return (count * 1000) / ms;
      }),
  });
  return {
    title: 'Durable commits by many callers',
    cases: [
      {
        name: 'limit: encode and Map.set, random keys',
        unit: 'commits/s',
        run: () => (count * 1000) / encodeAndSet(orders.random, value),
      },
      engineCase('random', 64),
      engineCase('random', 1024),
      engineCase('sequential', 1024),
      {
        name: 'log alone, 1024 in flight',
        unit: 'records/s',
        aim: { text: '1 M/s', valueMin: 1_000_000 },
        published: { text: '500 K/s', source: 'wal' },
        run: () =>
          inFresh(directory, async (dir) => {
            const log = await openLog({ dir });
            const record = Buffer.alloc(100, 7);
            const ms = await drive(count * 4, 1024, () => log.append(record));
            await log.close();
            return (count * 4000) / ms;
          }),
      },
    ],
  };
}

/** Milliseconds for encoding a value and setting it in a Map, key by key. */
export function encodeAndSet(order, value) {
  const codec = createValueCodec();
  const map = new Map();
  const target = Buffer.alloc(1024 * 1024);
  let at = 0;
  const startedAt = performance.now();
  for (const key of order) {
    const bytes = codec.encode(value);
    if (at + bytes.length > target.length) at = 0;
    target.set(bytes, at);
    at += bytes.length;
    map.set(key, value);
  }
  return performance.now() - startedAt;
}
