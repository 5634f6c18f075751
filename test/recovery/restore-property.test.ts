/*
 * After any history, a restore of any moment that is kept gives a store that holds exactly what a
 * reader finds at that moment (which time-travel-property.test.ts compares with what was there), that
 * has no fault, and that goes on working; and parts of it add up to the whole.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Engine, Target } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import type { RestoreOptions } from '../../src/engine/restore-store.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { dir, TestStore } from './reader-store.ts';

type Step = readonly [what: number, operator: number, key: number, value: number];

function change(engine: Engine, [what, which, key, value]: Step): void {
  const op = engine.operator(`op ${which}`);
  const changes = [
    () => op.value('value').set(key, [value]),
    () => op.value('value').delete(key),
    () => op.map('map').set(key, value, value),
    () => op.map('map').clear(key),
    () => op.map('map').clearAll(),
    () => op.list('list', { itemsMax: 3 }).append(key, value),
    () => op.counter('counter').add(key, value - 3),
    () => op.blob('blob').set(key, new Uint8Array(value * 500).fill(value)),
    () => op.blob('blob').delete(key),
    () => op.max('max').update(key, value),
    () => op.value('value').patch(key, { value }),
  ];
  changes[what]!();
}

async function contentOf(store: TestStore, where: string, at?: Target): Promise<unknown> {
  const target = at === undefined ? {} : { at };
  const reader = await openReaderWith({ dir: where, ...target }, store.components);
  const content = [...reader.entries()].map((entry) => {
    const { operator, state, key, subKey, value, lsn, timestamp } = entry;
    return JSON.stringify([operator, state, key, subKey, value, lsn, timestamp]);
  });
  const found = { content, positions: reader.positions(), lsn: reader.lsn };
  await reader.close();
  return found;
}

const small = { segmentBytesMax: 8192, keyGroups: 4, checkpointing: false } as const;

const step = fc.oneof(
  { weight: 20, arbitrary: fc.tuple(fc.nat(10), fc.nat(1), fc.nat(3), fc.nat(5)) },
  { weight: 8, arbitrary: fc.constant('commit' as const) },
  { weight: 2, arbitrary: fc.constant('checkpoint' as const) },
  { weight: 1, arbitrary: fc.constant('merge' as const) },
  { weight: 1, arbitrary: fc.constant('open' as const) },
);

async function play(store: TestStore, steps: readonly (string | Step)[]): Promise<void> {
  const options = { ...small, retention: { checkpoints: 2 } };
  let engine = await store.open(options);
  let count = 0;
  for (const next of [...steps, 'commit']) {
    store.clock.micros += 7;
    if (next === 'commit') await engine.commit({ positions: { n: ++count } });
    else if (next === 'checkpoint') await engine.checkpoint();
    else if (next === 'merge') await engine.merge();
    else if (next === 'open') {
      await engine.close();
      engine = await store.open(options);
    } else change(engine, next as Step);
  }
  await engine.collect();
  await engine.close();
}

test(
  'any history: a restore is the moment, has no fault, and goes on',
  { timeout: 120_000 },
  async () => {
    const history = fc.array(step, { minLength: 30, maxLength: 90 });
    await fc.assert(
      fc.asyncProperty(history, fc.nat(1000), async (steps, choice) => {
        const store = new TestStore();
        await play(store, steps);
        const on = { ...store.components, random: systemRandom, threads: false };
        const { retained, lsn: last } = await planStoreRestoreWith({ dir }, store.components);
        const first = retained.fromLsn ?? last;
        const target = { lsn: first + (choice % (last - first + 1)) };
        const make = async (to: string, parts: Partial<RestoreOptions>): Promise<unknown> => {
          await restoreWith({ from: { dir }, to, target, ...parts }, on);
          const { faults, notes } = await verifyStoreWith({ dir: to }, store.components);
          expect([...faults, ...notes]).toEqual([]);
          return contentOf(store, to);
        };
        const due = (await contentOf(store, dir, target)) as { content: string[]; lsn: number };
        expect(await make('/copy', {})).toEqual(due);
        const halves = [];
        for (const from of [0, 2]) {
          const half = await make(`/half-${from}`, { keyGroups: { from, to: from + 2 } });
          halves.push(...(half as typeof due).content);
        }
        expect(halves.sort()).toEqual(due.content.toSorted());
        const engine = await openEngineWith({ dir: '/copy' }, on);
        // Every count of a chunk is as it has to be: what is deleted leaves nothing behind.
        for (const name of ['op 0', 'op 1']) {
          const blobs = engine.operator(name).blob('blob');
          for (const key of blobs.keys()) blobs.delete(key);
        }
        const { lsn } = await engine.commit();
        expect(lsn).toBe(due.lsn + 1);
        expect((await engine.checkpoint()).blobs.bytes).toBe(0);
        await engine.close();
        expect((await verifyStoreWith({ dir: '/copy' }, store.components)).faults).toEqual([]);
      }),
      {
        seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_122),
        numRuns: Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? 15),
        endOnFailure: true,
      },
    );
  },
);
