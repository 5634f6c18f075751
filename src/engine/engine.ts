/*
 * The engine: one open transaction over all operators, commits that seal at the call, checkpoints,
 * events. Opening is in open-engine.ts, the path of a commit in commit-sealer.ts.
 */
import type { ListedCheckpoint } from '../checkpoint/checkpoint-store.ts';
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { plainRequest } from '../checkpoint/checkpointer-input.ts';
import type { Key } from '../codec/key.ts';
import { InvalidArgumentError } from '../errors.ts';
import type { HistoryVersion } from '../recovery/history.ts';
import type { TimelineList } from '../recovery/list-timelines.ts';
import type { ChangedCommit, ChangeOptions } from '../recovery/change-feed.ts';
import type { StateChange, StateNames } from '../recovery/diff.ts';
import type { StoreRestorePlan } from '../recovery/plan-store.ts';
import type { RecoveryReport } from '../recovery/recover.ts';
import type { ForkReport } from '../recovery/fork-run.ts';
import type { Target } from '../recovery/target.ts';
import type { CheckOptions } from '../recovery/verify-options.ts';
import type { StoreVerification } from '../recovery/verify.ts';
import { prefetch, type PrefetchRequest } from './prefetch.ts';
import type { Operator } from '../state/operator.ts';
import { AutomaticCheckpoints } from './automatic-checkpoints.ts';
import { CommitSealer, noOptions } from './commit-sealer.ts';
import type { Commit, CommitOptions, Synchronous } from './commit-options.ts';
import { checkpointRequest, type CheckpointOptions } from './checkpoint-request.ts';
import type { EngineParts } from './engine-parts.ts';
import type { EngineLife } from './engine-life.ts';
import { engineStats, type EngineStats } from './engine-stats.ts';
import type { EngineEventName, EngineListener } from './events.ts';
import { MemtablePressure } from './memtable-pressure.ts';
import { mergeCall, mergeOutcome, type MergeCallOptions, type MergeOutcome } from './merge-call.ts';
import { Operators } from './operators.ts';
import type { Positions } from './positions.ts';
import { dryRunOf, type CollectOptions, type CollectionReport } from './retention.ts';
import { checkSavepointFree, existingSavepoint } from './savepoints.ts';
import type { CopyOptions } from './restore-store.ts';
import type { StateHolder } from './state-holders.ts';
import { callSynchronously } from './synchronous-call.ts';
import type { ScrubCallOptions } from './scrub-options.ts';
import type { ScrubReport } from './verifier.ts';
import type { View } from './view.ts';

export type { Commit, CommitOptions, Synchronous } from './commit-options.ts';
export type { CheckpointOptions } from './checkpoint-request.ts';
export type { EngineStats } from './engine-stats.ts';

/**
 * A durable state engine over one directory. Made by `openEngine`.
 *
 * Changes go into one open transaction, over all operators, visible at once in this process; a
 * commit makes them, and the positions of the sources, durable together.
 */
export class Engine {
  readonly #parts: EngineParts;
  readonly #life: EngineLife;
  readonly #sealer: CommitSealer;
  readonly #operators: Operators;
  readonly #pressure: MemtablePressure;
  readonly #automatic: AutomaticCheckpoints;
  #inTransact = false;
  #closing: Promise<void> | undefined;

