/*
 * Random use with expiry, pipelined commits of every level, checkpoints in the background, power
 * losses at random moments and tiny bounds, against a plain model of every commit.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { changes, type FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { applyTo, Model, operatorNames, orderOf, shown, type Step } from './crash-model.ts';
import { errorOf, open, worldOn, type World } from './engine-fixture.ts';

const step: fc.Arbitrary<Step> = fc.record({
  on: fc.constantFrom(...operatorNames),
  what: fc.constantFrom<Step['what']>(
    'set',
    'set',
    'set',
    'delete',
    'clearAll',
    'mapSet',
    'mapSet',
    'mapDelete',
    'mapClear',
    'append',
    'append',
    'append',
    'listClear',
    'add',
    'add',
    'counterDelete',
    'blobSet',
    'blobDelete',
    'low',
    'low',
    'lowDelete',
    'patch',
    'patch',
    'patch',
    'recordSet',
    'recordDelete',
  ),
  key: fc.constantFrom<string | number>('a', 'b', 1, '1', 2),
  subKey: fc.constantFrom(1, 2),
  value: fc.integer({ min: -50, max: 50 }),
  ttlMs: fc.constantFrom(undefined, undefined, null, 1, 3, 10),
});

type Act =
  | { readonly act: 'steps'; readonly steps: readonly Step[] }
  | { readonly act: 'commit'; readonly level: 'memory' | 'os' | 'disk'; readonly wait: boolean }
  | { readonly act: 'crash'; readonly how: 'kept' | 'dropped' | number }
  | { readonly act: 'cut'; readonly after: number; readonly how: 'kept' | 'dropped' | number }
  | { readonly act: 'advance'; readonly ms: number }
  | {
      readonly act:
        | 'rollback'
        | 'checkpoint'
        | 'background'
        | 'base'
        | 'burst'
        | 'collect'
        | 'reopen';
    }
  | { readonly act: 'merge'; readonly strategy: 'sequential' | 'optimal'; readonly wait: boolean };

const simple = fc.constantFrom<Act>(
  { act: 'rollback' },
  { act: 'checkpoint' },
  { act: 'checkpoint' },
  { act: 'background' },
  { act: 'background' },
  { act: 'base' },
  { act: 'burst' },
  { act: 'reopen' },
  { act: 'collect' },
  { act: 'merge', strategy: 'sequential', wait: true },
  { act: 'merge', strategy: 'optimal', wait: true },
  { act: 'merge', strategy: 'optimal', wait: false },
);

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant('steps' as const),
      steps: fc.array(step, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant('commit' as const),
      level: fc.constantFrom('memory', 'os', 'disk', 'disk'),
      wait: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: simple },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('crash' as const),
      how: fc.oneof(fc.constantFrom('kept' as const, 'dropped' as const), fc.nat(1000)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('cut' as const),
      after: fc.nat(40),
      how: fc.oneof(fc.constantFrom('kept' as const, 'dropped' as const), fc.nat(1000)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('advance' as const),
      ms: fc.integer({ min: 1, max: 6 }),
    }),
  },
);

const sizes = { memtableBytesMax: 64 * 1024, segmentBytesMax: 64 * 1024 };

/** How an opening looks after its chain; each opening of a run takes the next. */
type Policy = Pick<
  EngineOptions,
  | 'maxChainLength'
  | 'restoreBytesMax'
  | 'mergeBytesPerLogByteMax'
  | 'checkpointing'
  | 'merge'
  | 'retention'
  | 'logCompression'
>;

const policy: fc.Arbitrary<Policy> = fc.record({
  maxChainLength: fc.constantFrom(1, 2, 3, 8),
  restoreBytesMax: fc.constantFrom(1000, 10_000, 1_000_000),
  mergeBytesPerLogByteMax: fc.constantFrom(0.5, 10, 1e6),
  checkpointing: fc.constantFrom(false as const, 'low' as const, { commits: 2 }, { intervalMs: 3 }),
  merge: fc.record({ strategy: fc.constantFrom('sequential', 'optimal', 'optimal', 'parallel') }),
  retention: fc.constantFrom(
    false as const,
    { checkpoints: 1 },
    { checkpoints: 1 },
    { checkpoints: 3, windowMs: 3 },
  ),
  logCompression: fc.constantFrom('none' as const, { codec: 'lz4' as const, bytesMin: 0 }),
});

/** An engine and the model of each of its commits. */
class Pair {
  world: World;
  engine!: Engine;
  open = new Model();
  /** State after each LSN, from 0 on. */
  readonly committed: Model[] = [new Model()];
  /** Greatest LSN that was acknowledged as durable. */
  acknowledged = 0;
  readonly background: Promise<unknown>[] = [];
  /** Each opening has randomness of its own, as two processes have. */
  #openings = 1;
  readonly #policies: readonly Policy[];

  constructor(policies: readonly Policy[], clock = new ManualClock()) {
    this.#policies = policies;
    clock.advance(1000);
    this.world = worldOn(undefined, clock);
  }

  get now(): number {
    return Math.max(this.world.clock.nowMicros(), this.open.lastTimestamp);
  }

