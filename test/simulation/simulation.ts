/*
 * A whole engine, everything random about it drawn from one seed: what is done, in which order calls
 * of the file system come back, what fails, when the power goes and what the disk has then; against
 * a plain model of every commit. The same seed gives the same trace: each call and each outcome, in
 * order, goes into a digest.
 */
import { createHash } from 'node:crypto';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { TidemarkError } from '../../src/errors.ts';
import {
  openEngineWith,
  SeededRandom,
  SimulatedFileSystem,
  type Fault,
} from '../../src/testing/index.ts';
import { SelfMovingClock } from '../crash/self-moving-clock.ts';
import { applyTo, Model, shown } from '../engine/crash-model.ts';
import { randomFault, randomPolicy, randomStep } from './choices.ts';
import { Copies, type CopiesHost } from './copies.ts';

const dir = '/store';

const sizes: Partial<EngineOptions> = {
  memtableBytesMax: 64 * 1024,
  segmentBytesMax: 64 * 1024,
  keyGroups: 4,
  checks: false,
  cleanupMs: false,
};

/** Codes that a call may end with once something has failed on purpose. */
const afterFault = new Set([
  'IO',
  'NO_SPACE',
  'SYNC_FAILED',
  'OUTCOME_UNKNOWN',
  'POISONED',
  'CLOSED',
  'ABORTED',
  'CHECKPOINT_FAILED',
  'FENCED',
]);

/** Acts and how often each is done. */
const acts = [
  ...Array<'steps'>(12).fill('steps'),
  ...Array<'commit'>(12).fill('commit'),
  ...Array<'burst'>(2).fill('burst'),
  'rollback',
  'checkpoint',
  'checkpointBeside',
  'base',
  'merge',
  'mergeBeside',
  'collect',
  'advance',
  'advance',
  'snapshot',
  'view',
  'restore',
  'fork',
  'backup',
  'restoreBackup',
  'visitCopy',
  'visitCopy',
  'goBack',
  'reopen',
  'crash',
  'crash',
  'fault',
  'fault',
] as const;

