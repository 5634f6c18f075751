/*
 * Publishing checkpoint records, one at a time, for checkpoints and merges alike (C4): what a record
 * names is durable before it is put; a failed attempt's id and files are never used again (C3).
 * Once the log has failed nothing is published (L11), and a record of another writer stops this one
 * for good.
 */
import { ClosedError, TidemarkError } from '../errors.ts';
import type { Image } from '../snapshot/image.ts';
import type {
  CheckpointRecord,
  CheckpointTrigger,
  MergeNote,
  WrittenTotals,
} from './checkpoint-record.ts';
import { snapshotName } from './checkpoint-record.ts';
import type { CheckpointerInput, CheckpointRequest } from './checkpointer-input.ts';

/** A snapshot that a worker built and that has no name yet. */
export interface BuiltSnapshot {
  /** Given back when it is not published. */
  readonly image: Pick<Image, 'release'>;
  readonly sha256: string;
  readonly stagedPath: string;
}

/** An operator that was lost is missing until it has a state again. */
function stillMissing(
  newest: CheckpointRecord | undefined,
  { tables }: Pick<RecordParts, 'tables'>,
): Pick<CheckpointRecord, 'missing'> {
  const missing = (newest?.missing ?? []).filter((name) =>
    tables.every(({ operator }) => operator !== name),
  );
  return missing.length > 0 ? { missing } : {};
}

/** What differs from record to record. */
export interface RecordParts extends Pick<
  CheckpointRecord,
  'id' | 'kind' | 'lsn' | 'timestamp' | 'position' | 'chain' | 'tables' | 'blobs'
> {
  readonly logBytes: number;
  readonly trigger: CheckpointTrigger;
  /** Bytes of snapshots that were written for it. */
  readonly checkpointBytes: number;
  readonly merge?: MergeNote;
}

const nothingWritten: WrittenTotals = {
  logBytes: 0,
  checkpointBytes: 0,
  mergeBytes: 0,
  baseLogBytes: 0,
};

export class Publisher {
  readonly #in: CheckpointerInput;
  #newest: CheckpointRecord | undefined;
  #publishing: Promise<unknown> = Promise.resolve();
  #staged = 0;
  /** Another writer has published: nothing of this one counts any more. */
  #fenced: TidemarkError | undefined;

  constructor(input: CheckpointerInput) {
    this.#in = input;
    this.#newest = input.newest;
  }

  get newest(): CheckpointRecord | undefined {
    return this.#newest;
  }

  /** Written along the ancestry, up to the newest record. */
  get totals(): WrittenTotals {
    return this.#newest?.totals ?? nothingWritten;
  }

  /** A path that no other attempt of this opening writes to. */
  stagedPath(label: string): string {
    return this.#in.transfer.stagedPath(`${label}-${++this.#staged}`);
  }

  assertMayPublish(): void {
    if (this.#fenced) throw this.#fenced;
    const { failure } = this.#in.log;
    if (failure === undefined) return;
    throw new ClosedError(
      'POISONED',
      'the engine stopped after an error in writing; open it again to go on',
      failure,
    );
  }

  record(parts: RecordParts, request: CheckpointRequest): CheckpointRecord {
    const { storeId, timeline, epoch, compression, keyGroups, clock, meter, policy, retention } =
      this.#in;
    const { checkpointBytes, merge, ...rest } = parts;
    const { totals } = this;
    const logBytes = totals.logBytes + parts.logBytes;
    const isNewBase = parts.chain[0]?.name !== this.#newest?.chain[0]?.name;
    return {
      ...rest,
      storeId,
      timeline,
      epoch,
      parent: this.#newest?.id ?? 0,
      fromTimestamp: this.#newest?.timestamp ?? 0,
      createdAt: clock.nowMicros(),
      totals: {
        logBytes,
        checkpointBytes: totals.checkpointBytes + checkpointBytes,
        mergeBytes: totals.mergeBytes + (merge?.outputBytes ?? 0),
        baseLogBytes: isNewBase ? logBytes : totals.baseLogBytes,
      },
      rates: meter.measured,
      policy,
      merge,
      retention,
      compression,
      keyGroups,
      savepoint: request.savepoint,
      metadata: request.metadata,
      ...(this.#newest?.origin && { origin: this.#newest.origin }),
      ...stillMissing(this.#newest, parts),
    };
  }

  /** Puts the record: from then on the checkpoint exists. */
  async put(record: CheckpointRecord): Promise<void> {
    this.assertMayPublish();
    this.#in.soundness.assertSound(record.chain);
    try {
      await this.#in.checkpoints.publish(record);
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'FENCED') this.#fenced = error;
      throw error;
    }
    this.#newest = record;
  }

  /** Publishes what was built under an id of its own; when that fails nothing of it is kept. */
  publish<T>(built: BuiltSnapshot, act: (id: number) => Promise<T>): Promise<T> {
    const { checkpoints, transfer } = this.#in;
    return this.exclusively(async () => {
      const id = checkpoints.nextId();
      try {
        this.assertMayPublish();
        return await act(id);
      } catch (error) {
        built.image.release();
        await this.#removeUnnamed(id, built.sha256);
        // What cannot be removed now is a staged file: the next opening removes those.
        await transfer.discard(built.stagedPath).catch(() => {});
        throw error;
      }
    });
  }

  /** One publication at a time: records follow each other. */
  exclusively<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#publishing.then(act);
    this.#publishing = result.catch(() => {});
    return result;
  }

  /** Resolves when nothing is being published. */
  async settled(): Promise<void> {
    await this.#publishing;
  }

  /**
   * Removes the snapshot of an attempt whose record is certainly not there, so that retries do not
   * fill the disk. Elsewhere than on this machine a put that failed may still arrive: it stays.
   */
  async #removeUnnamed(id: number, sha256: string): Promise<void> {
    const { checkpoints, transfer, log } = this.#in;
    if (!transfer.isLocal || log.failure !== undefined) return;
    // What cannot be looked up or removed now, the next opening looks at again.
    await checkpoints.removeUnnamed(id, snapshotName(sha256, id)).catch(() => {});
  }
}