  /** @internal Made by `openEngine`. */
  constructor(parts: EngineParts, life: EngineLife) {
    this.#parts = parts;
    this.#life = life;
    this.#operators = new Operators(parts.space);
    this.#pressure = new MemtablePressure({
      checkpointer: parts.checkpointer,
      bytesMax: parts.options.memtableBytesMax,
      automatic: parts.options.checkpointing !== undefined,
      fail: (error) => parts.failures.report(error),
    });
    const { checkpointer, meter, clock, options, images } = parts;
    this.#automatic = new AutomaticCheckpoints({
      checkpointer,
      meter,
      clock,
      pressure: this.#pressure,
      triggers: options.checkpointing,
      policy: options.chain.policy,
      chainBytes: () => images.bytes,
      fail: (error) => parts.failures.report(error),
    });
    const [pressure, automatic] = [this.#pressure, this.#automatic];
    this.#sealer = new CommitSealer({ ...parts, life, pressure, automatic });
    parts.writer.onFailure((error) => this.#poison(error));
    parts.writer.onDurable(() => parts.travel.wake());
  }

  /** What the opening found and did. */
  get recovery(): RecoveryReport {
    return this.#parts.recovery;
  }

  /** Positions of the sources as of the last commit. */
  get positions(): Positions {
    return this.#parts.positions.current;
  }

  /** Greatest LSN that is known to survive a power loss. */
  get durableLsn(): number {
    return this.#parts.writer.durableLsn;
  }

  /** Greatest LSN that was given to a commit. */
  get sealedLsn(): number {
    return this.#parts.writer.sealedLsn;
  }

  /**
   * The operator of a name.
   * @throws InvalidArgumentError INVALID_NAME
   * @throws CorruptionError OPERATOR_MISSING for one that an opening with `optimistic` left out
   */
  operator(name: string): Operator {
    this.#life.assertOpen();
    this.#parts.missing.assertThere(name);
    return this.#operators.get(name);
  }

  /** Operators that were left out because they are damaged, and have not been started anew. */
  get missing(): readonly string[] {
    return this.#parts.missing.names;
  }

  /**
   * Says that an operator which is missing begins again without anything. With the first state that
   * is committed of it it is no longer missing; until then every opening finds it missing again.
   * @throws NotFoundError STATE_NOT_FOUND when it is not missing
   */
  startAnew(operator: string): void {
    this.#life.assertWritable();
    this.#parts.missing.startAnew(operator);
  }

  /**
   * Registers code that serializes itself; it is given its state at once if the store has one, and
   * is asked for its bytes at each commit.
   * @throws IncompatibleError SCHEMA_CHANGED when it cannot read what is stored
   */
  register(holder: StateHolder): void {
    this.#life.assertOpen();
    this.#sealer.register(holder);
  }

  /**
   * Seals the open transaction, at the call, and resolves when its level is reached: by default when
   * it is durable. Commits may be pipelined; within a level they resolve in LSN order.
   *
   * @throws InvalidArgumentError INVALID_VALUE, RECORD_TOO_LARGE, COMMIT_TOO_LARGE: not sealed, the
   *   transaction is still open
   * @throws StorageError NO_SPACE, IO, OVERLOADED: not sealed, the transaction is still open
   * @throws OutcomeUnknownError OUTCOME_UNKNOWN: sealed, then a write failed; open again, read
   *   `positions`, continue from there
   * @throws ClosedError CLOSED, POISONED
   */
  commit(options: CommitOptions = noOptions): Promise<Commit> {
    this.#checkCallable('commit');
    return new Promise((resolve, reject) => {
      this.#sealer.seal(options, resolve, reject);
    });
  }

  /**
   * Runs a synchronous function and commits exactly its changes; undoes them when it throws, or when
   * the commit is refused. Inside it, `commit`, `transact` and `rollback` throw INVALID_CALL.
   *
   * @throws InvalidArgumentError TRANSACTION_OPEN when there are changes already, INVALID_CALL when
   *   the function returns a promise; and what `commit` throws
   */
  transact<R>(change: () => Synchronous<R>, options: CommitOptions = noOptions): Promise<Commit> {
    this.#checkCallable('transact');
    return new Promise((resolve, reject) => {
      this.#life.assertWritable();
      if (typeof change !== 'function') {
        throw new InvalidArgumentError('INVALID_CALL', 'transact takes a function');
      }
      if (this.#parts.space.transaction.size > 0) {
        throw new InvalidArgumentError(
          'TRANSACTION_OPEN',
          'there are changes that are not committed: commit or roll back first',
        );
      }
      try {
        this.#runSynchronously(change);
        this.#sealer.seal(options, resolve, reject);
      } catch (error) {
        this.#parts.space.transaction.rollback();
        throw error;
      }
    });
  }

  /** Undoes every change since the last commit. */
  rollback(): void {
    this.#checkCallable('rollback');
    this.#life.assertOpen();
    this.#parts.space.transaction.rollback();
  }

  /**
   * Checkpoints the state as of the last commit; resolves with its record when it is durable.
   * Changes of the open transaction stay open.
   *
   * @throws StorageError NO_SPACE, IO: the old chain stays; CHECKPOINT_FAILED: an earlier failure in
   *   the background that no listener heard
   * @throws InvalidArgumentError VALUE_MUTATED with `checks`
   * @throws ConflictError SAVEPOINT_EXISTS
   */
  async checkpoint(options: CheckpointOptions = {}): Promise<CheckpointRecord> {
    this.#life.assertWritable();
    const request = checkpointRequest(options);
    this.#parts.failures.throwUnheard();
    const { savepoint } = request;
    if (savepoint === undefined) return this.#pressure.checkpoint(request);
    // The state is taken at the call; the name is looked up before it is published.
    const check = (): Promise<void> => checkSavepointFree(this.#parts, savepoint);
    return this.#pressure.checkpoint({ ...request, check });
  }

  /**
   * Merges the chain now, as the strategy chooses, whatever the policy would wait for; resolves with
   * the record when it is durable, or says why there is nothing to merge.
   *
   * @throws StorageError NO_SPACE, IO; AbortedError ABORTED, TIMEOUT: the old chain stays
   */
  async merge(options: MergeCallOptions = {}): Promise<MergeOutcome> {
    this.#life.assertWritable();
    const { policy } = this.#parts.options.chain;
    const request = mergeCall(options, policy.strategy);
    const { compactor } = this.#parts.checkpointer;
    if (request.dryRun) return mergeOutcome(compactor.plan(true, request.strategy));
    return mergeOutcome(await compactor.merge(request.strategy));
  }

  /**
   * Drops a savepoint: nothing pins its checkpoint any longer.
   * @throws NotFoundError SAVEPOINT_NOT_FOUND
   */
  async dropSavepoint(name: string): Promise<void> {
    this.#life.assertWritable();
    const found = await existingSavepoint(this.#parts, name);
    this.#life.assertWritable();
    await this.#parts.checkpointer.drop(found.id);
  }

  /**
   * Deletes now what retention does not keep: checkpoints, snapshots, segments of the log. Resolves
   * with the plan, which says of each object why it stays or goes, when what went is gone for good.
   * It runs by itself after each checkpoint and every `cleanupMs`.
   *
   * @throws StorageError IO: the rest goes with the next collection
   * @throws ClosedError CLOSED, POISONED
   */
  async collect(options: CollectOptions = {}): Promise<CollectionReport> {
    this.#life.assertWritable();
    return this.#parts.retention.collect(dryRunOf(options));
  }

  /**
   * Says what a restore to a moment would do and cost, without doing it. What was sealed at the call
   * is made durable, and counts.
   *
   * @throws InvalidArgumentError INVALID_OPTION
   * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND
   */
  async plan(target: Target = 'latest'): Promise<StoreRestorePlan> {
    this.#life.assertWritable();
    return this.#parts.views.plan(target);
  }

  /**
   * Opens a view of a moment that is kept, beside the live state: 'latest' is the last commit at the
   * call, once it is durable. What the view stands on is kept until it is closed.
   *
   * @example
   * const view = await engine.viewAt({ savepoint: 'before' });
   * console.log(view.operator('words').value('counts').get('tide'));
   * await view.close();
   *
   * @throws InvalidArgumentError INVALID_OPTION
   * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND
   * @throws CorruptionError, StorageError IO; ClosedError CLOSED, POISONED
   */
  async viewAt(target: Target): Promise<View> {
    this.#life.assertWritable();
    return this.#parts.views.viewAt(target);
  }

  /**
   * Opens a view of the state as of the last commit, durable or not, without reading or copying it;
   * changes of the open transaction are not in it. It is the state at the call, unless four
   * memtables are frozen: then it waits for a checkpoint, and is the state as of then.
   *
   * @throws StorageError NO_SPACE, IO from that checkpoint; ClosedError CLOSED, POISONED
   * @throws InvalidArgumentError VALUE_MUTATED with `checks`
   */
  async snapshot(): Promise<View> {
    this.#life.assertWritable();
    return this.#parts.views.snapshot((take) => this.#pressure.capture(take));
  }

  /**
   * Checks what the store holds, as `verifyStore` does, beside the engine's work: damage is returned.
   * @throws InvalidArgumentError INVALID_OPTION; NotFoundError CHECKPOINT_NOT_FOUND
   * @throws AbortedError ABORTED, TIMEOUT; ClosedError CLOSED
   */
  async verify(options: CheckOptions = {}): Promise<StoreVerification> {
    this.#life.assertOpen();
    return this.#parts.verifier.verify(options);
  }

  /**
   * Reads and checks every block and every group now, as the option `scrub` does in the background;
   * at full speed, unless `bytesPerSecond` says otherwise. The event `scrub` tells it too.
   * @throws InvalidArgumentError INVALID_OPTION; AbortedError ABORTED; ClosedError CLOSED
   */
  async scrub(options: ScrubCallOptions = {}): Promise<ScrubReport> {
    this.#life.assertOpen();
    return this.#parts.verifier.scrub(options);
  }

  /**
   * Makes a second store in a new directory that has everything of this one, as {@link fork} does: up to
   * the last commit that was sealed at the call, whatever its level.
   *
   * @throws as {@link fork}; ClosedError CLOSED, POISONED
   */
  async fork(to: string, options: CopyOptions = {}): Promise<ForkReport> {
    this.#life.assertWritable();
    return this.#parts.fork(to, options);
  }

  /** All checkpoint records, oldest first. */
  async checkpoints(): Promise<ListedCheckpoint[]> {
    this.#life.assertOpen();
    return this.#parts.checkpoints.list();
  }

  /** The timelines of the store, as `listTimelines` tells them. */
  timelines(): Promise<TimelineList> {
    this.#life.assertOpen();
    return this.#parts.travel.timelines();
  }

  /**
   * What differs between two moments, as `diffStore` tells it: what has to be done to the state of
   * `from` to get that of `to`. Commits that no level has written yet are in neither.
   *
   * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND, STATE_NOT_FOUND
   */
  diff(from: Target, to: Target = 'latest', only: StateNames = {}): AsyncGenerator<StateChange> {
    this.#life.assertOpen();
    return this.#parts.travel.diff(from, to, only);
  }

  /**
   * Every version of a key that is known, oldest first, as `reader.history` tells it.
   * @throws NotFoundError STATE_NOT_FOUND; InvalidArgumentError INVALID_KEY, INVALID_CALL
   */
  history(operator: string, state: string, key: Key, subKey?: Key): AsyncGenerator<HistoryVersion> {
    this.#life.assertOpen();
    return this.#parts.travel.history({ operator, state, key, subKey });
  }

  /**
   * Commits in order, each once, as soon as they are durable, from `from` on; go on later with `from`
   * one above the last that was handled. What it still has to read is kept by retention. When the
   * engine closes it gives what is durable, then throws CLOSED; an abort ends it quietly.
   * @throws NotFoundError OUT_OF_RETENTION; InvalidArgumentError INVALID_OPTION; ClosedError
   */
  changes(options: ChangeOptions = {}): AsyncGenerator<ChangedCommit> {
    this.#life.assertOpen();
    return this.#parts.travel.changes(options);
  }

  /**
   * Brings what is named into memory before everything else; resolves when it is there. What the
   * store does not have is there already.
   *
   * @example
   * await engine.prefetch({ operator: 'routes', state: 'stats', keys: ['JFK', 'LHR'] });
   *
   * @throws InvalidArgumentError INVALID_OPTION, INVALID_KEY
   * @throws CorruptionError CORRUPT_SNAPSHOT: it is damaged, and made anew; ClosedError CLOSED
   */
  async prefetch(request: PrefetchRequest = {}): Promise<void> {
    this.#life.assertOpen();
    await prefetch(this.#parts, request);
  }

  /** Listens to an event; the function that is returned stops it. */
  on<N extends EngineEventName>(name: N, listener: EngineListener<N>): () => void {
    this.#life.assertOpen();
    return this.#parts.hub.on(name, listener);
  }

  /** Figures of now; after `close`, those of the end. */
  stats(): EngineStats {
    return engineStats(this.#parts, {
      waitingForMemtable: this.#pressure.waiting,
      poisoned: this.#life.poisoned,
      failure: this.#parts.failures.unheard,
      backOffMs: this.#automatic.backOffMs,
    });
  }

  /**
   * Ends the engine: lets running checkpoints and collections end, syncs what was committed at any level, and gives
   * up the directory. Changes that were not committed are gone. Closing twice is fine.
   *
   * @throws StorageError when the last sync failed: commits below level 'disk' may be lost
   */
  async close(): Promise<void> {
    this.#life.assertNotEncoding();
    this.#closing ??= this.#close();
    await this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The log stopped: pending commits have an unknown outcome, and nothing is written any more. */
  #poison(error: unknown): void {
    this.#life.poisoned = error;
    this.#automatic.release();
    this.#parts.failures.report(error);
    this.#pressure.release();
    this.#parts.travel.wake();
  }

  async #close(): Promise<void> {
    const { space } = this.#parts;
    const life = this.#life;
    const poisonedBefore = life.poisoned;
    life.closed = true;
    space.transaction.rollback();
    this.#automatic.release();
    try {
      await this.#parts.verifier.close();
      await this.#parts.views.close();
      await this.#checkpointOnClose();
    } finally {
      await this.#end();
    }
    // Commits of lower levels were acknowledged and are not known to be durable: their last chance
    // to be told is this promise.
    if (poisonedBefore === undefined && life.poisoned !== undefined) throw life.poisoned as Error;
  }

  async #checkpointOnClose(): Promise<void> {
    const { options, checkpointer } = this.#parts;
    if (options.checkpointing?.onClose !== true || this.#life.poisoned !== undefined) return;
    if (checkpointer.logBytes === 0) return;
    await this.#pressure.checkpoint({ ...plainRequest, trigger: 'close' });
  }

  async #end(): Promise<void> {
    const { checkpointer, writer, images, retention, release } = this.#parts;
    this.#pressure.release();
    try {
      await checkpointer.close();
      // After the last checkpoint, whose collection it waits for.
      await retention.close();
      await writer.close();
    } finally {
      await this.#parts.recording?.close();
      await release();
      images.release();
      this.#parts.travel.wake();
    }
  }

  /**
   * Throws into the function that calls, and does not reject: inside `transact` nobody waits for the
   * promise, and the transaction has to fail.
   */
  #checkCallable(what: string): void {
    this.#life.assertNotEncoding();
    if (!this.#inTransact) return;
    throw new InvalidArgumentError('INVALID_CALL', `${what} was called inside transact`);
  }

  #runSynchronously(change: () => unknown): void {
    this.#inTransact = true;
    try {
      callSynchronously(change);
    } finally {
      this.#inTransact = false;
    }
  }
}
