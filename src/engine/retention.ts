/*
 * Collections of an open engine: by itself after each checkpoint and merge, and every `cleanupMs`;
 * and on demand. One at a time. The plan is made in turn with publications, so that nothing is half
 * there; it is carried out beside them, since a later record names only what the newest one names
 * and what it brings itself.
 *
 * A poisoned engine deletes nothing more (L11), nor does one that another writer has fenced. Closing
 * waits for what runs or is due. Until the opening has published a checkpoint of its own, its plans
 * keep what a recovery without the newest found record needs (O5).
 */
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { Inventory } from '../checkpoint/retention/collector-inventory.ts';
import { carryOut, type CollectionTarget } from '../checkpoint/retention/collector.ts';
import type { RetainedRange } from '../checkpoint/retention/retained-range.ts';
import type { StoreInventory } from '../checkpoint/retention/retention-input.ts';
import type { PinSet, RetentionPin } from '../checkpoint/retention/retention-pins.ts';
import { planRetention, type RetentionPlan } from '../checkpoint/retention/retention-plan.ts';
import { TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { Clock, Timer } from '../std/clock.ts';
import type { LogSegments } from '../wal/log-segments.ts';
import { checkKnown } from '../state/write-options.ts';
import { badOption } from '../std/option-checks.ts';
import type { ResolvedRetentionOptions } from './retention-options.ts';

/** What a collection did, or would do. */
export interface CollectionReport {
  /** Nothing was deleted: the plan alone was asked for. */
  readonly dryRun: boolean;
  readonly plan: RetentionPlan;
  readonly deletedObjects: number;
  readonly deletedBytes: number;
}

/** Options of `engine.collect`. */
export interface CollectOptions {
  /** Only works out what would go. @defaultValue false */
  readonly dryRun?: boolean;
}

/** Figures of retention, now. */
export interface RetentionStats {
  readonly collecting: boolean;
  /** Collections that this opening has finished. */
  readonly collections: number;
  /** What they deleted. */
  readonly deletedObjects: number;
  readonly deletedBytes: number;
  /** Readers of this process, and other uses, that keep something. */
  readonly pins: number;
  /** What can be restored, as of the last collection; undefined before the first. */
  readonly retained: RetainedRange | undefined;
}

export interface RetentionInput {
  readonly options: ResolvedRetentionOptions;
  readonly fs: FileSystem;
  readonly logDirectory: string;
  readonly clock: Clock;
  readonly checkpoints: CheckpointStore;
  readonly checkpointer: Pick<Checkpointer, 'inTurn' | 'newest' | 'assertMayPublish'>;
  readonly segments: LogSegments;
  readonly pins: PinSet;
  /** The newest record that the opening found. */
  readonly newestFound: number | undefined;
  /** Names of snapshots that the opening found damaged. */
  readonly damaged: ReadonlySet<string>;
  readonly events: {
    collect(report: CollectionReport): void;
    fail(error: unknown): void;
  };
}

export class Retention {
  readonly #in: RetentionInput;
  readonly #inventory: Inventory;
  readonly #target: CollectionTarget;
  /** Ids up to this one are of earlier openings. */
  readonly #foundIdMax: number;
  /** Ids of this opening whose record was seen: a snapshot of theirs is no unfinished work. */
  #ended: ReadonlySet<number> = new Set();
  #timer: Timer | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #collecting = false;
  #due = false;
  #closing = false;
  #collections = 0;
  #deletedObjects = 0;
  #deletedBytes = 0;
  #retained: RetainedRange | undefined;

  constructor(input: RetentionInput) {
    this.#in = input;
    const { fs, logDirectory, checkpoints, segments } = input;
    this.#foundIdMax = checkpoints.idMax;
    this.#inventory = new Inventory({
      fs,
      logDirectory,
      storeId: checkpoints.storeId,
      list: (prefix) => checkpoints.objects(prefix),
      get: (name) => checkpoints.object(name),
      readRecord: (id) => checkpoints.read(id),
    });
    this.#target = {
      fs,
      logDirectory,
      deleteObject: (name) => checkpoints.remove(name),
      assertMayDelete: () => input.checkpointer.assertMayPublish(),
      forgetBelow: (number) => segments.forgetBelow(number),
    };
    this.#setTimer();
  }

  /** Figures of now; after `close`, those of the end. */
  stats(): RetentionStats {
    return {
      collecting: this.#collecting,
      collections: this.#collections,
      deletedObjects: this.#deletedObjects,
      deletedBytes: this.#deletedBytes,
      pins: this.#in.pins.size,
      retained: this.#retained,
    };
  }

  /** A record was published, or time has gone by: what is not needed any more may go. */
  collectSoon(): void {
    if (this.#due || this.#closing || !this.#in.options.settings) return;
    this.#due = true;
    void this.#enqueue(() => {
      this.#due = false;
      return this.#collect(false);
    }).catch((error: unknown) => {
      // Why it was stopped is told elsewhere.
      if (!isStopped(error)) this.#in.events.fail(error);
    });
  }

  /** Collects now, or only works out what would go. */
  collect(dryRun: boolean): Promise<CollectionReport> {
    return this.#enqueue(() => this.#collect(dryRun));
  }

  /** Runs something while nothing is collected: what it finds and pins is there afterwards. */
  between<T>(act: () => Promise<T>): Promise<T> {
    return this.#enqueue(act);
  }

  /** Lets what runs or is due end: a store that is open only for moments is collected too. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #enqueue<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#running.then(act);
    // The next one starts after this one, whatever becomes of it.
    this.#running = result.catch(() => {});
    return result;
  }

  #setTimer(): void {
    const { clock, options } = this.#in;
    if (options.cleanupMs === undefined) return;
    this.#timer = clock.setTimer(options.cleanupMs, () => {
      if (this.#closing) return;
      this.collectSoon();
      this.#setTimer();
    });
  }

  async #collect(dryRun: boolean): Promise<CollectionReport> {
    this.#in.checkpointer.assertMayPublish();
    this.#collecting = true;
    try {
      const plan = await this.#plan();
      if (dryRun) return { dryRun, plan, deletedObjects: 0, deletedBytes: 0 };
      const counts = await carryOut(plan, this.#target);
      this.#collections++;
      this.#deletedObjects += counts.deletedObjects;
      this.#deletedBytes += counts.deletedBytes;
      this.#retained = plan.retained;
      const report = { dryRun, plan, ...counts };
      this.#in.events.collect(report);
      return report;
    } finally {
      this.#collecting = false;
    }
  }

  #plan(): Promise<RetentionPlan> {
    const { options, clock, pins, checkpointer, newestFound, damaged } = this.#in;
    return checkpointer.inTurn(async () => {
      const inventory = await this.#inventory.take();
      this.#ended = this.#findEnded(inventory);
      const ended = this.#ended;
      return planRetention({
        inventory,
        now: clock.nowMicros(),
        settings: options.settings,
        pins: [...pins.list(), ...this.#ownPin()],
        damaged,
        newestFound: checkpointer.newest?.id === newestFound ? newestFound : undefined,
        unfinished: (id) => id > this.#foundIdMax && !ended.has(id),
      });
    });
  }

  /**
   * The engine goes on from the record that it published last, even where the disk holds newer ones:
   * puts that failed after their record was there.
   */
  #ownPin(): RetentionPin[] {
    const { newest } = this.#in.checkpointer;
    return newest ? [{ recordId: newest.id, reason: 'the engine goes on from it' }] : [];
  }

  /** Of the snapshots there are, the ids whose record is there, or was when it was last looked. */
  #findEnded({ records, snapshots }: StoreInventory): Set<number> {
    const recorded = new Set(records.map(({ id }) => id));
    const ids = snapshots.map(({ id }) => id);
    return new Set(ids.filter((id) => recorded.has(id) || this.#ended.has(id)));
  }
}

export function dryRunOf(options: CollectOptions): boolean {
  checkKnown(options, ['dryRun']);
  const { dryRun = false } = options;
  if (typeof dryRun !== 'boolean') throw badOption('dryRun', 'must be true or false', dryRun);
  return dryRun;
}

function isStopped(error: unknown): boolean {
  return error instanceof TidemarkError && ['POISONED', 'FENCED'].includes(error.code);
}
