/*
 * After any history of commits, checkpoints, merges, collections, openings and restores in place, every
 * moment of every timeline is what it was then, or is refused: for readers, views, histories, diffs,
 * feeds, restores and for going back itself.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Engine, EngineOptions, Target, View } from '../../src/engine/index.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import type { TidemarkError } from '../../src/errors.ts';
import { diffStoreWith } from '../../src/recovery/diff.ts';
import { followStoreWith } from '../../src/recovery/follow-store.ts';
import { listTimelinesWith } from '../../src/recovery/list-timelines.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { dir, TestStore } from './reader-store.ts';
import {
  change,
  contentAt,
  contentOf,
  dueChanges,
  shownChange,
  shownValue,
  sortedChanges,
  valueIn,
  type Change,
  type Content,
  type Remembered,
} from './remembered.ts';

const small: Partial<EngineOptions> = { segmentBytesMax: 8192, keyGroups: 4, checkpointing: false };

/** What was committed on each timeline, the past of which is that of another one. */
class Memory {
  readonly #timelines = new Map<number, { parent: number; forkLsn: number; own: Remembered[] }>();
  current = 1;

  constructor() {
    this.#timelines.set(1, { parent: 0, forkLsn: 0, own: [] });
  }

  get ids(): number[] {
    return [...this.#timelines.keys()];
  }

  add(commit: Remembered): void {
    this.#timelines.get(this.current)!.own.push(commit);
  }

  /** Commits along the ancestry of a timeline, oldest first. */
  path(id: number): Remembered[] {
    const timeline = this.#timelines.get(id);
    if (!timeline) return [];
    const { parent, forkLsn, own } = timeline;
    return [...this.path(parent).filter(({ lsn }) => lsn <= forkLsn), ...own];
  }

  rewind(parent: number, forkLsn: number): void {
    this.current = Math.max(...this.ids) + 1;
    this.#timelines.set(this.current, { parent, forkLsn, own: [] });
  }
}

const retentions: readonly NonNullable<EngineOptions['retention']>[] = [
  false,
  { checkpoints: 1 },
  { checkpoints: 3 },
];

const changes = fc.tuple(fc.nat(12), fc.nat(3), fc.nat(5));

/** By which name a moment is gone back to, which commit of which timeline; numbers are cut to what there is. */
const going = fc.record({
  by: fc.constantFrom('lsn' as const, 'timestamp' as const, 'end' as const),
  timeline: fc.nat(9),
  commit: fc.nat(60),
});

const step = fc.oneof(
  { weight: 14, arbitrary: fc.tuple(fc.constant('change' as const), changes) },
  { weight: 6, arbitrary: fc.constant(['commit'] as const) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('burst' as const),
      fc.array(changes, { minLength: 3, maxLength: 6 }),
    ),
  },
  { weight: 3, arbitrary: fc.constant(['checkpoint'] as const) },
  { weight: 1, arbitrary: fc.constant(['merge'] as const) },
  { weight: 1, arbitrary: fc.constant(['open'] as const) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('rewind' as const), going) },
);

class Run {
  readonly store = new TestStore();
  readonly memory = new Memory();
  readonly #options: Partial<EngineOptions>;
  #engine!: Engine;

  constructor(retention: NonNullable<EngineOptions['retention']>) {
    this.#options = { ...small, maxChainLength: 3, retention };
  }

  async open(options: Partial<EngineOptions> = {}): Promise<Engine> {
    this.#engine = await this.store.open({ ...this.#options, ...options });
    return this.#engine;
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }

  /** Commits, and remembers what a reader sees of each right after. */
  async commit(...bursts: (() => void)[]): Promise<void> {
    const commits = (bursts.length === 0 ? [() => {}] : bursts).map((act) => {
      act();
      this.store.clock.micros += 3;
      return this.#engine.commit();
    });
    for (const { lsn, timestamp } of await Promise.all(commits)) {
      const content = await contentAt(this.store, { lsn });
      if (typeof content === 'string') throw new Error(content);
      this.memory.add({ lsn, timestamp, content });
    }
  }

