/*
 * After any history: a state that is split at random borders of key groups, once or twice over, and
 * joined again in random parts, is the state that it was. Parts that have gone on by themselves, with
 * states, blobs and checkpoints of their own, join into what they hold together; and no chunk is
 * lost, or counted twice, whatever key group it has.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith, type RestoreOptions } from '../../src/engine/restore-store.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { dir, TestStore } from './reader-store.ts';

const keyGroups = 8;
const small = { segmentBytesMax: 8192, keyGroups, checkpointing: false } as const;

type Step = readonly [what: number, operator: number, key: number, value: number];

/** Contents of few kinds, so that the same chunks are in many blobs. */
function change(engine: Engine, [what, which, key, value]: Step): void {
  const op = engine.operator(`op ${which}`);
  const changes = [
    () => op.value('value').set(key, [value]),
    () => op.value('value').delete(key),
    () => op.map('map').set(key, value, value),
    () => op.map('map').clearAll(),
    () => op.list('list', { itemsMax: 3 }).append(key, value),
    () => op.counter('counter').add(key, value - 3),
    () => op.blob('blob').set(key, new Uint8Array((value % 3) * 500).fill(value % 3)),
    () => op.blob('blob').set(key, new Uint8Array((value % 3) * 500).fill(value % 3)),
    () => op.blob('blob').delete(key),
    () => op.max('max').update(key, value),
  ];
  changes[what]!();
}

const step = fc.oneof(
  { weight: 20, arbitrary: fc.tuple(fc.nat(9), fc.nat(1), fc.nat(12), fc.nat(5)) },
  { weight: 8, arbitrary: fc.constant('commit' as const) },
  { weight: 2, arbitrary: fc.constant('checkpoint' as const) },
  { weight: 1, arbitrary: fc.constant('merge' as const) },
);
const history = fc.array(step, { minLength: 15, maxLength: 60 });

class Rescaling {
  readonly store = new TestStore();
  readonly on: CopyComponents = {
    ...this.store.components,
    random: systemRandom,
    threads: false,
  };
  #made = 0;

  async play(where: string, steps: readonly (string | Step)[]): Promise<void> {
    const engine = await openEngineWith({ dir: where, ...small }, this.on);
    for (const next of [...steps, 'commit']) {
      this.store.clock.micros += 7;
      if (next === 'commit') await engine.commit({ positions: { n: 1 } });
      else if (next === 'checkpoint') await engine.checkpoint();
      else if (next === 'merge') await engine.merge();
      else change(engine, next as Step);
    }
    await engine.close();
  }

  async restore(options: Omit<RestoreOptions, 'to'>): Promise<string> {
    const to = `/made-${++this.#made}`;
    await restoreWith({ to, ...options }, this.on);
    const { faults, notes } = await verifyStoreWith({ dir: to }, this.on);
    expect([...faults, ...notes]).toEqual([]);
    return to;
  }

  /** All entries, by what they are: tables may have other numbers. */
  async dump(where: string): Promise<{ entries: string[]; positions: unknown }> {
    const reader = await openReaderWith({ dir: where }, this.on);
    const entries = [...reader.entries()].map((entry) => {
      const { operator, state, key, subKey, value, lsn, timestamp } = entry;
      return JSON.stringify([operator, state, key, subKey, value, lsn, timestamp]);
    });
    const found = { entries, positions: reader.positions() };
    await reader.close();
    return found;
  }

  /** Blobs of a store can all be read, and when they go nothing is left. */
  async checkBlobs(where: string): Promise<void> {
    const engine = await openEngineWith({ dir: where }, this.on);
    for (const name of ['op 0', 'op 1']) {
      const blobs = engine.operator(name).blob('blob');
      for (const key of blobs.keys()) {
        expect(blobs.get(key)?.length).toBeDefined();
        blobs.delete(key);
      }
    }
    await engine.commit();
    expect((await engine.checkpoint({ kind: 'base' })).blobs).toEqual({
      bytes: 0,
      chunkCount: 0,
      chunkBytes: 0,
    });
    await engine.close();
    const reader = await openReaderWith({ dir: where }, this.on);
    expect(reader.measureChunks().entryCount).toBe(0);
    await reader.close();
  }
}

interface Part {
  readonly dir: string;
  readonly from: number;
  readonly to: number;
}

const runs = (fallback: number): { seed: number; numRuns: number; endOnFailure: boolean } => ({
  seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_123),
  numRuns: Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? fallback),
  endOnFailure: true,
});

const borders = fc.uniqueArray(fc.integer({ min: 1, max: keyGroups - 1 }), { maxLength: 3 });

function partsBetween(inner: readonly number[]): { from: number; to: number }[] {
  const edges = [0, ...inner.toSorted((a, b) => a - b), keyGroups];
  return edges.slice(1).map((to, i) => ({ from: edges[i]!, to }));
}

test(
  'any history, split and joined in any parts: the same state',
  { timeout: 120_000 },
  async () => {
    const choices = fc.tuple(history, borders, borders, fc.nat(1000));
    await fc.assert(
      fc.asyncProperty(choices, async ([steps, inner, again, turn]) => {
        const world = new Rescaling();
        await world.play(dir, steps);
        const due = await world.dump(dir);
        let parts: Part[] = [];
        for (const groups of partsBetween(inner)) {
          const made = await world.restore({ from: { dir }, keyGroups: groups });
          parts.push({ dir: made, ...groups });
        }
        // Cut at other borders: each new part is made of all that have a share in it.
        const next: Part[] = [];
        for (const { from, to } of partsBetween(again)) {
          const shares = parts.filter((part) => part.from < to && from < part.to);
          const of = shares.map((part) => ({
            dir: part.dir,
            keyGroups: { from: Math.max(from, part.from), to: Math.min(to, part.to) },
          }));
          next.push({ dir: await world.restore({ from: of, gaps: true }), from, to });
        }
        parts = next;
        const order = parts.map((_, i) => parts[(i + turn) % parts.length]!);
        const joined = await world.restore({
          from: order.map((part) => ({
            dir: part.dir,
            keyGroups: { from: part.from, to: part.to },
          })),
        });
        expect(await world.dump(joined)).toEqual(due);
        await world.checkBlobs(joined);
      }),
      runs(12),
    );
  },
);

test(
  'parts that went on by themselves: together what each holds',
  { timeout: 120_000 },
  async () => {
    const choices = fc.tuple(history, borders, fc.array(history, { minLength: 4, maxLength: 4 }));
    await fc.assert(
      fc.asyncProperty(choices, async ([steps, inner, later]) => {
        const world = new Rescaling();
        await world.play(dir, steps);
        const from = [];
        const due: string[] = [];
        for (const [i, groups] of partsBetween(inner).entries()) {
          const made = await world.restore({ from: { dir }, keyGroups: groups });
          await world.play(made, later[i]!);
          from.push({ dir: made, keyGroups: groups });
          // Its own keys only: what it wrote elsewhere does not belong to it.
          const own = await world.restore({ from: { dir: made }, keyGroups: groups });
          due.push(...(await world.dump(own)).entries);
        }
        const joined = await world.restore({ from });
        const { entries, positions } = await world.dump(joined);
        expect(entries.toSorted()).toEqual(due.toSorted());
        expect(positions).toEqual({ n: 1 });
        await world.checkBlobs(joined);
      }),
      runs(12),
    );
  },
);
