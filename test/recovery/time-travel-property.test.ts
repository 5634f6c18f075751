/*
 * After any history of changes, commits, checkpoints, savepoints, merges, collections and openings, a
 * reader at any moment that is kept gives exactly what the engine gave then, and a moment that is not
 * kept is refused.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EngineOptions, HistoryVersion } from '../../src/engine/index.ts';
import { diffStoreWith } from '../../src/recovery/diff.ts';
import { followStoreWith } from '../../src/recovery/follow-store.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { dir, TestStore } from './reader-store.ts';
import {
  change,
  contentAt,
  dueChanges,
  shownChange,
  shownValue,
  sortedChanges,
  valueIn,
  type Change,
  type Remembered,
} from './remembered.ts';

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
      await expectDiffs(
        store,
        commits.filter(({ lsn }) => isKept(lsn)),
      );
      await expectEffects(store, commits, retained.fromLsn);
      await expectHistories(store, commits, retained.fromLsn);
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

/** What differs between commits that follow each other, and between the first and the last. */
async function expectDiffs(store: TestStore, kept: readonly Remembered[]): Promise<void> {
  const pairs = kept.slice(1).map((after, i) => [kept[i]!, after] as const);
  if (kept.length > 2) pairs.push([kept[0]!, kept.at(-1)!], [kept.at(-1)!, kept[0]!]);
  for (const [before, after] of pairs.slice(-8)) {
    const found: Change[] = [];
    const range = { from: { lsn: before.lsn }, to: { lsn: after.lsn } };
    for await (const change of diffStoreWith({ dir, ...range }, store.components)) {
      found.push(shownChange(change));
    }
    expect(sortedChanges(found)).toEqual(sortedChanges(dueChanges(before.content, after.content)));
  }
}

/** Every commit that can be told with what was before it: its effects are the difference. */
async function expectEffects(
  store: TestStore,
  commits: readonly Remembered[],
  fromLsn: number | undefined,
): Promise<void> {
  const feed = followStoreWith({ dir, before: true, follow: false }, store.components);
  let last: number | undefined;
  for await (const { lsn, timestamp, positions, effects } of feed) {
    const at = commits.findIndex((commit) => commit.lsn === lsn);
    expect([timestamp, positions]).toEqual([commits[at]!.timestamp, { n: at }]);
    const due = dueChanges(commits[at - 1]?.content ?? {}, commits[at]!.content);
    expect(sortedChanges(effects!.map(shownChange))).toEqual(sortedChanges(due));
    if (last !== undefined) expect(lsn).toBe(last + 1);
    last = lsn;
  }
  // One that is there is the last one: the feed never ends before what is proved.
  const newest = commits.at(-1)!.lsn;
  expect(last ?? newest).toBe(newest);
  if (fromLsn !== undefined && fromLsn < newest) expect(last).toBe(newest);
}

/** After each commit that is known by itself, the last version so far is what the model holds. */
async function expectHistories(
  store: TestStore,
  commits: readonly Remembered[],
  fromLsn: number | undefined,
): Promise<void> {
  const reader = await openReaderWith({ dir }, store.components);
  for (const { state } of reader.definitions()) {
    for (const key of [0, 1, 2, 3]) {
      const versions: HistoryVersion[] = [];
      for await (const version of reader.history('op', state, key)) versions.push(version);
      const lsns = versions.map(({ lsn }) => lsn);
      expect(lsns).toEqual(lsns.toSorted((a, b) => a - b));
      for (const [i, { lsn, content }] of commits.entries()) {
        if (fromLsn === undefined || lsn < fromLsn) continue;
        const last = versions.findLast((version) => version.lsn <= lsn);
        expect(shownValue(last?.value)).toEqual(valueIn(content, state, key));
        const own = versions.find((version) => version.lsn === lsn);
        if (own?.source === 'log') expect(own.positions).toEqual({ n: i });
      }
    }
  }
  await reader.close();
}

async function listed(store: TestStore): Promise<{ id: number; lsn: number }[]> {
  const engine = await store.open({ ...small, retention: false });
  const records = await engine.checkpoints();
  await engine.close();
  return records.map(({ id, lsn }) => ({ id, lsn }));
}
