/*
 * After any history of changes, commits, checkpoints, savepoints, merges, collections and openings, a
 * reader at any moment that is kept gives exactly what the engine gave then, and a moment that is not
 * kept is refused.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Engine, EngineOptions, Reader, Target } from '../../src/engine/index.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { dir, TestStore } from './reader-store.ts';

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
    () => list.clear(key),
    () => counter.add(key, subKey - 3),
    () => counter.delete(key),
    () => blob.set(key, new Uint8Array(subKey * 1000).fill(key)),
    () => op.min('min').update(key, subKey),
    () => value.patch(key, { subKey }),
    () => (subKey === 0 ? map.clearAll() : map.set(key, subKey, null)),
  ];
  changes[what]!();
}

type Content = Readonly<Record<string, readonly unknown[]>>;

/** What is there, by state, in the order of the store. */
function contentOf(reader: Reader): Content {
  const found: Record<string, unknown[]> = {};
  for (const { state, key, subKey, value, lsn, timestamp } of reader.entries()) {
    (found[state] ??= []).push([key, subKey, value, lsn, timestamp]);
  }
  return found;
}

async function contentAt(store: TestStore, at: Target): Promise<Content | string> {
  let reader: Reader;
  try {
    reader = await openReaderWith({ dir, at }, store.components);
  } catch (error) {
    return (error as { code: string }).code;
  }
  const content = contentOf(reader);
  await reader.close();
  return content;
}

interface Remembered {
  readonly lsn: number;
  readonly timestamp: number;
  readonly content: Content;
}

const small: Partial<EngineOptions> = { segmentBytesMax: 8192, keyGroups: 4, checkpointing: false };

const options: fc.Arbitrary<Partial<EngineOptions>> = fc.record({
  maxChainLength: fc.constantFrom(2, 4),
  retention: fc.constantFrom<EngineOptions['retention'][]>(
    false,
    { checkpoints: 1 },
    { checkpoints: 3 },
    { checkpoints: 1, windowMs: 1 },
  ) as fc.Arbitrary<NonNullable<EngineOptions['retention']>>,
});

const step = fc.oneof(
  { weight: 20, arbitrary: fc.tuple(fc.nat(12), fc.nat(3), fc.nat(5)) },
  { weight: 8, arbitrary: fc.constant('commit' as const) },
  { weight: 3, arbitrary: fc.constant('checkpoint' as const) },
  { weight: 1, arbitrary: fc.constant('savepoint' as const) },
  { weight: 1, arbitrary: fc.constant('merge' as const) },
  { weight: 1, arbitrary: fc.constant('open' as const) },
);

test('any history: every moment that is kept is as it was', { timeout: 120_000 }, async () => {
  const history = fc.array(step, { minLength: 30, maxLength: 120 });
  await fc.assert(
    fc.asyncProperty(options, history, async (chosen, steps) => {
      const store = new TestStore();
      let engine = await store.open({ ...small, ...chosen });
      const commits: Remembered[] = [];
      const savepoints = new Map<string, number>();
      for (const next of [...steps, 'commit' as const]) {
        store.clock.micros += 7;
        if (next === 'commit') {
          const { lsn, timestamp } = await engine.commit({ positions: { n: commits.length } });
          const content = await contentAt(store, 'latest');
          if (typeof content === 'string') throw new Error(content);
          commits.push({ lsn, timestamp, content });
        } else if (next === 'checkpoint') {
          await engine.checkpoint();
        } else if (next === 'savepoint') {
          const savepoint = `s${savepoints.size}`;
          savepoints.set(savepoint, (await engine.checkpoint({ savepoint })).lsn);
        } else if (next === 'merge') {
          await engine.merge();
        } else if (next === 'open') {
          await engine.close();
          engine = await store.open({ ...small, ...chosen });
        } else {
          change(engine, next);
        }
      }
      await engine.collect();
      await engine.close();
      const { retained } = await planStoreRestoreWith({ dir }, store.components);
      const checkpoints = new Set((await listed(store)).map(({ lsn }) => lsn));
      const isKept = (lsn: number): boolean =>
        checkpoints.has(lsn) || (retained.fromLsn !== undefined && lsn >= retained.fromLsn);
      for (const [i, { lsn, timestamp, content }] of commits.entries()) {
        const due = isKept(lsn) ? content : 'OUT_OF_RETENTION';
        expect(await contentAt(store, { lsn })).toEqual(due);
        expect(await contentAt(store, { timestamp })).toEqual(due);
        const before = commits[i - 1];
        if (before && isKept(before.lsn)) {
          expect(await contentAt(store, { lsn, inclusive: false })).toEqual(before.content);
          if (isKept(lsn) && before.lsn >= (retained.fromLsn ?? Infinity)) {
            const timestampBefore = { timestamp, inclusive: false };
            expect(await contentAt(store, timestampBefore)).toEqual(before.content);
            expect(await contentAt(store, { timestamp: timestamp - 1 })).toEqual(before.content);
          }
        }
      }
      for (const [savepoint, lsn] of savepoints) {
        const due = commits.find((commit) => commit.lsn === lsn)?.content ?? {};
        expect(await contentAt(store, { savepoint })).toEqual(due);
      }
      for (const { id, lsn } of await listed(store)) {
        const due = commits.find((commit) => commit.lsn === lsn)?.content ?? {};
        expect(await contentAt(store, { checkpoint: id })).toEqual(due);
      }
    }),
    {
      seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_121),
      numRuns: Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? 8),
      endOnFailure: true,
    },
  );
});

async function listed(store: TestStore): Promise<{ id: number; lsn: number }[]> {
  const engine = await store.open({ ...small, retention: false });
  const records = await engine.checkpoints();
  await engine.close();
  return records.map(({ id, lsn }) => ({ id, lsn }));
}
