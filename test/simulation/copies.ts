/*
 * Second stores of a simulation: forks, restores, and a backup with what is restored of it. Each is
 * held to the model as of its moment when it is made, and again later: behind work of its own, behind
 * collections of the store that it came from, and behind power losses. A copy that is given up is
 * unlinked file by file, which must take nothing of those that share its files.
 */
import { backupWith } from '../../src/engine/backup-store.ts';
import { forkWith } from '../../src/engine/fork-store.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { openEngineWith, type SeededRandom } from '../../src/testing/index.ts';
import type { SimulatedFileSystem } from '../../src/testing/index.ts';
import { applyTo, shown, type Model } from '../engine/crash-model.ts';
import { randomPolicy, randomStep } from './choices.ts';

/** How the store stands that copies are made of. */
export interface Origin {
  readonly engine: Engine;
  /** Something was made to fail, and is not healed. */
  readonly isFailing: boolean;
  /** States behind each LSN of the store, from 0 on. */
  readonly committed: readonly Model[];
  readonly acknowledged: number;
}

/** What copies need of the simulation. */
export interface CopiesHost {
  readonly random: SeededRandom;
  origin(): Origin;
  components(): CopyComponents & { readonly fs: SimulatedFileSystem };
  tolerate<T>(action: Promise<T>, codes?: readonly string[]): Promise<T | undefined>;
  same(found: unknown, expected: unknown, where: string): void;
  note(what: string): void;
}

interface Copy {
  readonly dir: string;
  lsn: number;
  model: Model;
}

const copiesMost = 4;
const backupDir = '/backup';
/** Codes of a moment that is not kept any more. */
const gone = ['OUT_OF_RETENTION', 'STATE_NOT_FOUND'];

export class Copies {
  readonly #host: CopiesHost;
  readonly #dir: string;
  readonly #sizes: Partial<EngineOptions>;
  readonly #copies: Copy[] = [];
  #made = 0;
  /** LSN of the last backup that was whole; undefined: there is none. */
  #backedUp: number | undefined;
  /** What the backup may hold: the store as of that one, and as of each that failed since. */
  #histories: (readonly Model[])[] = [];

  constructor(host: CopiesHost, dir: string, sizes: Partial<EngineOptions>) {
    this.#host = host;
    this.#dir = dir;
    this.#sizes = sizes;
  }

