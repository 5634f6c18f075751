/*
 * Random checkpoints, savepoints, drops, merges, collections, openings and power losses under random
 * settings. After every collection: the store is sound, nothing kept names anything missing, any one
 * snapshot or record can be lost without losing the end of the log, savepoints are there, the window
 * can be restored. At the end: a few bases later hardly anything of all that is left.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parseSnapshotName,
  type CheckpointRecord,
} from '../../src/checkpoint/checkpoint-record.ts';
import type { CollectionReport, Engine, RetentionOptions } from '../../src/engine/index.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { settle, worldOn, type World } from './engine-fixture.ts';
import { counts, expectSound, opened, write } from './retention-world.ts';

type Act =
  | { readonly act: 'write'; readonly commits: number }
  | { readonly act: 'advance'; readonly ms: number }
  | { readonly act: 'crash'; readonly seed: number }
  | {
      readonly act:
        | 'delta'
        | 'base'
        | 'merge'
        | 'background'
        | 'savepoint'
        | 'drop'
        | 'collect'
        | 'reopen';
    };

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('write' as const), commits: fc.nat(3) }) },
  {
    weight: 8,
    arbitrary: fc.constantFrom<Act>(
      { act: 'delta' },
      { act: 'delta' },
      { act: 'base' },
      { act: 'merge' },
      { act: 'background' },
      { act: 'savepoint' },
      { act: 'drop' },
      { act: 'collect' },
      { act: 'collect' },
      { act: 'reopen' },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constant('advance' as const), ms: fc.nat(3_600_000) }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('crash' as const), seed: fc.nat(1000) }) },
);

const settings: fc.Arbitrary<RetentionOptions> = fc.record(
  {
    checkpoints: fc.integer({ min: 1, max: 4 }),
    ageMs: fc.nat(3_600_000),
    windowMs: fc.nat(7_200_000),
    schedule: fc.record(
      { hourly: fc.nat(3), daily: fc.nat(2), weekly: fc.nat(1), monthly: fc.nat(1) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['checkpoints'] },
);

/** An engine and what it has to hold. */
class Run {
  world: World = worldOn();
  engine!: Engine;
  readonly savepoints = new Set<string>();
  readonly #options: RetentionOptions;
  #written = 0;
  #named = 0;
  #openings = 1;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.world.clock.advance(Date.UTC(2026, 10, 18));
  }

  async start(): Promise<void> {
    this.engine = await opened(this.world, { retention: this.#options, maxChainLength: 4 });
    const last = this.engine.operator('op').value('v').get('last');
    expect(last).toBe(this.#written === 0 ? undefined : this.#written);
  }

  async do(next: Act): Promise<void> {
    const { engine, world } = this;
    if (next.act === 'write') {
      await write(engine, next.commits + 1, 400);
      this.#written += next.commits + 1;
    } else if (next.act === 'advance') world.clock.advance(next.ms);
    else if (next.act === 'delta') await engine.checkpoint();
    else if (next.act === 'base') await engine.checkpoint({ kind: 'base' });
    else if (next.act === 'merge') await engine.merge();
    else if (next.act === 'background') void engine.checkpoint();
    else if (next.act === 'savepoint') {
      const name = `s${++this.#named}`;
      await engine.checkpoint({ savepoint: name });
      this.savepoints.add(name);
    } else if (next.act === 'drop') {
      const [name] = this.savepoints;
      if (name === undefined) return;
      await engine.dropSavepoint(name);
      this.savepoints.delete(name);
    } else if (next.act === 'collect') await this.collect();
    else await this.#reopen(next.act === 'crash' ? next.seed : undefined);
  }

  async #reopen(seed: number | undefined): Promise<void> {
    const { fs, clock } = this.world;
    // What the engine still does after the cut is on a disk that nobody will see.
    const cut = seed === undefined ? undefined : await fs.crash(new SeededRandom(seed));
    await this.engine.close();
    if (cut) this.world = worldOn(cut, clock, ++this.#openings);
    await expectSound(this.world);
    await this.start();
  }

  async collect(): Promise<CollectionReport> {
    const { engine, world } = this;
    const report = await engine.collect();
    await settle(5);
    const records = await engine.checkpoints();
    const names = new Set((await world.fs.contents()).keys());
    for (const { chain } of records) {
      for (const { name } of chain) expect(names).toContain(`/store/${name}`);
    }
    const live = records.filter(({ savepoint, dropped }) => savepoint !== undefined && !dropped);
    expect(new Set(live.map(({ savepoint }) => savepoint))).toEqual(this.savepoints);
    this.#checkPlan(report, records);
    return report;
  }

  #checkPlan({ plan }: CollectionReport, all: readonly CheckpointRecord[]): void {
    const kept = plan.lines.filter(({ action }) => action === 'keep').map(({ name }) => name);
    const keptIds = new Set(
      kept.flatMap((name) => /^checkpoints\/(\d+)\.json$/.exec(name)?.[1] ?? []),
    );
    const records = all.filter(({ id }) => keptIds.has(String(id).padStart(10, '0')));
    const { windowMs = 0 } = this.#options;
    if (windowMs > 0) {
      expect(plan.retained.fromTimestamp).toBeLessThanOrEqual(plan.at - windowMs * 1000);
    }
    if (plan.hold !== undefined) {
      const gone = plan.lines.filter(({ action }) => action === 'delete');
      expect(gone.every(({ rules }) => rules[0] === 'leftover')).toBe(true);
      return;
    }
    // Whatever one file is lost, a record that does without it can be read on from.
    const reaches = (usable: readonly CheckpointRecord[]): boolean =>
      usable.some(({ lsn }) => lsn + 1 >= plan.retained.logFromLsn);
    for (const name of kept.filter((one) => parseSnapshotName(one))) {
      const without = records.filter(({ chain }) => chain.every((link) => link.name !== name));
      expect(reaches(without)).toBe(true);
    }
    for (const { id } of records)
      expect(reaches(records.filter((one) => one.id !== id))).toBe(true);
  }
}

describe('retention under random use', () => {
  test('keeps what it has to, and what is on disk stays bounded', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(act, { minLength: 10, maxLength: 50 }),
        async (options, acts) => {
          const run = new Run(options);
          await run.start();
          for (const next of acts) await run.do(next);
          for (const name of run.savepoints) await run.engine.dropSavepoint(name);
          run.savepoints.clear();
          // Years later: nothing but the newest few is of any age.
          run.world.clock.advance(1000 * 86_400_000);
          const few = (options.checkpoints ?? 1) + 1;
          for (let i = 0; i < few; i++) {
            await run.do({ act: 'write', commits: 0 });
            await run.engine.checkpoint({ kind: 'base' });
          }
          await run.collect();
          await run.do({ act: 'reopen' });
          await run.do({ act: 'write', commits: 0 });
          await run.engine.checkpoint({ kind: 'base' });
          await run.collect();
          await expectSound(run.world);
          const { records, snapshots } = await counts(run.world.fs);
          expect(records).toBeLessThanOrEqual(2 * few + 16);
          expect(snapshots).toBeLessThanOrEqual(2 * few + 16);
          await run.engine.close();
        },
      ),
      {
        numRuns: Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? 40),
        seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_121),
        endOnFailure: process.env['TIDEMARK_SHRINK'] === undefined,
      },
    );
  }, 600_000);
});