  async start(): Promise<void> {
    const policies = this.#policies;
    const policy = policies[this.#openings % policies.length]!;
    this.engine = await open(this.world, { ...sizes, ...policy });
  }

  async commit(level: 'memory' | 'os' | 'disk', wait: boolean): Promise<void> {
    const { engine, open } = this;
    const source = this.committed.length;
    const promise = engine.commit({ positions: { source }, durability: level });
    const lsn = engine.sealedLsn;
    if (lsn !== source) {
      // Refused before it was sealed: memtables or log are full, and the changes are still open.
      expect((await errorOf(promise)).code).toBe('OVERLOADED');
      await engine.checkpoint();
      return this.commit(level, wait);
    }
    const timestamp = Math.max(this.world.clock.nowMicros(), open.lastTimestamp + 1);
    open.commit(lsn, timestamp);
    open.position = source;
    this.committed.push(open.copy());
    const acknowledged = promise.then((commit) => {
      expect(commit).toEqual({ lsn, timestamp });
      if (level === 'disk') this.acknowledged = Math.max(this.acknowledged, lsn);
    });
    if (wait) await acknowledged;
    else this.background.push(acknowledged);
  }

  async reopen(fs: FaultyFileSystem | undefined): Promise<void> {
    if (fs) {
      const { acknowledged } = this;
      // What the old engine still does, and acknowledges, is on a disk that nobody will see.
      await Promise.allSettled([...this.background.splice(0), this.engine.close()]);
      this.acknowledged = acknowledged;
      this.world = worldOn(fs, this.world.clock, ++this.#openings);
      await this.start();
      const { lsn } = this.engine.recovery;
      expect(lsn).toBeGreaterThanOrEqual(this.acknowledged);
      this.committed.length = lsn + 1;
    } else {
      await this.engine.close();
      await Promise.all(this.background.splice(0));
      this.#openings++;
      await this.start();
      expect(this.engine.recovery.lsn).toBe(this.committed.length - 1);
    }
    this.open = this.committed.at(-1)!.copy();
  }

  async crash(how: 'kept' | 'dropped' | number): Promise<void> {
    const { acknowledged } = this;
    const fs = await this.world.fs.crash(typeof how === 'number' ? new SeededRandom(how) : how);
    // The cut is at the call.
    this.acknowledged = acknowledged;
    await this.reopen(fs);
  }

  /** A power loss at some change of the disk, while a commit and a checkpoint are under way. */
  async cut(after: number, how: 'kept' | 'dropped' | number): Promise<void> {
    const { fs } = this.world;
    let cut: Promise<FaultyFileSystem> | undefined;
    let acknowledged = 0;
    let seen = 0;
    fs.before = (call) => {
      if (!changes(call) || seen++ !== after) return;
      ({ acknowledged } = this);
      cut = fs.crash(typeof how === 'number' ? new SeededRandom(how) : how);
    };
    await this.commit('disk', true);
    await this.engine.checkpoint();
    await this.engine.collect();
    fs.before = () => {};
    if (!cut) return;
    this.acknowledged = acknowledged;
    await this.reopen(await cut);
  }

  async do(next: Act): Promise<void> {
    if (next.act === 'steps') {
      for (const one of next.steps) {
        applyTo(this.engine, one);
        this.open.apply(one, this.now);
      }
    } else if (next.act === 'commit') await this.commit(next.level, next.wait);
    else if (next.act === 'crash') await this.crash(next.how);
    else if (next.act === 'cut') await this.cut(next.after, next.how);
    else if (next.act === 'advance') this.world.clock.advance(next.ms);
    else if (next.act === 'rollback') {
      this.engine.rollback();
      this.open = this.committed.at(-1)!.copy();
    } else if (next.act === 'checkpoint') await this.engine.checkpoint();
    else if (next.act === 'background') this.checkpointBeside();
    else if (next.act === 'base') await this.engine.checkpoint({ kind: 'base' });
    else if (next.act === 'burst') await this.burst();
    else if (next.act === 'collect') await this.engine.collect();
    else if (next.act === 'merge') await this.merge(next.strategy, next.wait);
    else await this.reopen(undefined);
  }

  /** One that waits for a frozen memtable to go may find the engine closed. */
  checkpointBeside(): void {
    const done = this.engine.checkpoint().catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'CLOSED' });
    });
    this.background.push(done);
  }

  /** A merge that nobody waits for is given up when the engine is closed. */
  async merge(strategy: 'sequential' | 'optimal', wait: boolean): Promise<void> {
    const done = this.engine.merge({ strategy });
    if (wait) {
      await done;
      return;
    }
    const beside = done.catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'ABORTED' });
    });
    this.background.push(beside);
  }

  /** As many deltas as make a merge in the background begin. */
  async burst(): Promise<void> {
    for (let n = 0; n < 8; n++) {
      const at = { on: 'plain', key: n % 3, subKey: 1, value: n, ttlMs: null } as const;
      await this.do({ act: 'steps', steps: [{ ...at, what: n % 2 === 0 ? 'append' : 'set' }] });
      await this.commit('memory', true);
      this.checkpointBeside();
    }
  }

  check(): void {
    expect(shown(this.engine)).toEqual(this.open.expected(this.now));
    const { position } = this.open;
    expect(this.engine.positions).toEqual(position === 0 ? {} : { source: position });
  }
}

const policies = fc.array(policy, { minLength: 1, maxLength: 4 });

describe('an engine under random use and power losses', () => {
  test('holds every acknowledged commit and nothing else, at every moment', async () => {
    await fc.assert(
      fc.asyncProperty(
        policies,
        fc.array(act, { minLength: 10, maxLength: 60 }),
        async (chosen, acts) => {
          const pair = new Pair(chosen);
          await pair.start();
          for (const next of acts) {
            await pair.do(next);
            pair.check();
          }
          await pair.do({ act: 'commit', level: 'disk', wait: true });
          const order = orderOf(pair.engine);
          await pair.reopen(undefined);
          pair.check();
          expect(orderOf(pair.engine)).toEqual(order);
          await pair.engine.close();
          const { faults } = await verifyStoreWith({ dir: '/store' }, pair.world);
          expect(faults).toEqual([]);
        },
      ),
      {
        numRuns: Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? 60),
        seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_121),
        endOnFailure: process.env['TIDEMARK_SHRINK'] === undefined,
      },
    );
  }, 600_000);
});
