/*
 * Backpressure by the bytes that only memtables hold: at half the bound a checkpoint starts by
 * itself, past it the promises of commits wait, past twice it commits are refused before sealing.
 *
 * Nobody waits for ever: a commit waits only while a checkpoint is under way. One that fails lets
 * the waiting go, and is tried again once commits would wait or be refused.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { frozenMax, type Checkpointer } from '../checkpoint/checkpointer.ts';
import { plainRequest, type CheckpointRequest } from '../checkpoint/checkpointer-input.ts';
import { StorageError } from '../errors.ts';

export interface MemtablePressureInput {
  readonly checkpointer: Checkpointer;
  readonly bytesMax: number;
  /** Whether checkpoints are started by themselves. */
  readonly automatic: boolean;
  /** Reports a checkpoint in the background that failed. */
  readonly fail: (error: unknown) => void;
}

/** A commit whose level is reached. */
export interface Acknowledged {
  acknowledged(): void;
}

export class MemtablePressure {
  readonly #in: MemtablePressureInput;
  #waiters: Acknowledged[] = [];
  #automatic = false;
  /** Nobody is held back any more. */
  #released = false;

  constructor(input: MemtablePressureInput) {
    this.#in = input;
  }

  /** Commits wait for a checkpoint. */
  get waiting(): boolean {
    return this.#waiters.length > 0;
  }

  /** Throws OVERLOADED past twice the bound. */
  refuseOverload(): void {
    const { checkpointer, bytesMax } = this.#in;
    const { memtableBytes } = checkpointer;
    if (memtableBytes <= 2 * bytesMax) return;
    this.checkpointIfLarge();
    throw new StorageError(
      'OVERLOADED',
      'commit was not taken, memtables are full: wait for a checkpoint, then try again',
      { memtableBytes, bytesMax },
    );
  }

  /** Resolves a commit once memtables are within their bound; in order (within one level). */
  acknowledge(commit: Acknowledged): void {
    if (this.#released || (!this.waiting && !this.#mustWait())) commit.acknowledged();
    else this.#waiters.push(commit);
  }

  /** Starts a checkpoint when half the bound is reached. */
  checkpointIfLarge(): void {
    const { checkpointer, bytesMax, automatic, fail } = this.#in;
    if (!automatic || this.#automatic || this.#released) return;
    if (checkpointer.busy && checkpointer.frozenCount >= frozenMax) return;
    // What an earlier attempt left frozen is tried again only when it begins to hold commits up.
    const left = !checkpointer.busy && checkpointer.memtableBytes > bytesMax;
    if (checkpointer.activeBytes <= bytesMax / 2 && !left) return;
    this.#automatic = true;
    checkpointer.checkpoint({ ...plainRequest, trigger: 'memtable' }).then(
      () => this.#endAutomatic(true),
      (error: unknown) => {
        fail(error);
        this.#endAutomatic(false);
      },
    );
  }

  /** Runs a checkpoint that somebody asked for. */
  async checkpoint(request: CheckpointRequest): Promise<CheckpointRecord> {
    let done = false;
    try {
      const record = await this.#in.checkpointer.checkpoint(request);
      done = true;
      return record;
    } finally {
      this.#ended(done);
    }
  }

  /** Takes what is frozen for a snapshot in memory; it may need a checkpoint first. */
  async capture<T>(take: () => T): Promise<T> {
    let done = false;
    try {
      const taken = await this.#in.checkpointer.capture(take);
      done = true;
      return taken;
    } finally {
      this.#ended(done);
    }
  }

  /** Lets everybody go on, now and later: the engine closes, or has stopped. */
  release(): void {
    this.#released = true;
    this.#wake();
  }

  #mustWait(): boolean {
    const { checkpointer, bytesMax } = this.#in;
    return checkpointer.busy && checkpointer.memtableBytes > bytesMax;
  }

  #endAutomatic(done: boolean): void {
    this.#automatic = false;
    this.#ended(done);
  }

  /** Those who wait go on when there is room, or when nothing is under way that makes some. */
  #ended(done: boolean): void {
    const { checkpointer, bytesMax } = this.#in;
    if (done && checkpointer.memtableBytes > bytesMax) this.checkpointIfLarge();
    if (!this.#mustWait()) this.#wake();
  }

  #wake(): void {
    for (const commit of this.#waiters.splice(0)) commit.acknowledged();
  }
}
