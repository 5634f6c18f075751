/*
 * Opens every disk that a crash can leave at every moment of a script, or a seeded choice of them
 * where they are many, and holds the engine to its promise: what was acknowledged is there, what was
 * not is there whole or not at all, work goes on, and a second crash, in the middle of that recovery
 * or behind it, changes nothing of this.
 *
 * A disk that has been opened is not opened again: what was found on it has to be enough for each
 * moment that can leave it.
 */
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import {
  crashStates,
  SeededRandom,
  type CrashState,
  type SimulatedFileSystem,
} from '../../src/testing/index.ts';
import { Script, shown, type Moment } from './script.ts';

/** How much is tried. */
export interface Effort {
  /** Most disks of one moment. */
  readonly statesMax: number;
  readonly seed: number;
}

/** What was tried. */
export interface Tried {
  readonly moments: number;
  /** Different disks on which an engine was opened. */
  readonly disks: number;
  /** Of these, those that a crash during or behind a recovery left. */
  readonly again: number;
}

/**
 * Of so many disks, two are verified byte by byte behind their recovery: one at once, and one after
 * more work, a collection, a clean close and an opening.
 */
const thoroughEvery = 8;
/** Second crashes behind each first one. */
const crashesAgain = 2;
/** Failures that are told; there may be more. */
const failuresMost = 3;

/** Tries the moments of a script; throws with every way to break the promise that it finds. */
export async function enumerate(script: Script, effort: Effort): Promise<Tried> {
  const enumeration = new Enumeration(script, effort);
  for (const [index, moment] of script.moments.entries()) await enumeration.at(moment, index);
  enumeration.throwFailures();
  return { moments: script.moments.length, ...enumeration.counts };
}

class Enumeration {
  readonly #script: Script;
  readonly #effort: Effort;
  readonly #random: SeededRandom;
  readonly #recovered = new Map<string, number>();
  readonly #failures: string[] = [];
  readonly counts = { disks: 0, again: 0 };

  constructor(script: Script, effort: Effort) {
    this.#script = script;
    this.#effort = effort;
    this.#random = new SeededRandom(effort.seed);
  }

  async at(moment: Moment, index: number): Promise<void> {
    const { statesMax } = this.#effort;
    const seed = this.#random.below(2 ** 32);
    for (const state of crashStates(moment.point, { statesMax, seed })) {
      if (this.#failures.length >= failuresMost) return;
      const where = `moment ${index}, before ${callOf(moment)}: ${state.what}`;
      try {
        await this.#try(moment, state);
      } catch (error) {
        const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.#failures.push(`${where}\n${why}`);
      }
    }
  }

  throwFailures(): void {
    if (this.#failures.length === 0) return;
    const { seed, statesMax } = this.#effort;
    const again = `TIDEMARK_CRASH_SEED=${seed} TIDEMARK_CRASH_STATES=${statesMax} npx vitest run test/crash`;
    throw new Error(`${this.#failures.join('\n\n')}\n\nto repeat: ${again}`);
  }

  async #try(moment: Moment, { disk }: CrashState): Promise<void> {
    const known = this.#recovered.get(disk.digest);
    if (known !== undefined) {
      checkRange(known, moment);
      return;
    }
    const turn = this.counts.disks % thoroughEvery;
    const isThorough = turn === 0;
    // Where files go, what is missing may be seen by nobody but who looks at everything.
    const isTaking = moment.call?.call === 'unlink' && moment.call.path.endsWith('.wal');
    const isVerified = isThorough || isTaking || turn === thoroughEvery / 2;
    this.counts.disks++;
    const fs = this.#script.fs.restart(disk);
    await moment.inspect?.(this.#script.fs.restart(disk));
    const child = this.#childOf(moment, fs);
    child.record();
    await child.open(this.#script.options);
    const { lsn } = child.engine.recovery;
    checkRange(lsn, moment);
    checkShown(child, moment.expected[lsn]!);
    this.#recovered.set(disk.digest, lsn);
    await child.commits(isVerified ? 2 : 1);
    if (isThorough) await goOn(child);
    child.note();
    for (let n = 0; n < crashesAgain; n++) await this.#again(child);
    if (!isVerified) return;
    await child.close();
    await verify(child);
  }

  /** A second crash: at some moment of the recovery, or of the work behind it. */
  async #again({ moments, options }: Script): Promise<void> {
    const moment = this.#random.pick(moments);
    const seed = this.#random.below(2 ** 32);
    const states = crashStates(moment.point, { statesMax: 6, seed });
    const { disk, what } = this.#random.pick(states);
    if (this.#recovered.has(disk.digest)) return;
    this.counts.disks++;
    this.counts.again++;
    const child = this.#childOf(moment, this.#script.fs.restart(disk));
    try {
      await child.open(options);
      const { lsn } = child.engine.recovery;
      checkRange(lsn, moment);
      checkShown(child, moment.expected[lsn]!);
      await child.commit();
    } catch (error) {
      const where = `after a second crash before ${callOf(moment)}: ${what}`;
      throw new Error(where, { cause: error });
    }
  }

  #childOf(moment: Moment, fs: SimulatedFileSystem): Script {
    const child = new Script(fs, moment.expected, 100 + this.counts.disks * 10);
    child.acknowledged = moment.acknowledged;
    child.backTo = moment.backTo;
    return child;
  }
}

/** What an engine does after a recovery. */
async function goOn(script: Script): Promise<void> {
  await script.checkpoint();
  await script.commit(300);
  await script.engine.collect();
  await script.close();
  const last = script.expected.length - 1;
  await script.open();
  if (script.engine.recovery.lsn !== last) {
    throw new Error(
      `${script.engine.recovery.lsn} of ${last} commits are there after a clean close`,
    );
  }
  checkShown(script, script.expected[last]!);
}

async function verify({ fs, clock }: Script): Promise<void> {
  const on = { fs, clock, random: new SeededRandom(1), threads: false };
  const { faults } = await verifyStoreWith({ dir: '/store' }, on);
  if (faults.length > 0) {
    throw new Error(`verify found ${faults.map(({ path, what }) => `${path}: ${what}`).join()}`);
  }
}

function checkRange(lsn: number, { acknowledged, sealed, backTo }: Moment): void {
  if (lsn === backTo) return;
  if (lsn < acknowledged) throw new Error(`LSN ${acknowledged} was acknowledged, ${lsn} is there`);
  if (lsn > sealed) throw new Error(`LSN ${sealed} was the last, ${lsn} is there`);
}

function checkShown(script: Script, expected: string): void {
  const found = shown(script.engine);
  if (found === expected) return;
  throw new Error(`the state is ${found}\n and should be ${expected}`);
}

function callOf({ call }: Moment): string {
  if (!call) return 'the end';
  const { position, bytes } = call;
  const range = bytes === undefined ? '' : ` ${position ?? 0}+${bytes}`;
  return `${call.call} ${call.path}${range}`;
}