/** One run. */
export class Simulation {
  readonly #random: SeededRandom;
  readonly #hash = createHash('sha1');
  readonly #clock = new SelfMovingClock();
  #fs: SimulatedFileSystem;
  #engine!: Engine;
  #open = new Model();
  /** State behind each LSN, from 0 on. */
  #committed: Model[] = [new Model()];
  #acknowledged = 0;
  /** Commits and background work of this opening that nobody has waited for. */
  #beside: Promise<unknown>[] = [];
  /** Something was made to fail since the last opening that was whole. */
  #failing = false;
  #openings = 0;
  readonly #copies: Copies;
  readonly counts: Record<string, number> = {};

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const capacityBytes = 64 * 1024 * 1024;
    this.#fs = new SimulatedFileSystem({
      seed,
      order: 'random',
      clock: this.#clock,
      capacityBytes,
    });
    this.#clock.advance(1000);
    this.#listen();
    this.#copies = this.#newCopies();
  }

  /** Does so many acts; the digest of everything that happened. */
  async run(actsMost: number): Promise<string> {
    await this.#start();
    for (let n = 0; n < actsMost; n++) {
      const act = this.#random.pick(acts);
      this.#note(`act ${n} ${act}`);
      this.counts[act] = (this.counts[act] ?? 0) + 1;
      await this.#do(act);
      await this.#check(`${n}, ${act}`);
    }
    this.#fs.heal();
    await this.#reopen(undefined);
    await this.#engine.close();
    return this.#hash.digest('hex');
  }

  async #do(act: (typeof acts)[number]): Promise<void> {
    const random = this.#random;
    if (act === 'steps') this.#steps(1 + random.below(8));
    else if (act === 'commit') await this.#commit(random.below(2) === 0);
    else if (act === 'burst') await this.#burst();
    else if (act === 'rollback') this.#rollback();
    else if (act === 'checkpoint') await this.#tolerate(this.#engine.checkpoint());
    else if (act === 'checkpointBeside') this.#begin(this.#engine.checkpoint());
    else if (act === 'base') await this.#tolerate(this.#engine.checkpoint({ kind: 'base' }));
    else if (act === 'merge') await this.#tolerate(this.#engine.merge());
    else if (act === 'mergeBeside') this.#begin(this.#engine.merge({ strategy: 'optimal' }));
    else if (act === 'collect') await this.#tolerate(this.#engine.collect());
    else if (act === 'advance') this.#clock.advance(1 + random.below(1500));
    else if (act === 'snapshot') await this.#snapshot();
    else if (act === 'view') await this.#view();
    else if (act === 'restore') await this.#copies.restore();
    else if (act === 'fork') await this.#copies.fork();
    else if (act === 'backup') await this.#copies.backup();
    else if (act === 'restoreBackup') await this.#copies.restoreBackup();
    else if (act === 'visitCopy') await this.#copies.visit();
    else if (act === 'goBack') await this.#goBack();
    else if (act === 'fault') this.#inject(randomFault(random));
    else if (act === 'crash') await this.#reopen(random.below(2 ** 32));
    else await this.#reopen(undefined);
  }

  get #now(): number {
    return Math.max(this.#clock.nowMicros(), this.#open.lastTimestamp);
  }

  #steps(count: number): void {
    for (let n = 0; n < count; n++) {
      const step = randomStep(this.#random);
      try {
        applyTo(this.#engine, step);
      } catch (error) {
        this.#allow(error);
        return;
      }
      this.#open.apply(step, this.#now);
    }
  }

  /** Seals, if it is taken; waits for the promise, or leaves it to the end of the opening. */
  async #commit(wait: boolean): Promise<void> {
    const level = this.#random.pick(['memory', 'os', 'disk', 'disk'] as const);
    const source = this.#committed.length;
    const engine = this.#engine;
    const timestamp = Math.max(this.#clock.nowMicros(), this.#open.lastTimestamp + 1);
    const promise = engine.commit({ positions: { source }, durability: level });
    const isSealed = engine.sealedLsn === source;
    if (isSealed) {
      this.#open.commit(source, timestamp);
      this.#open.position = source;
      this.#committed.push(this.#open.copy());
    }
    const { fs } = { fs: this.#fs };
    const done = promise.then(
      (commit) => {
        if (!isSealed) throw new Error('a commit that was not sealed has resolved');
        this.#note(`acknowledged ${commit.lsn} ${level}`);
        // What is acknowledged after the power has gone is on a disk that nobody sees.
        if (level === 'disk' && fs === this.#fs) {
          this.#acknowledged = Math.max(this.#acknowledged, commit.lsn);
        }
      },
      (error: unknown) => {
        if (error instanceof TidemarkError && error.code === 'OVERLOADED' && !isSealed) return;
        this.#allow(error);
      },
    );
    if (wait) await done;
    else this.#begin(done);
    if (!isSealed) await this.#tolerate(engine.checkpoint());
  }

  async #burst(): Promise<void> {
    for (let n = 0; n < 6; n++) {
      this.#steps(2);
      await this.#commit(n % 3 === 0);
      if (n % 2 === 0) this.#begin(this.#engine.checkpoint());
    }
  }

  #rollback(): void {
    this.#engine.rollback();
    this.#open = this.#committed.at(-1)!.copy();
  }

  async #snapshot(): Promise<void> {
    const now = this.#now;
    const view = await this.#tolerate(this.#engine.snapshot());
    if (!view) return;
    if (view.lsn === this.#committed.length - 1) {
      this.#same(
        shown(view as unknown as Engine),
        this.#committed.at(-1)!.expected(now),
        'snapshot',
      );
    }
    await view.close();
  }

  async #view(): Promise<void> {
    const lsn = this.#random.below(this.#committed.length);
    const view = await this.#tolerate(this.#engine.viewAt({ lsn }), ['OUT_OF_RETENTION']);
    if (!view) return;
    const model = this.#committed[view.lsn]!;
    this.#same(
      shown(view as unknown as Engine),
      model.expected(model.lastTimestamp),
      `view of ${lsn}`,
    );
    await view.close();
  }

  #newCopies(): Copies {
    const host: CopiesHost = {
      random: this.#random,
      origin: () => ({
        engine: this.#engine,
        isFailing: this.#failing,
        committed: this.#committed,
        acknowledged: this.#acknowledged,
      }),
      components: () => this.#components(),
      tolerate: (action, codes) => this.#tolerate(action, codes),
      same: (found, expected, where) => this.#same(found, expected, where),
      note: (what) => this.#note(what),
    };
    return new Copies(host, dir, sizes);
  }

  #inject(fault: Fault): void {
    this.#failing = true;
    this.#fs.inject(fault);
    this.#note(`fault ${JSON.stringify({ ...fault, path: String(fault.path) })}`);
  }

  /** Goes back in place, where that is still possible. */
  async #goBack(): Promise<void> {
    const lsn = this.#random.below(this.#committed.length);
    if (lsn === 0 || this.#failing) return;
    await this.#reopen(undefined);
    await this.#engine.close();
    const options = { ...sizes, ...randomPolicy(this.#random), dir, recoverTo: { lsn } };
    const opening = openEngineWith(options, this.#components());
    const engine = await this.#tolerate(opening, ['OUT_OF_RETENTION']);
    if (engine) {
      this.#engine = engine;
      this.#committed = this.#committed.slice(0, lsn + 1);
      this.#acknowledged = lsn;
      this.#open = this.#committed.at(-1)!.copy();
    } else await this.#start();
  }

  /** Opens again: after a close, or after a power loss with this seed. */
  async #reopen(seed: number | undefined): Promise<void> {
    const old = this.#engine;
    const oldFs = this.#fs;
    const acknowledged = this.#acknowledged;
    if (seed !== undefined) {
      const next = oldFs.crash(seed);
      oldFs.beforeCall = () => {};
      this.#fs = next;
      this.#listen();
    }
    await old.close().catch((error: unknown) => this.#allow(error));
    await Promise.all(this.#beside.splice(0));
    if (seed !== undefined) this.#acknowledged = acknowledged;
    // A failed sync may have left pages that are read and are on no disk.
    else if (this.#failing && this.#random.below(2) === 0) this.#fs.dropCaches();
    const mayLose = seed !== undefined || this.#failing;
    await this.#start();
    const { lsn } = this.#engine.recovery;
    const last = this.#committed.length - 1;
    if (lsn < this.#acknowledged || lsn > last || (!mayLose && lsn !== last)) {
      throw new Error(`LSN ${lsn} is there; acknowledged ${this.#acknowledged}, sealed ${last}`);
    }
    this.#note(`opened ${lsn}`);
    this.#committed.length = lsn + 1;
    this.#acknowledged = lsn;
    this.#open = this.#committed.at(-1)!.copy();
    this.#failing = false;
  }

  /** Opens; what was made to fail may end it, and is healed then. */
  async #start(): Promise<void> {
    const options = { ...sizes, ...randomPolicy(this.#random), dir };
    try {
      this.#engine = await openEngineWith(options, this.#components());
    } catch (error) {
      this.#allow(error);
      this.#fs.heal();
      if (this.#random.below(2) === 0) this.#fs.dropCaches();
      this.#engine = await openEngineWith(options, this.#components());
    }
    this.#fs.heal();
    this.#engine.on('failure', () => {});
  }

  #components() {
    const random = new SeededRandom(++this.#openings);
    const fs = this.#fs;
    const yieldNow = (): Promise<void> => fs.turn();
    return { fs, clock: this.#clock, random, threads: false, backgroundThreads: 2, yieldNow };
  }

  #begin(action: Promise<unknown>): void {
    this.#beside.push(
      action.catch((error: unknown) => this.#allow(error, ['CLOSED', 'ABORTED', 'OVERLOADED'])),
    );
  }

  /** What an action gives; undefined where it failed as it may. */
  async #tolerate<T>(action: Promise<T>, codes: readonly string[] = []): Promise<T | undefined> {
    try {
      return await action;
    } catch (error) {
      this.#allow(error, codes);
      return undefined;
    }
  }

  /** Throws what is not due to a fault. */
  #allow(error: unknown, codes: readonly string[] = []): void {
    const code = error instanceof TidemarkError ? error.code : undefined;
    this.#note(`failed ${code}`);
    if (code !== undefined && codes.includes(code)) return;
    if (code !== undefined && this.#failing && afterFault.has(code)) return;
    throw error;
  }

  /**
   * The live state is that of the model; a poisoned engine is opened again, and so is one that a fault
   * has kept from reading a slice: until it is made anew, reads of it throw.
   */
  async #check(where: string): Promise<void> {
    const found = this.#shownNow();
    if (found !== undefined) this.#same(found, this.#open.expected(this.#now), where);
    if (found !== undefined && !this.#engine.stats().poisoned) return;
    await this.#reopen(undefined);
    this.#same(shown(this.#engine), this.#open.expected(this.#now), `${where}, opened again`);
  }

  /** What the engine shows; undefined where it says that it cannot, and a fault may be why. */
  #shownNow(): unknown {
    try {
      return shown(this.#engine);
    } catch (error) {
      this.#allow(error);
      return undefined;
    }
  }

  #same(found: unknown, expected: unknown, where: string): void {
    const [is, due] = [JSON.stringify(found), JSON.stringify(expected)];
    if (is !== due) throw new Error(`act ${where}: the state is\n${is}\nand should be\n${due}`);
  }

  #listen(): void {
    this.#fs.beforeCall = ({ call, path, position, bytes }) => {
      this.#note(`${call} ${path} ${position} ${bytes}`);
    };
  }

  #note(what: string): void {
    this.#hash.update(`${what}\n`);
  }
}
