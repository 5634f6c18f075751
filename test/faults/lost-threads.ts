/*
 * Work of an engine with worker threads over the real file system, in which a thread is lost at its
 * Nth task: before the task reaches it, in the middle, or right behind it. Each step is tried and ends, with an
 * error of ours or none; nothing is lost, and the engine goes on.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker, type ResourceLimits } from 'node:worker_threads';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { TidemarkError, type Engine } from '../../src/engine/index.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { noise } from '../engine/engine-fixture.ts';

/** When a thread is lost. */
export type LossTime = 'before' | 'during' | 'after';

/** What a run has come to. */
export interface LossOutcome {
  /** Tasks that threads were sent. */
  readonly tasks: number;
  /** Codes of the errors that steps were refused with. */
  readonly refused: ReadonlySet<string>;
  /** Steps that were refused for want of memory. */
  readonly outOfMemory: number;
}

/** More than an opening reads without a thread. */
const entries = 90;
const entryBytes = 60_000;

/** Values by their seeds: every run has the same. */
const values = new Map<number, Uint8Array>();

function valueOf(seed: number): Uint8Array {
  const known = values.get(seed) ?? noise(entryBytes, seed);
  values.set(seed, known);
  return known;
}

class LossyRun {
  readonly #dir: string;
  readonly #limits: ResourceLimits | undefined;
  readonly refused = new Set<string>();
  outOfMemory = 0;
  /** What the last commit of each key has put there. */
  readonly #model = new Map<number, number>();
  #engine: Engine | undefined;

  constructor(dir: string, limits: ResourceLimits | undefined) {
    this.#dir = dir;
    this.#limits = limits;
  }

  async run(): Promise<void> {
    await this.#open();
    await this.#commit(0, entries / 2);
    await this.#step(() => this.#engine!.checkpoint());
    await this.#commit(entries / 2, entries);
    await this.#step(() => this.#engine!.checkpoint({ savepoint: 'kept' }));
    await this.#commit(3, 6);
    await this.#step(() => this.#engine!.checkpoint());
    await this.#step(() => this.#engine!.merge());
    await this.#step(async () => {
      const view = await this.#engine!.viewAt({ savepoint: 'kept' });
      await view.close();
    });
    await this.#commit(2, 4);
    await this.#step(() => this.#engine!.verify({ level: 'full' }));
    const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: true };
    const limited = this.#limits === undefined ? on : { ...on, threadLimits: this.#limits };
    const restoring = { from: { dir: this.#dir }, to: join(this.#dir, '..', 'copy') };
    await this.#step(() => restoreWith(restoring, limited));
    await this.#engine!.close();
    await this.#open();
    await this.#engine!.close();
  }

  /** With threads that last, everything is there, and everything works. */
  async recovers(): Promise<void> {
    const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: true };
    const engine = await openEngineWith({ ...this.#options, prefetch: 'aggressive' }, on);
    this.#compare(engine);
    engine.operator('op').value('v').set('last', 1);
    await engine.commit();
    await engine.checkpoint({ kind: 'base' });
    await engine.collect();
    const { faults } = await engine.verify({ level: 'full' });
    await engine.close();
    if (faults.length > 0) throw new Error(`verify found ${JSON.stringify(faults)}`);
  }

  get #options() {
    const { restoreBytesMax, maxChainLength } = { restoreBytesMax: 1e9, maxChainLength: 10 };
    return { dir: this.#dir, checkpointing: false, restoreBytesMax, maxChainLength } as const;
  }

  /** An opening that loses its thread is refused, and the next one is not. */
  async #open(): Promise<void> {
    const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: true };
    const limited = this.#limits === undefined ? on : { ...on, threadLimits: this.#limits };
    const options = { ...this.#options, prefetch: 'aggressive' } as const;
    await this.#step(async () => {
      this.#engine = undefined;
      this.#engine = await openEngineWith(options, limited);
    });
    this.#engine ??= await openEngineWith(options, on);
    this.#compare(this.#engine);
    this.#engine.on('failure', () => {});
  }

  /** A commit needs no thread. */
  async #commit(from: number, to: number): Promise<void> {
    const values = this.#engine!.operator('op').value('v');
    for (let key = from; key < to; key++) {
      const seed = (this.#model.get(key) ?? key) + 1;
      values.set(key, valueOf(seed));
      this.#model.set(key, seed);
    }
    await this.#engine!.commit();
  }

  async #step(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code === 'INVARIANT') {
        throw new Error('a lost thread gives an error that is not typed', { cause: error });
      }
      this.refused.add(error.code);
      if (error.details['outOfMemory'] === true) this.outOfMemory++;
    }
    const poisoned = this.#engine?.stats().poisoned;
    if (poisoned !== undefined) throw new Error('a lost thread poisons', { cause: poisoned });
  }

  #compare(engine: Engine): void {
    const values = engine.operator('op').value<Uint8Array>('v');
    for (const [key, seed] of this.#model) {
      if (Buffer.compare(values.get(key) ?? new Uint8Array(), valueOf(seed)) === 0) continue;
      throw new Error(`${key} has another value than was committed`);
    }
  }
}

/** Runs the work with threads that have limits, or of which one is lost at the Nth task of them all. */
export async function loseThreads(
  how: ResourceLimits | { readonly nth: number; readonly when: LossTime },
): Promise<LossOutcome> {
  const isLoss = 'nth' in how;
  const top = await mkdtemp(join(tmpdir(), 'tidemark-lost-threads-'));
  const run = new LossyRun(join(top, 'store'), isLoss ? undefined : how);
  let tasks = 0;
  const { prototype } = Worker;
  const own = Object.getOwnPropertyDescriptor(prototype, 'postMessage')!;
  const postMessage = own.value as (this: Worker, message: unknown) => void;
  prototype.postMessage = function post(this: Worker, message: unknown) {
    const give = (): void => postMessage.call(this, message);
    const isTask = typeof message === 'object' && message !== null && 'name' in message;
    if (isTask) tasks++;
    if (isTask && isLoss && tasks === how.nth) lose(this, how.when, give);
    else give();
  };
  try {
    await run.run();
    Object.defineProperty(prototype, 'postMessage', own);
    await run.recovers();
    return { tasks, refused: run.refused, outOfMemory: run.outOfMemory };
  } finally {
    Object.defineProperty(prototype, 'postMessage', own);
    await rm(top, { recursive: true, force: true });
  }
}

function lose(worker: Worker, when: LossTime, post: () => void): void {
  const end = (): void => void worker.terminate();
  if (when === 'before') end();
  // Listeners that were there first hear the answer all the same.
  if (when === 'after') worker.once('message', end);
  post();
  if (when === 'during') setImmediate(end);
}
