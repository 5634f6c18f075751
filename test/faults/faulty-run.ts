/*
 * One run of an engine in which a call fails, or every call from one on: what is acknowledged, what
 * is refused and how, and what is there afterwards, with the power gone or not. Each step of the
 * work is tried and may be refused, with an error of ours; the next ones are tried all the same.
 */
import { backupWith } from '../../src/engine/backup-store.ts';
import { TidemarkError, type EngineOptions } from '../../src/engine/index.ts';
import { SimulatedFileSystem, SeededRandom, type Fault } from '../../src/testing/index.ts';
import type { Durability } from '../../src/wal/log-options.ts';
import { Script, shown } from '../crash/script.ts';
import { SelfMovingClock } from '../crash/self-moving-clock.ts';

/** Turns of the event loop within which a step is settled; nothing waits for a clock. */
const turnsMax = 20_000;

/** What broke a promise. */
export class Broken extends Error {}

/** What a run has come to. */
export interface FaultyOutcome {
  /** Whether the fault has struck. */
  readonly struck: boolean;
  /** Codes of the errors that steps were refused with. */
  readonly refused: ReadonlySet<string>;
  readonly calls: number;
}

/** Steps of the work, in order. */
type Step = (run: FaultyRun) => Promise<unknown>;

const options: Partial<EngineOptions> = { segmentBytesMax: 16_384, retention: { checkpoints: 1 } };

export class FaultyRun {
  readonly fs: SimulatedFileSystem;
  readonly script: Script;
  readonly refused: Set<string> = new Set();
  /** The engine is open, as far as it was not refused. */
  isOpen = false;
  #poisonedCalls: string[] = [];

  constructor(seed: number) {
    this.fs = new SimulatedFileSystem({ seed });
    this.script = new Script(this.fs);
    this.fs.beforeCall = ({ call, path }) => {
      const isLog = path.startsWith('/store/wal/') || path.startsWith('/store/checkpoints/');
      if (isLog && ['write', 'rename', 'link'].includes(call) && this.isPoisoned) {
        this.#poisonedCalls.push(`${call} ${path}`);
      }
    };
  }

  get isPoisoned(): boolean {
    return this.isOpen && this.script.engine.stats().poisoned !== undefined;
  }

  /** Tries a step: it ends, and with an error of ours or none. */
  async step(what: string, act: () => Promise<unknown>): Promise<boolean> {
    try {
      await settled(what, act());
      return true;
    } catch (error) {
      if (error instanceof Broken) throw error;
      if (!(error instanceof TidemarkError) || error.code === 'INVARIANT') {
        throw new Broken(`${what} failed with an error that is not typed`, { cause: error });
      }
      this.refused.add(error.code);
      return false;
    }
  }

  /** A commit that may be refused; one that is not sealed leaves its transaction open, to be undone. */
  async commit(bytes: number, level: Durability = 'disk'): Promise<void> {
    const { script } = this;
    const sealed = script.engine.sealedLsn;
    // `change` throws at once where nothing may be written any more.
    await this.step('commit', async () => script.commit(bytes, level));
    if (script.engine.sealedLsn === sealed && !this.isPoisoned) script.engine.rollback();
  }

