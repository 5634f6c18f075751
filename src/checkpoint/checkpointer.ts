/*
 * Checkpoints of an open engine: freeze, delta by a worker from the log, publish, and the image
 * takes the frozen memtable's place; and compaction of the chain beside it.
 *
 * Order (C1, C4): the freeze notes L in its own turn; the worker starts when L is durable and reads
 * exactly the bytes it is given; the snapshot is durable under its name before the record is put;
 * only then the frozen memtable gives way. A failed attempt leaves the old chain, and its id and
 * files are never used again (C3); what it had frozen goes into the next checkpoint. Once the log
 * has failed nothing is published (L11), and a record of another writer stops this one for good.
 *
 * Invariant: the chain ends at the LSN of its record, so a commit without entries makes an empty
 * delta; the next one starts where it ended.
 */
import { AbortedError, ClosedError, TidemarkError, errnoOf, toStorageError } from '../errors.ts';
import type { HashSeed } from '../codec/hash.ts';
import type { CodecName } from '../codec/compression.ts';
import { Image } from '../snapshot/image.ts';
import type { TableRules } from '../snapshot/run-cursor.ts';
import { fromHex } from '../std/bytes.ts';
import { must } from '../std/assert.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import type { TaskInput, TaskName, TaskOutput } from '../threads/tasks.ts';
import type { LogPosition, LogRange } from '../wal/log-position.ts';
import type { LoadedLink } from './chain-images.ts';
import {
  snapshotName,
  type ChainLink,
  type CheckpointKind,
  type CheckpointRecord,
} from './checkpoint-record.ts';
import {
  plainRequest,
  rulesOf,
  type CheckpointRequest,
  type CheckpointerInput,
} from './checkpointer-input.ts';

/** Memtables that may be frozen at once. */
export const frozenMax = 4;
/** Snapshots of a chain at which it is compacted. */
export const chainLengthMax = 8;

/** What a freeze noted. */
interface Frozen {
  readonly generation: number;
  readonly lsn: number;
  readonly timestamp: number;
  /** As commits up to `lsn` had logged them. */
  readonly tables: readonly TableDefinition[];
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
  #running = 0;
  #closing = false;
  /** Another writer has published: nothing of this one counts any more. */
  #fenced: TidemarkError | undefined;

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

