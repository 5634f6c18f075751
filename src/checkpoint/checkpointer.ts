/*
 * Checkpoints of an open engine: freeze, delta by a worker from the log, publish, and the image
 * takes the frozen memtable's place; and compaction of the chain beside it.
 *
 * Order (C1, C4): the freeze notes L in its own turn; the worker starts when L is durable and reads
 * exactly the bytes it is given; the snapshot is durable under its name before the record is put;
 * only then the frozen memtable gives way. A failed attempt leaves the old chain, and its id and
 * files are never used again (C3); what it had frozen goes into the next checkpoint.
 */
import { AbortedError, StorageError, type TidemarkError } from '../errors.ts';
import type { HashSeed } from '../codec/hash.ts';
import type { CodecName } from '../codec/compression.ts';
import { Image } from '../snapshot/image.ts';
import type { TableRules } from '../snapshot/run-cursor.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import { fromHex } from '../std/bytes.ts';
import { must } from '../std/assert.ts';
import type { Clock } from '../std/clock.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { LogPosition, LogRange } from '../wal/log-position.ts';
import { ChainImages, type LoadedLink } from './chain-images.ts';
import {
  snapshotName,
  type ChainLink,
  type CheckpointKind,
  type CheckpointRecord,
} from './checkpoint-record.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { SnapshotTransfer } from './snapshot-transfer.ts';

/** Memtables that may be frozen at once. */
export const frozenMax = 4;
/** Snapshots of a chain at which it is compacted. */
export const chainLengthMax = 8;

/** What the log gives to checkpoints. */
export interface CheckpointLog {
  readonly sealedLsn: number;
  /** Ends the group in formation; its position once it is durable. */
  cut(): Promise<LogPosition>;
  ranges(from: LogPosition | undefined, to: LogPosition): LogRange[];
}

export interface CheckpointerInput {
  readonly storeId: string;
  readonly timeline: number;
  readonly epoch: number;
  readonly seed: HashSeed;
  readonly keyGroups: number;
  readonly groupBits: number;
  readonly codec: CodecName;
  readonly clock: Clock;
  readonly space: StateSpace;
  readonly log: CheckpointLog;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  readonly checkpoints: CheckpointStore;
  readonly transfer: SnapshotTransfer;
  readonly newest: CheckpointRecord | undefined;
  readonly images: ChainImages;
  readonly events: CheckpointEvents;
}

/** What is told of finished work. */
export interface CheckpointEvents {
  checkpoint(record: CheckpointRecord): void;
  merge(record: CheckpointRecord): void;
  /** A merge in the background failed. */
  failure(error: unknown): void;
}

/** What a checkpoint is asked to be. */
export interface CheckpointRequest {
  readonly kind: 'auto' | 'delta' | 'base';
  readonly savepoint: string | undefined;
  readonly metadata: unknown;
  /** Throws when the record may not be published. */
  readonly check?: () => Promise<void>;
}

/** What a freeze noted. */
interface Frozen {
  readonly generation: number;
  readonly lsn: number;
  readonly timestamp: number;
  readonly bytes: number;
  readonly position: Promise<LogPosition>;
}

export class Checkpointer {
  readonly #in: CheckpointerInput;
  #newest: CheckpointRecord | undefined;
  #frozen: Frozen[] = [];
  #activeBytes = 0;
  #jobs: Promise<unknown> = Promise.resolve();
  #publishing: Promise<unknown> = Promise.resolve();
  #compaction: Promise<void> | undefined;
  #waiting: (() => void)[] = [];
  #staged = 0;
  #closing = false;

  constructor(input: CheckpointerInput) {
    this.#in = input;
    this.#newest = input.newest;
  }

  get newest(): CheckpointRecord | undefined {
    return this.#newest;
  }

  get frozenCount(): number {
    return this.#frozen.length;
  }

  get compacting(): boolean {
    return this.#compaction !== undefined;
  }