  async step(next: typeof step extends fc.Arbitrary<infer Step> ? Step : never): Promise<void> {
    this.store.clock.micros += 7;
    const engine = this.#engine;
    if (next[0] === 'change') change(engine, next[1]);
    else if (next[0] === 'commit') await this.commit();
    else if (next[0] === 'burst')
      // Blobs in flight together would be refused for want of room.
      await this.commit(
        ...next[1].map(
          ([what, ...where]) =>
            () =>
              change(engine, [what === 9 ? 0 : what, ...where]),
        ),
      );
    else if (next[0] === 'checkpoint') await engine.checkpoint();
    else if (next[0] === 'merge') await engine.merge();
    else {
      await engine.close();
      if (next[0] === 'open') await this.open();
      else await this.#rewind(next[1]);
    }
  }

  /** Goes back; where the moment is not kept, nothing has changed. */
  async #rewind({
    by,
    timeline: n,
    commit,
  }: typeof going extends fc.Arbitrary<infer G> ? G : never): Promise<void> {
    const { memory, store } = this;
    const timeline = memory.ids[n % memory.ids.length]!;
    const path = memory.path(timeline);
    const at = by === 'end' ? path.at(-1) : path[commit % Math.max(1, path.length)];
    const { lsn, timestamp, content } = at ?? { lsn: 0, timestamp: 0, content: {} };
    const target: Target =
      by === 'end' || !at
        ? { timeline }
        : { ...(by === 'lsn' ? { lsn } : { timestamp }), timeline };
    const end = memory.path(memory.current).at(-1)?.lsn ?? 0;
    let kept = true;
    try {
      await planStoreRestoreWith({ dir, at: target }, store.components);
    } catch (error) {
      kept = false;
      const { code } = error as TidemarkError;
      await expect(this.open({ recoverTo: target })).rejects.toMatchObject({ code });
    }
    const engine = await this.open(kept ? { recoverTo: target } : {});
    const isPresent = timeline === memory.current && lsn === end;
    if (kept && !isPresent) memory.rewind(timeline, lsn);
    expect(engine.recovery.timeline).toBe(memory.current);
    const due = kept ? content : (memory.path(memory.current).at(-1)?.content ?? {});
    expect(await contentAt(store, 'latest')).toEqual(due);
  }
}

test(
  'any history with restores in place: every moment of every timeline is as it was',
  { timeout: 120_000 },
  async () => {
    const history = fc.array(step, { minLength: 30, maxLength: 90 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...retentions), history, async (retention, steps) => {
        const run = new Run(retention);
        const { store, memory } = run;
        await run.open();
        for (const next of [['commit'] as const, ...steps, ['commit'] as const])
          await run.step(next);
        await run.close();
        expect((await verifyStoreWith({ dir, level: 'full' }, store.components)).faults).toEqual(
          [],
        );
        const { timelines } = await listTimelinesWith({ dir }, store.components);
        for (const id of memory.ids) {
          const found = timelines.find((timeline) => timeline.id === id);
          const commits = memory.path(id);
          expect(found?.lsn ?? commits.at(-1)?.lsn).toBe(commits.at(-1)?.lsn ?? 0);
          if (found) await expectTimeline(run, id, commits);
          else expect(await contentAt(store, { timeline: id })).toBe('TIMELINE_NOT_FOUND');
        }
      }),
      {
        seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_121),
        numRuns: Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? 6),
        endOnFailure: true,
      },
    );
  },
);

