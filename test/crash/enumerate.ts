/*
 * Opens every disk that a crash can leave at every moment of a script, or a seeded choice of them
 * where they are many, and holds the engine to its promise: what was acknowledged is there, what was
 * not is there whole or not at all, work goes on, and a second crash, in the middle of that recovery
 * or behind it, changes nothing of this.
 *
 * A disk that has been opened is not opened again: what was found on it has to be enough for each
 * moment that can leave it. Of two disks that differ elsewhere only (a store, and a copy of it that is being
 * made), what is the same is opened once.
 */
import {
  crashStates,
  SeededRandom,
  type CrashState,
  type DiskImage,
} from '../../src/testing/index.ts';
import { digestBelow, type Inspect, type Moment, type Subject } from './subject.ts';

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
export async function enumerate(script: Subject, effort: Effort): Promise<Tried> {
  const enumeration = new Enumeration(script, effort);
  for (const [index, moment] of script.moments.entries()) await enumeration.at(moment, index);
  enumeration.throwFailures();
  return { moments: script.moments.length, ...enumeration.counts };
}

class Enumeration {
  readonly #script: Subject;
  readonly #effort: Effort;
  readonly #random: SeededRandom;
  readonly #recovered = new Map<string, number>();
  readonly #inspected = new Map<Inspect, Set<string>>();
  readonly #failures: string[] = [];
  readonly counts = { disks: 0, again: 0 };

  constructor(script: Subject, effort: Effort) {
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
    const digest = digestBelow(disk, this.#script.directory);
    const known = this.#recovered.get(digest);
    const isInspected = await this.#inspect(moment.inspect, disk);
    if (known !== undefined) {
      checkRange(known, moment);
      if (isInspected) this.counts.disks++;
      return;
    }
    const turn = this.counts.disks % thoroughEvery;
    const isThorough = turn === 0;
    // Where files go, what is missing may be seen by nobody but who looks at everything.
    const isTaking = moment.call?.call === 'unlink' && moment.call.path.endsWith('.wal');
    const isVerified = isThorough || isTaking || turn === thoroughEvery / 2;
    this.counts.disks++;
    const child = this.#after(moment, disk, false);
    child.record();
    const lsn = await child.recover();
    checkRange(lsn, moment);
    this.#recovered.set(digest, lsn);
    await child.commits(isVerified ? 2 : 1);
    if (isThorough) await child.goOn();
    child.note();
    for (let n = 0; n < crashesAgain; n++) await this.#again(child);
    if (isVerified) {
      await child.close();
      await child.verify();
    }
    child.cutPower();
  }

  /** Looks at what else there is, unless that was looked at with the same eyes. */
  async #inspect(inspect: Inspect | undefined, disk: DiskImage): Promise<boolean> {
    if (inspect === undefined) return false;
    const seen = this.#inspected.get(inspect) ?? new Set<string>();
    this.#inspected.set(inspect, seen);
    const digest = digestBelow(disk, inspect.directory);
    if (seen.has(digest)) return false;
    seen.add(digest);
    await inspect.look(this.#script.fs.restart(disk));
    return true;
  }

  /** A second crash: at some moment of the recovery, or of the work behind it. */
  async #again({ moments }: Subject): Promise<void> {
    const moment = this.#random.pick(moments);
    const seed = this.#random.below(2 ** 32);
    const states = crashStates(moment.point, { statesMax: 6, seed });
    const { disk, what } = this.#random.pick(states);
    if (this.#recovered.has(digestBelow(disk, this.#script.directory))) return;
    this.counts.disks++;
    this.counts.again++;
    const child = this.#after(moment, disk, true);
    try {
      checkRange(await child.recover(), moment);
      await child.commits(1);
    } catch (error) {
      const where = `after a second crash before ${callOf(moment)}: ${what}`;
      throw new Error(where, { cause: error });
    }
    child.cutPower();
  }

  #after(moment: Moment, disk: DiskImage, isLast: boolean): Subject {
    const openings = 100 + this.counts.disks * 10;
    return this.#script.after(moment, this.#script.fs.restart(disk), { openings, isLast });
  }
}

function checkRange(lsn: number, { acknowledged, sealed, backTo }: Moment): void {
  if (lsn === backTo) return;
  if (lsn < acknowledged) throw new Error(`LSN ${acknowledged} was acknowledged, ${lsn} is there`);
  if (lsn > sealed) throw new Error(`LSN ${sealed} was the last, ${lsn} is there`);
}

function callOf({ call }: Moment): string {
  if (!call) return 'the end';
  const { position, bytes } = call;
  const range = bytes === undefined ? '' : ` ${position ?? 0}+${bytes}`;
  return `${call.call} ${call.path}${range}`;
}