  /** Everything that is tried, whatever has failed before. */
  async work(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (!this.isOpen) {
        this.isOpen = await this.step('open', () => this.script.open(options));
        if (!this.isOpen) continue;
      }
      await step(this);
      await this.#checkPoison();
    }
    await this.end();
  }

  async end(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    const poisoned = this.script.engine.stats().poisoned !== undefined;
    const closed = await this.step('close', () => this.script.engine.close());
    if (closed && !poisoned) this.script.acknowledged = this.script.expected.length - 1;
  }

  /** A poisoned engine says so, takes nothing, gives what it has, and writes nothing more (L11). */
  async #checkPoison(): Promise<void> {
    if (!this.isPoisoned) return;
    const { engine } = this.script;
    const refusal = await engine.commit().then(
      () => 'taken',
      (error: TidemarkError) => error.code,
    );
    if (refusal !== 'POISONED') throw new Broken(`a poisoned engine answers a commit: ${refusal}`);
    shown(engine);
    const [first] = this.#poisonedCalls;
    if (first !== undefined) throw new Broken(`a poisoned engine goes on: ${first}`);
    await this.end();
  }

  /**
   * Without faults, the store opens with everything that was acknowledged, works on, and a power
   * loss then takes nothing of that either.
   */
  async recovers(what: string, fs: SimulatedFileSystem): Promise<void> {
    const { acknowledged, expected } = this.script;
    const child = new Script(fs, expected, 50);
    try {
      await settled(what, child.open(options));
      const { lsn } = child.engine.recovery;
      if (lsn < acknowledged) throw new Error(`${acknowledged} was acknowledged, ${lsn} is there`);
      if (shown(child.engine) !== expected[lsn]) throw new Error(`LSN ${lsn} shows another state`);
      await child.commit();
      const lost = fs.crash('dropped');
      await settled(what, child.close());
      const again = new Script(lost, child.expected, 60);
      await settled(what, again.open(options));
      if (again.engine.recovery.lsn < child.acknowledged) {
        throw new Error(`${child.acknowledged} was acknowledged, then the power went`);
      }
      await settled(what, again.close());
    } catch (error) {
      throw new Broken(what, { cause: error });
    }
  }
}

/** Rejects when a promise is not settled within so many turns. */
async function settled<T>(what: string, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const done = promise.finally(() => {
    isSettled = true;
  });
  // Whoever wins, a rejection is heard.
  done.catch(() => {});
  for (let turn = 0; turn < turnsMax && !isSettled; turn++) await new Promise(setImmediate);
  if (!isSettled) throw new Broken(`${what} does not end`);
  return done;
}

/** The work: everything that an engine does to its files. */
export const steps: readonly Step[] = [
  (run) => run.commit(20),
  (run) => run.commit(3000),
  async (run) => {
    const levels: Durability[] = ['os', 'memory', 'disk'];
    await Promise.all(levels.map((level) => run.commit(100, level)));
  },
  (run) => run.step('checkpoint', () => run.script.engine.checkpoint()),
  (run) => run.commit(20_000),
  (run) => run.commit(1500, 'os'),
  (run) => run.step('savepoint', () => run.script.engine.checkpoint({ savepoint: 'one' })),
  (run) => run.commit(6000),
  (run) => run.step('base', () => run.script.engine.checkpoint({ kind: 'base' })),
  async (run) => {
    const merge = run.step('merge', () => run.script.engine.merge());
    await run.commit(40);
    await merge;
  },
  (run) =>
    run.step('view', async () => {
      const view = await run.script.engine.viewAt({ savepoint: 'one' });
      view.operator('op').counter('sum').get('all');
      await view.close();
    }),
  (run) => run.commit(5000),
  (run) => run.step('drop', () => run.script.engine.dropSavepoint('one')),
  (run) => run.step('collect', () => run.script.engine.collect()),
  (run) =>
    run.step('backup', () => {
      const on = {
        fs: run.fs,
        clock: new SelfMovingClock(),
        random: new SeededRandom(9),
        threads: false,
      };
      return backupWith({ from: { dir: '/store' }, to: '/copy' }, on);
    }),
  (run) => run.end(),
  (run) => run.commit(200),
  (run) => run.step('last', () => run.script.engine.checkpoint()),
];

/** Runs the work with a fault, and holds what is left to the promise. */
export async function faulty(fault: Fault | undefined, seed: number): Promise<FaultyOutcome> {
  const run = new FaultyRun(seed);
  const injected = fault && run.fs.inject(fault);
  await run.work(steps);
  const calls = run.fs.callCount;
  const struck = (injected?.struck ?? 0) > 0;
  run.fs.heal();
  const open = run.fs.openPaths;
  if (open.length > 0) throw new Broken(`handles are left open: ${open.join()}`);
  // The process has ended, and the machine goes on; then the same with the power gone.
  await run.recovers('opening after a power loss that took all', run.fs.crash('dropped'));
  await run.recovers('opening after a power loss', run.fs.crash(seed));
  await run.recovers('opening again', run.fs);
  return { struck, refused: run.refused, calls };
}
