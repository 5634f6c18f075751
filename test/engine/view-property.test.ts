/*
 * Views and snapshots, opened and closed at random beside random changes, commits, checkpoints,
 * merges, collections, openings and work in the background: each shows its moment exactly, as a plain
 * model remembers it, until it is closed; a view that is refused is of a moment that is not kept. At
 * the end no pin, no open file and no image in memory is left.
 */
import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { pinsOf } from '../../src/checkpoint/retention/retention-pins.ts';
import type { Engine, Target, View } from '../../src/engine/index.ts';
import { NotFoundError } from '../../src/errors.ts';
import { ImageLayers } from '../../src/state/image-layers.ts';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { noise, open, worldOn } from './engine-fixture.ts';
import { applyTo, expected, expectedReads, handlesOf, Model, pointReads, shown } from './model.ts';
import type { Step } from './model.ts';
import { keys, step, subKeys } from './random-steps.ts';

type Act =
  | { readonly act: 'commit'; readonly steps: readonly Step[] }
  | { readonly act: 'change'; readonly steps: readonly Step[] }
  | { readonly act: 'view' | 'close'; readonly which: number; readonly by: number }
  | {
      readonly act:
        | 'rollback'
        | 'checkpoint'
        | 'base'
        | 'merge'
        | 'background'
        | 'collect'
        | 'latest'
        | 'snapshot'
        | 'snapshotLater'
        | 'reopen';
    };

const steps = fc.array(step, { minLength: 1, maxLength: 5 });
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant('commit' as const), steps }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('change' as const), steps }) },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom('view' as const, 'view' as const, 'close' as const),
      which: fc.nat(1000),
      by: fc.nat(2),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.constantFrom<Act>(
      { act: 'rollback' },
      { act: 'checkpoint' },
      { act: 'checkpoint' },
      { act: 'base' },
      { act: 'merge' },
      { act: 'background' },
      { act: 'background' },
      { act: 'collect' },
      { act: 'latest' },
      { act: 'snapshot' },
      { act: 'snapshot' },
      { act: 'snapshotLater' },
      { act: 'snapshotLater' },
      { act: 'reopen' },
    ),
  },
);

/** Counts the files that are open. */
function countFiles(fs: FaultyFileSystem): { readonly open: number } {
  const count = { open: 0 };
  const openFile = fs.open.bind(fs);
  fs.open = async (...args) => {
    const handle = await openFile(...args);
    const close = handle.close.bind(handle);
    count.open++;
    handle.close = async () => {
      count.open--;
      await close();
    };
    return handle;
  };
  return count;
}

class Run {
  readonly world = worldOn();
  readonly files = countFiles(this.world.fs);
  readonly engineOptions = { retention: { checkpoints: 1 }, maxChainLength: 3 };
  /** By LSN. */
  readonly history: Model[] = [new Model()];
  readonly timestamps: number[] = [0];
  readonly checkpoints = new Map<number, number>();
  current = new Model();
  views: { view: View; model: Model }[] = [];
  background: Promise<unknown>[] = [];
  engine!: Engine;
  refused = 0;

  get committed(): Model {
    return this.history.at(-1)!;
  }

  async act(next: Act): Promise<void> {
    const { engine } = this;
    switch (next.act) {
      case 'change':
        return this.change(next.steps);
      case 'commit':
        return this.commit(next.steps);
      case 'rollback':
        engine.rollback();
        this.current = this.committed.copy();
        return;
      case 'checkpoint':
        await engine.checkpoint();
        return;
      case 'base':
        await engine.checkpoint({ kind: 'base' });
        return;
      case 'merge':
        await engine.merge();
        return;
      case 'background':
        this.background.push(engine.checkpoint());
        return;
      case 'collect':
        await engine.collect();
        return;
      case 'latest':
        return this.took(await engine.viewAt('latest'));
      case 'snapshot':
        return this.took(await engine.snapshot());
      case 'snapshotLater':
        this.background.push(engine.snapshot().then((view) => this.took(view)));
        return;
      case 'view':
        return this.viewAt(next.which % this.history.length, next.by);
      case 'close': {
        const [closed] = this.views.splice(next.which % Math.max(1, this.views.length), 1);
        await closed?.view.close();
        return;
      }
      case 'reopen':
        return this.reopen();
    }
  }

  change(all: readonly Step[]): void {
    const handles = handlesOf(this.engine);
    for (const one of all) {
      applyTo(handles, one);
      this.current.apply(one);
    }
  }

  async commit(all: readonly Step[]): Promise<void> {
    this.change(all);
    const source = this.history.length;
    // Fills segments, so that the log is trimmed.
    this.engine.operator('filler').value('bytes').set('x', noise(90_000, source));
    this.current.positions = { source };
    const committing = this.engine.commit({ positions: { source } });
    this.history.push(this.current.copy());
    const { lsn, timestamp } = await committing;
    expect(lsn).toBe(source);
    this.timestamps[lsn] = timestamp;
  }

  /** A view says itself of which commit it is; a later check says whether that is so. */
  took(view: View): void {
    this.views.push({ view, model: this.history[view.lsn]! });
  }

  async viewAt(lsn: number, by: number): Promise<void> {
    const targets: Target[] = [
      { lsn },
      lsn === 0 ? { lsn } : { timestamp: this.timestamps[lsn]! },
      lsn === 0 ? { lsn } : { lsn: lsn + 1, inclusive: false },
    ];
    // Above the last commit there is none to be excluded.
    const target = targets[lsn + 1 === this.history.length ? Math.min(by, 1) : by]!;
    try {
      const view = await this.engine.viewAt(target);
      expect(view.lsn).toBe(lsn);
      this.took(view);
    } catch (error) {
      expect(error).toBeInstanceOf(NotFoundError);
      expect((error as NotFoundError).code).toBe('OUT_OF_RETENTION');
      const { retained } = await this.engine.plan();
      expect(retained.fromLsn).toBeGreaterThan(lsn);
      this.refused++;
    }
  }

  check(): void {
    for (const { view, model } of this.views) {
      expect(shown(view)).toEqual(expected(model));
      expect(pointReads(view, keys, subKeys)).toEqual(expectedReads(model, keys, subKeys));
    }
    expect(shown(this.engine)).toEqual(expected(this.current));
    expect(this.engine.stats().frozenMemtables).toBeLessThanOrEqual(4);
  }

  async reopen(): Promise<void> {
    await this.end();
    this.engine = await open(this.world, this.engineOptions);
    this.current = this.committed.copy();
  }

  async end(): Promise<void> {
    await Promise.all(this.background.splice(0));
    await this.engine.close();
    expect(pinsOf(this.world.fs, '/store').size).toBe(0);
    for (const { view } of this.views.splice(0)) expect(() => view.positions).toThrow();
    expect(this.files.open).toBe(0);
  }
}

test('views under random use: exact until they are closed, and nothing is left', async () => {
  const set = vi.spyOn(ImageLayers.prototype, 'set');
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 40 }), async (acts) => {
      const run = new Run();
      run.engine = await open(run.world, run.engineOptions);
      for (const next of acts) {
        await run.act(next);
        run.check();
      }
      await run.end();
      // An image can be retained as long as one reference is left.
      for (const image of new Set(set.mock.calls.flatMap(([images]) => images))) {
        expect(() => image.retain()).toThrow('after its last release');
      }
      set.mockClear();
      refused += run.refused;
    }),
    {
      numRuns: Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? 40),
      seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_121),
      endOnFailure: true,
    },
  );
  expect(refused).toBeGreaterThan(0);
  set.mockRestore();
}, 120_000);