  /** A fork of the open store, or of a copy of it. */
  async fork(): Promise<void> {
    const { random } = this.#host;
    const { committed, acknowledged, engine, isFailing } = this.#host.origin();
    const parent = isFailing ? undefined : random.pick([undefined, ...this.#copies]);
    const to = this.#next();
    const on = this.#host.components();
    const forking =
      parent === undefined ? engine.fork(to) : forkWith({ from: { dir: parent.dir }, to }, on);
    const report = await this.#host.tolerate(forking, ['STATE_NOT_FOUND']);
    if (!report) return;
    const { lsn } = report;
    this.#host.note(`fork ${to} of ${parent?.dir} at ${lsn}`);
    if (parent === undefined) this.#inRange('fork', lsn, acknowledged, committed.length - 1);
    else this.#inRange('fork', lsn, parent.lsn, parent.lsn);
    await this.#add({ dir: to, lsn, model: parent?.model ?? committed[lsn]! });
  }

  /** A store made of the state at some moment. */
  async restore(): Promise<void> {
    const { committed, isFailing } = this.#host.origin();
    const lsn = this.#host.random.below(committed.length);
    if (lsn === 0 || isFailing) return;
    const to = this.#next();
    const order = { from: { dir: this.#dir }, to, target: { lsn } };
    const restoring = restoreWith(order, this.#host.components());
    if (!(await this.#host.tolerate(restoring, gone))) return;
    await this.#add({ dir: to, lsn, model: committed[lsn]! });
  }

  /** Brings the backup up to the open store, which may fail and leave it as it was, or further. */
  async backup(): Promise<void> {
    const { committed, acknowledged } = this.#host.origin();
    const history = committed.slice();
    const order = { from: { dir: this.#dir }, to: backupDir };
    const report = await this.#host.tolerate(backupWith(order, this.#host.components()));
    if (!report) {
      this.#histories.push(history);
      return;
    }
    this.#inRange('backup', report.lsn, acknowledged, committed.length - 1);
    this.#backedUp = report.lsn;
    this.#histories = [history];
  }

  /** The backup as a store: at the last moment that it has. */
  async restoreBackup(): Promise<void> {
    if (this.#backedUp === undefined || this.#backedUp === 0 || this.#isFailing) return;
    const to = this.#next();
    const order = { from: { dir: backupDir }, to };
    const { lsn } = await restoreWith(order, this.#host.components());
    const on = this.#host.components();
    const copy = await openEngineWith({ ...this.#sizes, checkpointing: false, dir: to }, on);
    const found = JSON.stringify(shown(copy));
    await copy.close();
    const isOf = (history: readonly Model[]): boolean => {
      const model = history[lsn];
      const now = Math.max(on.clock.nowMicros(), model?.lastTimestamp ?? 0);
      return model !== undefined && JSON.stringify(model.expected(now)) === found;
    };
    const history = this.#histories.find(isOf);
    const [whole] = this.#histories;
    // A backup that failed later may have taken it to another timeline, and not back on its own.
    if (!history || (history === whole && lsn < this.#backedUp)) {
      throw new Error(`the backup of ${this.#backedUp} is at ${lsn}, with the state ${found}`);
    }
    await this.#add({ dir: to, lsn, model: history[lsn]! });
  }

  /** Looks at a copy that was made before, and works on in it. */
  async visit(): Promise<void> {
    if (this.#isFailing || this.#copies.length === 0) return;
    await this.#open(this.#host.random.pick(this.#copies));
  }

  get #isFailing(): boolean {
    return this.#host.origin().isFailing;
  }

  #next(): string {
    return `/copy${++this.#made}`;
  }

  #inRange(what: string, lsn: number, least: number, most: number): void {
    if (lsn >= least && lsn <= most) return;
    throw new Error(`the ${what} is at ${lsn}, not between ${least} and ${most}`);
  }

  async #add(copy: Copy): Promise<void> {
    if (this.#isFailing) return;
    this.#copies.push(copy);
    await this.#open(copy);
    if (this.#copies.length <= copiesMost) return;
    const [old] = this.#copies.splice(this.#host.random.below(this.#copies.length), 1);
    const { fs } = this.#host.components();
    for (const path of fs.contents().keys()) {
      if (path.startsWith(`${old!.dir}/`)) await fs.unlink(path);
    }
  }

  async #open(copy: Copy): Promise<void> {
    const { random } = this.#host;
    const { dir } = copy;
    const on = this.#host.components();
    const options = { ...this.#sizes, ...randomPolicy(random), dir };
    const engine = await openEngineWith(options, on);
    const nowOf = (model: Model): number => Math.max(on.clock.nowMicros(), model.lastTimestamp);
    const where = `${dir} at ${copy.lsn}`;
    this.#inRange(where, engine.recovery.lsn, copy.lsn, copy.lsn);
    this.#host.same(shown(engine), copy.model.expected(nowOf(copy.model)), where);
    const model = copy.model.copy();
    for (let n = random.below(4); n > 0; n--) {
      const step = randomStep(random);
      applyTo(engine, step);
      model.apply(step, nowOf(model));
    }
    const lsn = copy.lsn + 1;
    const timestamp = Math.max(on.clock.nowMicros(), model.lastTimestamp + 1);
    await engine.commit({ positions: { source: lsn } });
    model.commit(lsn, timestamp);
    Object.assign(copy, { lsn, model });
    if (random.below(3) === 0) await engine.checkpoint({ kind: random.pick(['delta', 'base']) });
    if (random.below(3) === 0) await engine.collect();
    this.#host.same(shown(engine), model.expected(nowOf(model)), `${where}, gone on with`);
    await engine.close();
  }
}