  /** Checkpoints are under way or queued. */
  get busy(): boolean {
    return this.#running > 0;
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
    while (this.#frozen.length >= frozenMax) {
      if (this.busy) await this.#ended();
      // Earlier attempts failed and nothing is under way: what they left frozen comes first.
      else await this.#enqueue(must(this.#frozen.at(-1), 'a memtable is frozen'), plainRequest);
      if (this.#closing) throw new ClosedError('CLOSED', 'the engine is closed');
    }
    return this.#enqueue(this.#freeze(), request);
  }

  /** Drops the savepoint of a record, in turn with publications, so that `close` waits for it. */
  drop(id: number): Promise<void> {
    return this.#exclusively(() => this.#in.checkpoints.drop(id));
  }

  /** Resolves when a compaction that was cut off has cleared up behind itself. */
  async settled(): Promise<void> {
    await this.#compaction;
    await this.#publishing;
  }

  /** Lets checkpoints that run end; a compaction is not waited for. */
  async close(): Promise<void> {
    this.#closing = true;
    while (this.busy) await this.#jobs;
    await this.#publishing;
  }

  /** Resolves when a checkpoint has ended, well or not. */
  #ended(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #enqueue(frozen: Frozen, request: CheckpointRequest): Promise<CheckpointRecord> {
    this.#running++;
    const job = this.#jobs.then(() => this.#run(frozen, request));
    // The next job starts after this one, whatever becomes of it.
    this.#jobs = job.catch(() => {});
    return job;
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
      tables: space.loggedDefinitions(),
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
      if (request.kind === 'base' && this.#in.images.links.length > 0) {
        return await this.#takeBase(frozen, position, request);
      }
      const record = await this.#take(frozen, position, request);
      this.#compactIfLong();
      return record;
    } finally {
      this.#running--;
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** What changed becomes a delta first; the merge of the chain is the checkpoint asked for. */
  async #takeBase(
    frozen: Frozen,
    position: LogPosition,
    request: CheckpointRequest,
  ): Promise<CheckpointRecord> {
    await this.#take(frozen, position, plainRequest);
    await this.#compaction;
    if (this.#in.images.links.length > 1) return this.#compact('base', request);
    return this.#take(frozen, position, request);
  }

  /** Builds and publishes what changed since the newest record. */
  async #take(
    frozen: Frozen,
    position: LogPosition,
    request: CheckpointRequest,
  ): Promise<CheckpointRecord> {
    this.#assertMayPublish();
    const { images, log } = this.#in;
    const newest = this.#newest;
    if (newest?.lsn === frozen.lsn) return this.#takeAgain(newest, frozen, request);
    const ranges = log.ranges(newest?.position, position);
    const isBase = images.links.length === 0;
    const built = await this.#build(frozen, ranges, isBase);
    return this.#publish(built, async (id) => {
      const link: ChainLink = { ...built.link, name: snapshotName(built.link.sha256, id) };
      await this.#in.transfer.publish(built.stagedPath, link.name);
      const logBytes = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
      const kind = isBase ? 'base' : 'delta';
      const { lsn, timestamp, tables } = frozen;
      const chain = [...images.chain, link];
      const made = { id, kind, lsn, timestamp, position, chain, tables, logBytes } as const;
      const record = this.#record(made, request);
      await this.#put(record);
      this.#retire(frozen, { link, image: built.image });
      this.#in.events.checkpoint(record);
      return record;
    });
  }

  /** Nothing was committed since: the same record, or another one of the same chain. */
  async #takeAgain(
    newest: CheckpointRecord,
    frozen: Frozen,
    request: CheckpointRequest,
  ): Promise<CheckpointRecord> {
    this.#retire(frozen, undefined);
    if (request.savepoint === undefined && request.metadata === undefined) return newest;
    return this.#exclusively(async () => {
      const { checkpoints, images, events } = this.#in;
      const { lsn, timestamp, position, tables } = newest;
      const { chain } = images;
      const kind = chain.length === 1 ? 'base' : 'delta';
      const id = checkpoints.nextId();
      const made = { id, kind, lsn, timestamp, position, chain, tables, logBytes: 0 } as const;
      const record = this.#record(made, request);
      await this.#put(record);
      events.checkpoint(record);
      return record;
    });
  }

  async #build(frozen: Frozen, ranges: readonly LogRange[], isBase: boolean): Promise<Built> {
    const { transfer, slabs, groupBits, images } = this.#in;
    const stagedPath = transfer.stagedPath(`checkpoint-${++this.#staged}`);
    const fromLsn = images.chain.at(-1)?.lastLsn ?? 0;
    const output = await this.#runTask('buildDelta', {
      ...this.#snapshotInput(stagedPath, isBase, fromLsn, frozen),
      ranges,
      fromTimestamp: images.chain.at(-1)?.lastTimestamp ?? 0,
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
    return { link, image, stagedPath, sha256 };
  }

  /** Runs a task; what the file system said in it is an error of storage. */
  async #runTask<N extends TaskName>(
    name: N,
    input: TaskInput<N> & { readonly stagedPath: string },
  ): Promise<TaskOutput<N>> {
    try {
      return await this.#in.pool.run(name, input);
    } catch (error) {
      if (errnoOf(error) === undefined || error instanceof TidemarkError) throw error;
      throw toStorageError(error, 'build a snapshot', input.stagedPath);
    }
  }

  /** What every snapshot task is given. */
  #snapshotInput(
    stagedPath: string,
    base: boolean,
    fromLsn: number,
    last: Pick<Frozen, 'lsn' | 'timestamp' | 'tables'>,
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
      rules: rulesOf(last.tables),
    };
  }

  #record(
    made: Pick<
      CheckpointRecord,
      'id' | 'kind' | 'lsn' | 'timestamp' | 'position' | 'chain' | 'tables' | 'logBytes'
    >,
    request: CheckpointRequest,
  ): CheckpointRecord {
    const { storeId, timeline, epoch, codec, keyGroups, clock } = this.#in;
    return {
      ...made,
      storeId,
      timeline,
      epoch,
      parent: this.#newest?.id ?? 0,
      fromTimestamp: this.#newest?.timestamp ?? 0,
      createdAt: clock.nowMicros(),
      codec,
      keyGroups,
      savepoint: request.savepoint,
      metadata: request.metadata,
    };
  }

  /** Puts the record: from then on the checkpoint exists. */
  async #put(record: CheckpointRecord): Promise<void> {
    this.#assertMayPublish();
    try {
      await this.#in.checkpoints.publish(record);
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'FENCED') this.#fenced = error;
      throw error;
    }
    this.#newest = record;
  }

  #assertMayPublish(): void {
    if (this.#fenced) throw this.#fenced;
    const { failure } = this.#in.log;
    if (failure === undefined) return;
    throw new ClosedError(
      'POISONED',
      'the engine stopped after an error in writing; open it again to go on',
      failure,
    );
  }

  /** The frozen memtables up to this one give way to the image. */
  #retire(frozen: Frozen, link: LoadedLink | undefined): void {
    this.#frozen = this.#frozen.filter((other) => other.generation > frozen.generation);
    this.#in.images.extend(link, frozen.lsn);
    this.#in.space.retire(frozen.generation);
  }

  /** Publishes what was built under an id of its own; when that fails nothing of it is kept. */
  #publish<T>(built: BuiltSnapshot, act: (id: number) => Promise<T>): Promise<T> {
    const { checkpoints, transfer } = this.#in;
    return this.#exclusively(async () => {
      const id = checkpoints.nextId();
      try {
        this.#assertMayPublish();
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

  /** One publication at a time: records follow each other. */
  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#publishing.then(act);
    this.#publishing = result.catch(() => {});
    return result;
  }

  #compactIfLong(): void {
    if (this.#compaction || this.#closing) return;
    if (this.#in.images.links.length < chainLengthMax) return;
    this.#compaction = this.#compact('merge', plainRequest)
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
    const { transfer, slabs, groupBits, images } = this.#in;
    const prefix = images.links;
    const { lastLsn, lastTimestamp } = must(prefix.at(-1), 'the chain has a link').link;
    // Of a record that is durable: what is only sealed may still be lost, and trims nothing (C2).
    const { tables } = must(this.#newest, 'a chain has a record');
    const stagedPath = transfer.stagedPath(`merge-${++this.#staged}`);
    const last = { lsn: lastLsn, timestamp: lastTimestamp, tables };
    const output = await this.#runTask('mergeImages', {
      ...this.#snapshotInput(stagedPath, true, 0, last),
      inputs: prefix.map(({ image }) => image.descriptors),
      spareSlabs: slabs.drain(),
    });
    for (const slab of output.spareSlabs) slabs.release(slab);
    const image = new Image(output.slices, { slabs, groupBits });
    return this.#publish({ image, stagedPath, sha256: output.sha256 }, async (id) => {
      // Nothing is published once the engine gives its directory up.
      if (this.#closing && kind === 'merge') throw new AbortedError('ABORTED', 'closing');
      const { sha256, bytes, entryCount } = output;
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
      const { lsn, timestamp, position, tables } = must(this.#newest, 'a chain has a record');
      const chain = [link, ...images.chain.slice(prefix.length)];
      const made = { id, kind, lsn, timestamp, position, chain, tables, logBytes: 0 };
      const record = this.#record(made, request);
      await this.#put(record);
      images.replacePrefix(prefix.length, { link, image });
      this.#in.events.merge(record);
      return record;
    });
  }
}

/** A snapshot that a worker built and that has no name yet. */
interface BuiltSnapshot {
  readonly image: Image;
  readonly sha256: string;
  readonly stagedPath: string;
}

interface Built extends BuiltSnapshot {
  readonly link: Omit<ChainLink, 'name'>;
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
