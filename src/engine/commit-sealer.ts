/*
 * The hot path: makes one record of definitions, positions, holders and the open transaction, seals
 * it in the log, and only then makes memtables, positions and timestamps those of the commit. What
 * is refused is refused before anything changed; after sealing nothing may throw. The engine calls.
 */
import { CommitEncoder } from '../state/commit-encoder.ts';
import { holderOperator, Operator } from '../state/operator.ts';
import type { CommitMoment } from '../state/transaction.ts';
import { checkEventTime, checkKnown } from '../state/write-options.ts';
import { resolveDurability } from '../wal/log-options.ts';
import type { Waiter } from '../wal/pending-group.ts';
import type { AutomaticCheckpoints } from './automatic-checkpoints.ts';
import type { Commit, CommitOptions } from './commit-options.ts';
import { encodeDefinitions, outcomeUnknown, type EncodedCommit } from './encoded-commit.ts';
import { encodingCommit, type EngineLife } from './engine-life.ts';
import type { EngineParts } from './engine-parts.ts';
import type { MemtablePressure } from './memtable-pressure.ts';
import { StateHolders, type StateHolder } from './state-holders.ts';

/** What a changed entry costs in a memtable beside its bytes, about: cell, slot and bucket. */
const entryOverheadBytes = 96;

const commitOptionNames = ['positions', 'metadata', 'eventTime', 'durability'];

/** Of a commit that was given none. */
export const noOptions: CommitOptions = {};

/** What sealing works with. */
export interface CommitSealerInput
  extends
    Pick<EngineParts, 'space' | 'writer' | 'checkpointer' | 'positions'>,
    Pick<EngineParts, 'options' | 'recording' | 'watch'> {
  readonly life: EngineLife;
  readonly pressure: MemtablePressure;
  readonly automatic: AutomaticCheckpoints;
}

export class CommitSealer {
  readonly #in: CommitSealerInput;
  readonly #encoder: CommitEncoder;
  #holders: StateHolders | undefined;

  constructor(input: CommitSealerInput) {
    this.#in = input;
    this.#encoder = new CommitEncoder(input.options.log.commitBytesMax);
  }

  /** Asks a holder for its bytes at each commit from now on; gives it its state if there is one. */
  register(holder: StateHolder): void {
    this.#holders ??= new StateHolders(new Operator(this.#in.space, holderOperator));
    this.#holders.register(holder);
  }

  /** Encodes and seals; throws before anything changed, or settles the promise later. */
  seal(
    options: CommitOptions,
    resolve: (commit: Commit) => void,
    reject: (error: Error) => void,
  ): void {
    const { space, writer, checkpointer, life, pressure, options: engine } = this.#in;
    life.assertWritable();
    if (options !== noOptions) checkKnown(options, commitOptionNames);
    const level = resolveDurability(options.durability, engine.durability);
    const eventTime = checkEventTime(options.eventTime);
    pressure.refuseOverload();
    const holdersSealed = this.#holders?.collect((serialize) => life.whileEncoding(serialize));
    const lsn = writer.sealedLsn + 1;
    const timestamp = space.nextTimestamp();
    const moment = { lsn, timestamp, eventTime };
    const { record, entryCount, definitions, positionsSealed } = this.#encode(options, moment);
    const waiter = new CommitWaiter({ lsn, timestamp }, pressure, resolve, reject);
    writer.seal([record], level, waiter);
    // Sealed: from here on nothing may throw.
    space.transaction.committed(moment);
    space.lastTimestamp = timestamp;
    space.definitionsLogged(definitions);
    positionsSealed();
    holdersSealed?.();
    this.#in.recording?.commit(lsn, record);
    const { heldBytes } = this.#encoder;
    const memtableBytes = record.length + heldBytes + entryCount * entryOverheadBytes;
    checkpointer.committed(memtableBytes, record.length, entryCount);
    pressure.checkpointIfLarge();
    this.#in.automatic.committed();
    this.#in.watch.buffers(
      checkpointer.memtableBytes / engine.memtableBytesMax,
      writer.undurableBytes / engine.log.undurableBytesMax,
    );
  }

  /** Makes the record of a commit, or throws before anything has changed. */
  #encode(options: CommitOptions, moment: CommitMoment): EncodedCommit {
    const { space, positions, life } = this.#in;
    const encoder = this.#encoder;
    const { metadata } = options;
    const outer = life.enter(encodingCommit);
    try {
      encoder.begin(
        moment.timestamp,
        metadata === undefined ? undefined : space.codec.encode(metadata),
      );
      const definitions = space.unlogged;
      if (definitions.length > 0) encodeDefinitions(encoder, definitions, space.codec);
      const positionsSealed = positions.encode(options.positions, encoder);
      space.transaction.encode(encoder, moment);
      const { entryCount } = encoder;
      return { record: encoder.finish(), entryCount, definitions, positionsSealed };
    } catch (error) {
      encoder.abandon();
      throw error;
    } finally {
      life.leave(outer);
    }
  }
}

/** Settles the promise of one commit: no closures, since there is one for each. */
class CommitWaiter implements Waiter {
  readonly #commit: Commit;
  readonly #pressure: MemtablePressure;
  readonly #resolve: (commit: Commit) => void;
  readonly #reject: (error: Error) => void;

  constructor(
    commit: Commit,
    pressure: MemtablePressure,
    resolve: (commit: Commit) => void,
    reject: (error: Error) => void,
  ) {
    this.#commit = commit;
    this.#pressure = pressure;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  resolve(): void {
    this.#pressure.acknowledge(this);
  }

  /** Memtables have room. */
  acknowledged(): void {
    this.#resolve(this.#commit);
  }

  reject(cause: unknown): void {
    this.#reject(outcomeUnknown(this.#commit, cause));
  }
}
