/*
 * Checkpoints that nobody asked for: when enough was committed, or enough time has gone by since.
 * None is begun while one runs. After a failure the next waits, twice as long each time, up to a
 * minute; checkpoints that somebody asks for do not wait. Never throws into a commit.
 */
import { budgetLogBytes } from '../checkpoint/chain-policy.ts';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import { plainRequest } from '../checkpoint/checkpointer-input.ts';
import {
  dueTrigger,
  type CheckpointTriggers,
  type SinceCheckpoint,
} from '../checkpoint/checkpoint-triggers.ts';
import type { ChainPolicy, CheckpointTrigger } from '../checkpoint/record-notes.ts';
import type { RestoreMeter } from '../checkpoint/restore-estimate.ts';
import { TidemarkError } from '../errors.ts';
import type { Clock, Timer } from '../std/clock.ts';
import type { MemtablePressure } from './memtable-pressure.ts';

export interface AutomaticCheckpointsInput {
  /** Undefined: nothing is taken by itself. */
  readonly triggers: CheckpointTriggers | undefined;
  readonly checkpointer: Checkpointer;
  readonly pressure: MemtablePressure;
  readonly policy: ChainPolicy;
  readonly meter: RestoreMeter;
  readonly clock: Clock;
  /** Bytes of the chain's snapshots. */
  readonly chainBytes: () => number;
  /** Reports a checkpoint that failed. */
  readonly fail: (error: unknown) => void;
}

const BACK_OFF_FIRST_MS = 1000;
const BACK_OFF_MOST_MS = 60_000;

export class AutomaticCheckpoints {
  readonly #in: AutomaticCheckpointsInput;
  #timer: Timer | undefined;
  #wakeAtMs = 0;
  #running = false;
  #failures = 0;
  #notBeforeMs = 0;
  #released = false;

  constructor(input: AutomaticCheckpointsInput) {
    this.#in = input;
  }

  /** Milliseconds until a failed checkpoint is tried again; 0 when nothing is waited for. */
  get backOffMs(): number {
    if (this.#notBeforeMs === 0) return 0;
    return Math.max(0, this.#notBeforeMs - this.#in.clock.monotonicMs());
  }

  /** Looks whether a checkpoint is due, after a commit; bounds of time are the timer's. */
  committed(): void {
    const { triggers, checkpointer } = this.#in;
    if (triggers === undefined || this.#released || this.#running) return;
    const needsTimer = triggers.intervalMs !== undefined && this.#timer === undefined;
    if (needsTimer || this.#due(checkpointer.sinceAt(undefined)) !== undefined) this.#check();
  }

  /** Nothing is begun any more. */
  release(): void {
    this.#released = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #check(): void {
    const { triggers, checkpointer } = this.#in;
    if (triggers === undefined || this.#released || this.#running) return;
    if (this.backOffMs > 0) {
      this.#wakeIn(this.backOffMs);
      return;
    }
    const { since } = checkpointer;
    const due = this.#due(since);
    if (due !== undefined && !checkpointer.busy) this.#start(due);
    // One that somebody asked for is running; no commit may come to look again.
    else if (due !== undefined) this.#wakeIn(BACK_OFF_FIRST_MS);
    else if (triggers.intervalMs !== undefined && since.commits > 0) {
      this.#wakeIn(Math.max(BACK_OFF_FIRST_MS, triggers.intervalMs - since.milliseconds));
    }
  }

  #due(since: SinceCheckpoint): CheckpointTrigger | undefined {
    const { triggers, checkpointer, policy, meter, chainBytes } = this.#in;
    if (triggers === undefined) return undefined;
    if (policy.restoreSecondsMax === undefined && policy.restoreBytesMax === undefined) {
      return dueTrigger(since, triggers, Number.POSITIVE_INFINITY);
    }
    // The log goes on growing while the checkpoint is made, and a crash then replays all of it.
    const budgetBytes =
      budgetLogBytes(chainBytes(), meter.rates, policy) / (1 + checkpointer.growth);
    return dueTrigger(since, triggers, budgetBytes);
  }

  #start(trigger: CheckpointTrigger): void {
    this.#running = true;
    this.#in.pressure.checkpoint({ ...plainRequest, trigger }).then(
      () => this.#ended(undefined),
      (error: unknown) => this.#ended(error),
    );
  }

  #ended(error: unknown): void {
    const { clock, fail } = this.#in;
    this.#running = false;
    if (error === undefined) {
      this.#failures = 0;
      this.#notBeforeMs = 0;
    } else if (!this.#released) {
      const waitMs = Math.min(BACK_OFF_MOST_MS, BACK_OFF_FIRST_MS * 2 ** this.#failures);
      this.#failures++;
      this.#notBeforeMs = clock.monotonicMs() + waitMs;
      fail(error);
      // Another writer has published: nothing of this one will count any more.
      if (error instanceof TidemarkError && error.code === 'FENCED') this.release();
    }
    this.#check();
  }

  #wakeIn(delayMs: number): void {
    const { clock } = this.#in;
    const atMs = clock.monotonicMs() + delayMs;
    // Commits ask again and again for the same moment, but for rounding.
    if (this.#timer && this.#wakeAtMs <= atMs + 1) return;
    this.#timer?.cancel();
    this.#wakeAtMs = atMs;
    this.#timer = clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#check();
    });
  }
}