/** Everything that can be read of a timeline is what is remembered of it. */
async function expectTimeline(
  run: Run,
  timeline: number,
  commits: readonly Remembered[],
): Promise<void> {
  const { store, memory } = run;
  const plan = await planStoreRestoreWith({ dir, at: { timeline } }, store.components);
  const { fromLsn = Number.POSITIVE_INFINITY } = plan.retained;
  const known = commits.filter(({ lsn }) => lsn >= fromLsn);
  for (const { lsn, timestamp, content } of commits) {
    const found = await contentAt(store, { lsn, timeline });
    // A checkpoint by itself can be kept below.
    expect(found).toEqual(
      lsn < fromLsn && typeof found === 'string' ? 'OUT_OF_RETENTION' : content,
    );
    if (lsn < fromLsn) continue;
    expect(await contentAt(store, { timestamp, timeline })).toEqual(content);
    if (timeline === memory.current) expect(await contentAt(store, { lsn })).toEqual(content);
  }
  await expectDiffs(store, timeline, known);
  await expectFeed(store, timeline, known);
  await expectHistories(store, timeline, known);
  await expectViewsAndRestores(run, timeline, known);
}

async function expectDiffs(
  store: TestStore,
  timeline: number,
  known: readonly Remembered[],
): Promise<void> {
  const [first, last] = [known[0], known.at(-1)];
  if (!first || !last) return;
  for (const [before, after] of [
    [first, last],
    [last, first],
  ] as const) {
    const found: Change[] = [];
    const range = { from: { lsn: before.lsn, timeline }, to: { lsn: after.lsn, timeline } };
    for await (const one of diffStoreWith({ dir, ...range }, store.components)) {
      found.push(shownChange(one));
    }
    expect(sortedChanges(found)).toEqual(sortedChanges(dueChanges(before.content, after.content)));
  }
}

async function expectFeed(
  store: TestStore,
  timeline: number,
  known: readonly Remembered[],
): Promise<void> {
  const from = known[0]?.lsn;
  if (from === undefined) return;
  const feed = followStoreWith({ dir, timeline, from, follow: false }, store.components);
  const found: number[][] = [];
  for await (const { lsn, timestamp } of feed) found.push([lsn, timestamp]);
  const due = known.map(({ lsn, timestamp }) => [lsn, timestamp]);
  // The commit of the oldest moment can be in a checkpoint alone.
  expect(found).toEqual(due.slice(due.length - found.length));
  expect(found.length).toBeGreaterThanOrEqual(due.length - 1);
}

async function expectHistories(
  store: TestStore,
  timeline: number,
  known: readonly Remembered[],
): Promise<void> {
  const reader = await openReaderWith({ dir, at: { timeline } }, store.components);
  for (const { state } of reader.definitions()) {
    for (const key of [0, 1]) {
      const versions = [];
      for await (const version of reader.history('op', state, key)) versions.push(version);
      for (const { lsn, content } of known) {
        const last = versions.findLast((version) => version.lsn <= lsn);
        expect(shownValue(last?.value)).toEqual(valueIn(content, state, key));
      }
    }
  }
  await reader.close();
}

/** A view beside the live engine, and a restored store, of a moment in the middle. */
async function expectViewsAndRestores(
  run: Run,
  timeline: number,
  known: readonly Remembered[],
): Promise<void> {
  const middle = known[Math.floor(known.length / 2)];
  if (!middle) return;
  const target = { lsn: middle.lsn, timeline };
  const engine = await run.open();
  const view = await engine.viewAt(target);
  expect(valuesOf(view)).toEqual(valuesIn(middle.content));
  await view.close();
  await engine.close();
  const { store } = run;
  const to = `/restored-${timeline}`;
  const on = { ...store.components, random: systemRandom, threads: false };
  await restoreWith({ from: { dir }, to, target }, on);
  const reader = await openReaderWith({ dir: to }, store.components);
  expect(contentOf(reader)).toEqual(middle.content);
  await reader.close();
}

/** Keys and values of the state `value`. */
function valuesOf(view: View): unknown[] {
  return [...view.operator('op').value('value').entries()]
    .map((pair) => JSON.stringify(pair))
    .sort();
}

function valuesIn(content: Content): unknown[] {
  return ((content['value'] ?? []) as [unknown, unknown, unknown][])
    .map(([key, , value]) => JSON.stringify([key, value]))
    .sort();
}