  /** Bytes of changes that only memtables hold. */
  get memtableBytes(): number {
    let bytes = this.#activeBytes;
    for (const frozen of this.#frozen) bytes += frozen.bytes;
    return bytes;
  }

  get activeBytes(): number {
    return this.#activeBytes;
  }

  /** Counts what a commit added to the active memtable. */
  addBytes(bytes: number): void {
    this.#activeBytes += bytes;
  }

  /**
   * Checkpoints the state as it is at the call. With four memtables frozen it waits until one has
   * been retired, and takes the state as it is then.
   */
  async checkpoint(request: CheckpointRequest): Promise<CheckpointRecord> {
    while (this.#frozen.length >= frozenMax) await this.retired();
    const frozen = this.#freeze();
    const job = this.#jobs.then(() => this.#run(frozen, request));
    // The next job starts after this one, whatever becomes of it.
    this.#jobs = job.catch(() => {});
    return job;
  }

  /** Resolves when a checkpoint has ended, well or not. */
  retired(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Lets checkpoints that run end; a compaction is not waited for. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#jobs;
    await this.#publishing;
  }

  #freeze(): Frozen {
    const { space, log } = this.#in;
    // In one turn: everything up to the sealed LSN is in the frozen memtables, nothing above (C1).
    const position = log.cut();
    position.catch(() => {});
    const frozen: Frozen = {
      generation: space.freeze(),
      lsn: log.sealedLsn,
      timestamp: space.lastTimestamp,
      bytes: this.#activeBytes,
      position,
    };
    this.#activeBytes = 0;
    this.#frozen.push(frozen);
    return frozen;
  }

  async #run(frozen: Frozen, request: CheckpointRequest): Promise<CheckpointRecord> {
    try {
      const position = await frozen.position;
      await request.check?.();
      const record = await this.#take(frozen, position, request);
      if (request.kind === 'base' && this.#in.images.links.length > 1) {
        await this.#compaction;
        return await this.#compact('base', { ...request, savepoint: undefined });
      }
      this.#compactIfLong();
      return record;
    } finally {
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Builds and publishes what changed since the newest record. */
  async #take(
    frozen: Frozen,
    position: LogPosition,
    request: CheckpointRequest,
  ): Promise<CheckpointRecord> {
    const { images, log } = this.#in;
    const newest = this.#newest;
    const ranges = log.ranges(newest?.position, position);
    const wanted = request.savepoint !== undefined || request.metadata !== undefined;
    if (newest && newest.lsn === frozen.lsn && !wanted) {
      this.#retire(frozen, undefined);
      return newest;
    }
    const isBase = images.links.length === 0;
    const built = await this.#build(frozen, ranges, isBase);
    // Nothing changed: the chain stays as it is.
    const empty = built.entryCount === 0 && !isBase;
    return this.#exclusively(async () => {
      const id = this.#in.checkpoints.nextId();
      const link: ChainLink = { ...built.link, name: snapshotName(built.link.sha256, id) };
      if (empty) await this.#in.transfer.discard(built.stagedPath);
      else await this.#in.transfer.publish(built.stagedPath, link.name);
      const chain = empty ? images.chain : [...images.chain, link];
      const logBytes = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
      const kind = isBase ? 'base' : 'delta';
      const { lsn, timestamp } = frozen;
      const record = this.#record({ id, kind, lsn, timestamp, position, chain, logBytes }, request);
      await this.#in.checkpoints.publish(record);
      this.#newest = record;
      this.#retire(frozen, empty ? undefined : { link, image: built.image });
      this.#in.events.checkpoint(record);
      return record;
    });
  }

  async #build(frozen: Frozen, ranges: readonly LogRange[], isBase: boolean): Promise<Built> {
    const { pool, transfer, slabs, groupBits, images } = this.#in;
    const stagedPath = transfer.stagedPath(`checkpoint-${++this.#staged}`);
    const fromLsn = images.chain.at(-1)?.lastLsn ?? 0;
    const output = await pool.run('buildDelta', {
      ...this.#snapshotInput(stagedPath, isBase, fromLsn, frozen),
      ranges,
      fromTimestamp: images.chain.at(-1)?.lastTimestamp ?? 0,
      parents: isBase ? [] : images.chain.map((link) => link.sha256),
      spareSlabs: slabs.drain(),
    });
    for (const slab of output.spareSlabs) slabs.release(slab);
    const { sha256, bytes, entryCount } = output;
    const link = {
      kind: isBase ? ('base' as const) : ('delta' as const),
      sha256,
      bytes,
      entryCount,
      fromLsn,
      lastLsn: frozen.lsn,
      lastTimestamp: frozen.timestamp,
    };
    const image = new Image(output.slices, { slabs, groupBits });
    return { link, image, stagedPath, entryCount };
  }

  /** What every snapshot task is given. */
  #snapshotInput(
    stagedPath: string,
    base: boolean,
    fromLsn: number,
    last: { readonly lsn: number; readonly timestamp: number },
  ): SnapshotTaskInput {
    const { storeId, timeline, epoch, seed, groupBits, codec } = this.#in;
    return {
      stagedPath,
      base,
      storeId: must(fromHex(storeId), 'the store id is hexadecimal'),
      timeline,
      epoch,
      seed,
      groupBits,
      codec,
      fromLsn,
      lastLsn: last.lsn,
      lastTimestamp: last.timestamp,
      rules: this.#rules(),
    };
  }

  #rules(): TableRules {
    const rules: { table: number; itemsMax: number }[] = [];
    for (const { id, itemsMax } of this.#in.space.definitions()) {
      if (itemsMax !== undefined) rules.push({ table: id, itemsMax });
    }
    return rules;
  }

  #record(
    made: Pick<
      CheckpointRecord,
      'id' | 'kind' | 'lsn' | 'timestamp' | 'position' | 'chain' | 'logBytes'
    >,
    request: CheckpointRequest,
  ): CheckpointRecord {
    const { storeId, timeline, epoch, codec, keyGroups, clock, space } = this.#in;
    return {
      ...made,
      storeId,
      timeline,
      epoch,
      parent: this.#newest?.id ?? 0,
      fromTimestamp: this.#newest?.timestamp ?? 0,
      createdAt: clock.nowMicros(),
      tables: space.definitions(),
      codec,
      keyGroups,
      savepoint: request.savepoint,
      metadata: request.metadata,
    };
  }

  /** The frozen memtables up to this one give way to the image. */
  #retire(frozen: Frozen, link: LoadedLink | undefined): void {
    this.#frozen = this.#frozen.filter((other) => other.generation > frozen.generation);
    this.#in.images.extend(link, frozen.lsn);
    this.#in.space.retire(frozen.generation);
  }

  /** One publication at a time: records follow each other. */
  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#publishing.then(act);
    this.#publishing = result.catch(() => {});
    return result;
  }

  #compactIfLong(): void {
    if (this.#compaction || this.#closing) return;
    if (this.#in.images.links.length < chainLengthMax) return;
    const request = { kind: 'auto', savepoint: undefined, metadata: undefined } as const;
    this.#compaction = this.#compact('merge', request)
      .then(() => {})
      .catch((error: unknown) => {
        if (!this.#closing) this.#in.events.failure(error);
      })
      .finally(() => {
        this.#compaction = undefined;
      });
  }

  /** Merges the chain as it is now into a new base; deltas made meanwhile stay behind it (C5). */
  async #compact(kind: CheckpointKind, request: CheckpointRequest): Promise<CheckpointRecord> {
    const { pool, transfer, slabs, groupBits, images, checkpoints } = this.#in;
    const prefix = images.links;
    const { lastLsn, lastTimestamp } = must(prefix.at(-1), 'the chain has a link').link;
    const stagedPath = transfer.stagedPath(`merge-${++this.#staged}`);
    const output = await pool.run('mergeImages', {
      ...this.#snapshotInput(stagedPath, true, 0, { lsn: lastLsn, timestamp: lastTimestamp }),
      inputs: prefix.map(({ image }) => image.descriptors),
      parents: [],
      spareSlabs: slabs.drain(),
    });
    for (const slab of output.spareSlabs) slabs.release(slab);
    const image = new Image(output.slices, { slabs, groupBits });
    return this.#exclusively(async () => {
      // Nothing is published once the engine gives its directory up.
      if (this.#closing && kind === 'merge') throw new AbortedError('ABORTED', 'closing');
      const { sha256, bytes, entryCount } = output;
      const id = checkpoints.nextId();
      const name = snapshotName(sha256, id);
      await transfer.publish(stagedPath, name);
      const link: ChainLink = {
        name,
        kind: 'base',
        sha256,
        bytes,
        entryCount,
        fromLsn: 0,
        lastLsn,
        lastTimestamp,
      };
      const { lsn, timestamp, position } = must(this.#newest, 'a chain has a record');
      const chain = [link, ...images.chain.slice(prefix.length)];
      const record = this.#record(
        { id, kind, lsn, timestamp, position, chain, logBytes: 0 },
        request,
      );
      await checkpoints.publish(record);
      this.#newest = record;
      images.replacePrefix(prefix.length, { link, image });
      this.#in.events.merge(record);
      return record;
    });
  }
}

/** A snapshot that a worker built and that has no name yet. */
interface Built {
  readonly link: Omit<ChainLink, 'name'>;
  readonly image: Image;
  readonly stagedPath: string;
  readonly entryCount: number;
}

/** Fields that `buildDelta` and `mergeImages` share. */
interface SnapshotTaskInput {
  readonly stagedPath: string;
  readonly base: boolean;
  readonly storeId: Uint8Array;
  readonly timeline: number;
  readonly epoch: number;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly codec: CodecName;
  readonly fromLsn: number;
  readonly lastLsn: number;
  readonly lastTimestamp: number;
  readonly rules: TableRules;
}

/** The error that a later call gives for work in the background that failed and nobody heard of. */
export function unheardFailure(cause: unknown): TidemarkError {
  return new StorageError(
    'CHECKPOINT_FAILED',
    `work in the background failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    {},
    cause,
  );
}
