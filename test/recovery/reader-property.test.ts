/*
 * After any history of changes, commits, checkpoints and openings a reader gives exactly what the
 * engine gives: the same keys in the same order with the same values, for every kind.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Engine } from '../../src/engine/index.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { dir, smallSegments, TestStore, withReader } from './reader-store.ts';

type Step = readonly [what: number, key: number, subKey: number];

function change(engine: Engine, [what, key, subKey]: Step): void {
  const op = engine.operator('op');
  const value = op.value('value');
  const map = op.map('map');
  const list = op.list('list', { itemsMax: 3 });
  const counter = op.counter('counter');
  const blob = op.blob('blob');
  const changes = [
    () => value.set(key, [subKey]),
    () => value.delete(key),
    () => map.set(key, subKey, { subKey }),
    () => map.delete(key, subKey),
    () => map.clear(key),
    () => list.append(key, subKey),
    () => list.append(key, subKey),
    () => list.clear(key),
    () => counter.add(key, subKey - 3),
    () => counter.delete(key),
    () => blob.set(key, new Uint8Array(subKey * 1000).fill(key)),
    () => blob.delete(key),
    () => (subKey === 0 ? map.clearAll() : map.set(key, subKey, null)),
  ];
  changes[what]!();
}

/** What the handles of an engine give, in their order. */
function contentOf(engine: Engine): Record<string, unknown[]> {
  const op = engine.operator('op');
  const list = op.list('list', { itemsMax: 3 });
  const blob = op.blob('blob');
  return {
    value: [...op.value('value').entries()],
    map: [...op.map('map').entries()],
    list: [...list.keys()].flatMap((key) => list.get(key).map((item) => [key, item])),
    counter: [...op.counter('counter').entries()],
    blob: [...blob.keys()].map((key) => [key, blob.get(key)]),
  };
}

test('any history: a reader and the engine agree, and verify finds nothing', async () => {
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.tuple(fc.nat(12), fc.nat(3), fc.nat(5)) },
    { weight: 6, arbitrary: fc.constant('commit' as const) },
    { weight: 2, arbitrary: fc.constant('checkpoint' as const) },
    { weight: 1, arbitrary: fc.constant('open' as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
      const store = new TestStore();
      let engine = await store.open(smallSegments);
      for (const next of steps) {
        store.clock.micros += 7;
        if (next === 'commit') {
          await engine.commit();
        } else if (next === 'checkpoint') {
          await engine.checkpoint();
        } else if (next === 'open') {
          await engine.close();
          engine = await store.open(smallSegments);
        } else {
          change(engine, next);
        }
      }
      await engine.commit();
      const expected = contentOf(engine);
      await withReader(store, (reader) => {
        const given: Record<string, unknown[]> = {
          value: [],
          map: [],
          list: [],
          counter: [],
          blob: [],
        };
        for (const { state, kind, key, subKey, value } of reader.entries()) {
          given[state]!.push(kind === 'map' ? [key, subKey, value] : [key, value]);
        }
        expect(given).toEqual(expected);
      });
      expect((await verifyStoreWith({ dir }, store.components)).faults).toEqual([]);
      await engine.close();
    }),
    { seed: 20_260_102, numRuns: 60 },
  );
});
