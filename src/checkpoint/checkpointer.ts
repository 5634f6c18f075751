/*
 * Checkpoints of an open engine: freeze, delta by a worker from the log, publish, and the image
 * takes the frozen memtable's place. Merging the chain is compactor.ts, publishing publisher.ts.
 *
 * Order (C1, C4): the freeze notes L in its own turn; the worker starts when L is durable and reads
 * exactly the bytes it is given; the snapshot is durable under its name before the record is put;
 * only then the frozen memtable gives way. A failed attempt leaves the old chain, and its id and
 * files are never used again (C3); what it had frozen goes into the next checkpoint.
 *
 * Invariant: the chain ends at the LSN of its record, so a commit without entries makes an empty
 * delta; the next one starts where it ended.
 */
import { ClosedError, TidemarkError } from '../errors.ts';
import { Image } from '../snapshot/image.ts';
import { must } from '../std/assert.ts';
import type { BlobTotals } from '../state/blob-totals.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import type { LogPosition, LogRange } from '../wal/log-position.ts';
import type { LoadedLink } from './chain-images.ts';
import { snapshotName, type ChainLink, type CheckpointRecord } from './checkpoint-record.ts';
import {
  plainRequest,
  type CheckpointRequest,
  type CheckpointerInput,
} from './checkpointer-input.ts';
import type { SinceCheckpoint } from './checkpoint-triggers.ts';
import { Compactor } from './compactor.ts';
import { assertRoom, deltaRoom } from './free-space.ts';
import { Publisher, type BuiltSnapshot } from './publisher.ts';
import { sampleBytesMin } from './restore-estimate.ts';
import { runSnapshotTask, snapshotInput } from './snapshot-tasks.ts';

/** Memtables that may be frozen at once. */
export const frozenMax = 4;

/** A checkpoint that was held up says little about the next one. */
const growthMax = 4;

/** What a freeze noted. */
interface Frozen {
  readonly generation: number;
  readonly lsn: number;
  readonly timestamp: number;
  /** As commits up to `lsn` had logged them. */
  readonly tables: readonly TableDefinition[];
  readonly blobs: BlobTotals;
  readonly bytes: number;
  /** Bytes of the records that it holds. */
  readonly logBytes: number;
  readonly entries: number;
  readonly commits: number;
  /** When the first of them was committed. */
  readonly firstCommitMs: number;
  readonly position: Promise<LogPosition>;
  /** No checkpoint is under way for it, or that one has failed: what it holds is due. */
  failed: boolean;
}

export class Checkpointer {
  readonly #in: CheckpointerInput;
  readonly #publisher: Publisher;
  readonly compactor: Compactor;
  #frozen: Frozen[] = [];
  #activeBytes = 0;
  #entries = 0;
  #commits = 0;
  #logBytes = 0;
  #firstCommitMs = 0;
  #growth = 0;
  #calibrating: Promise<void> | undefined;
  #jobs: Promise<unknown> = Promise.resolve();
  #waiting: (() => void)[] = [];
  #running = 0;
  #closing = false;

  constructor(input: CheckpointerInput) {
    this.#in = input;
    this.#publisher = new Publisher(input);
    this.compactor = new Compactor(input, this.#publisher);
  }

  get newest(): CheckpointRecord | undefined {
    return this.#publisher.newest;
  }

  get frozenCount(): number {
    return this.#frozen.length;
  }

  /** Checkpoints are under way or queued. */
  get busy(): boolean {
    return this.#running > 0;
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

  /** What was committed since the last freeze, and what checkpoints that failed have left. */
  get since(): SinceCheckpoint {
    return this.sinceAt(this.#in.clock.monotonicMs());
  }

  /** As `since`, at a time; without one, for who asks at every commit, no time has gone by. */
  sinceAt(now: number | undefined): SinceCheckpoint {
    let entries = this.#entries;
    let commits = this.#commits;
    let logBytes = this.#logBytes;
    let firstCommitMs = commits === 0 ? undefined : this.#firstCommitMs;
    for (let i = this.#frozen.length - 1; i >= 0; i--) {
      const left = this.#frozen[i]!;
      if (!left.failed) continue;
      entries += left.entries;
      commits += left.commits;
      logBytes += left.logBytes;
      if (left.commits > 0) ({ firstCommitMs } = left);
    }
    const milliseconds = now === undefined ? 0 : now - (firstCommitMs ?? now);
    return { entries, commits, logBytes, milliseconds };
  }

  /** Bytes of log that no checkpoint has taken in, or has begun to. */
  get logBytes(): number {
    let bytes = this.#logBytes;
    for (const frozen of this.#frozen) bytes += frozen.logBytes;
    return bytes;
  }

  /** Log that came while the last checkpoint was made, as a part of the log that it took in. */
  get growth(): number {
    return this.#growth;
  }

  /** Counts the log that the opening replayed and no checkpoint has taken in. */
  recovered(commits: number, logBytes: number): void {
    if (commits > 0) this.#firstCommitMs = this.#in.clock.monotonicMs();
    this.#commits += commits;
    this.#logBytes += logBytes;
  }

  /** Counts what a commit added to the active memtable and to the log. */
  committed(memtableBytes: number, logBytes: number, entries: number): void {
    if (this.#commits === 0) this.#firstCommitMs = this.#in.clock.monotonicMs();
    this.#activeBytes += memtableBytes;
    this.#entries += entries;
    this.#commits++;
    this.#logBytes += logBytes;
  }

  /**
   * Checkpoints the state as it is at the call. With four memtables frozen it waits until one has
   * been retired, and takes the state as it is then.
   */
  async checkpoint(request: CheckpointRequest): Promise<CheckpointRecord> {
    while (this.#frozen.length >= frozenMax) await this.#makeRoom();
    return this.#enqueue(this.#freeze(), request);
  }

  /**
   * Freezes what was committed, and takes what is frozen in the same turn: that of the call, unless
   * four memtables are frozen. What is frozen stays due, and goes into the next checkpoint.
   */
  async capture<T>(take: () => T): Promise<T> {
    while (this.#entries > 0 && this.#frozen.length >= frozenMax) await this.#makeRoom();
    if (this.#entries > 0) this.#freeze().failed = true;
    return take();
  }

  /** One step towards fewer than four frozen memtables. */
  async #makeRoom(): Promise<void> {
    if (this.busy) await this.#ended();
    // Nothing is under way for what earlier attempts or snapshots in memory left frozen.
    else await this.#enqueue(must(this.#frozen.at(-1), 'a memtable is frozen'), plainRequest);
    if (this.#closing) throw new ClosedError('CLOSED', 'the engine is closed');
  }

  /** Drops the savepoint of a record, in turn with publications, so that `close` waits for it. */
  drop(id: number): Promise<void> {
    return this.#publisher.exclusively(() => this.#in.checkpoints.drop(id));
  }

  /** Throws once the log has failed, or another writer has published: nothing is changed then. */
  assertMayPublish(): void {
    this.#publisher.assertMayPublish();
  }

  /** Runs something while no record is being published: what it finds fits together. */
  inTurn<T>(act: () => Promise<T>): Promise<T> {
    return this.#publisher.exclusively(act);
  }

  /** Resolves when a merge that was cut off has cleared up behind itself. */
  async settled(): Promise<void> {
    await this.compactor.settled();
    await this.#calibrating;
    await this.#publisher.settled();
  }

  /** Lets checkpoints that run end; a merge is not waited for. */
  async close(): Promise<void> {
    this.#closing = true;
    this.compactor.close();
    while (this.busy) await this.#jobs;
    await this.#publisher.settled();
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
      blobs: space.blobs.totals,
      bytes: this.#activeBytes,
      logBytes: this.#logBytes,
      entries: this.#entries,
      commits: this.#commits,
      firstCommitMs: this.#firstCommitMs,
      position,
      failed: false,
    };
    this.#activeBytes = 0;
    this.#entries = 0;
    this.#commits = 0;
    this.#logBytes = 0;
    this.#frozen.push(frozen);
    return frozen;
  }

  async #run(frozen: Frozen, request: CheckpointRequest): Promise<CheckpointRecord> {
    frozen.failed = false;
    let published = false;
    try {
      const position = await frozen.position;
      await request.check?.();
      await this.#in.soundness.ready();
      if (request.kind === 'base' && this.#in.images.links.length > 0) {
        const base = await this.#takeBase(frozen, position, request);
        published = true;
        return base;
      }
      const record = await this.#take(frozen, position, request);
      published = true;
      this.compactor.consider();
      this.#calibrate(record);
      return record;
    } finally {
      frozen.failed = !published;
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
    await this.#take(frozen, position, { ...plainRequest, trigger: request.trigger });
    const record = await this.compactor.mergeAll(request);
    return record ?? this.#take(frozen, position, request);
  }

  /** Builds and publishes what changed since the newest record. */
  async #take(
    frozen: Frozen,
    position: LogPosition,
    request: CheckpointRequest,
  ): Promise<CheckpointRecord> {
    this.#publisher.assertMayPublish();
    const { images, log, transfer } = this.#in;
    const { newest } = this.#publisher;
    if (newest?.lsn === frozen.lsn) return this.#takeAgain(newest, frozen, request);
    const ranges = log.ranges(newest?.position, position);
    const logBytes = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
    const isBase = images.links.length === 0;
    const built = await this.#build(frozen, { ranges, logBytes, isBase });
    const published = await this.#publisher.publish(built, async (id) => {
      const link: ChainLink = { ...built.link, name: snapshotName(built.link.sha256, id) };
      await transfer.publish(built.stagedPath, link.name);
      const kind = isBase ? 'base' : 'delta';
      const { lsn, timestamp, tables, blobs } = frozen;
      const chain = [...images.chain, link];
      const { trigger } = request;
      const checkpointBytes = link.bytes;
      const state = { lsn, timestamp, position, tables, blobs };
      const made = { id, kind, chain, ...state, logBytes } as const;
      const record = this.#publisher.record({ ...made, trigger, checkpointBytes }, request);
      await this.#publisher.put(record);
      this.#growth = Math.min(growthMax, this.#logBytes / Math.max(1, logBytes));
      const image = await this.#in.residency.settle(link, built.image);
      this.#retire(frozen, { link, image });
      return record;
    });
    // Whoever hears of it cannot undo it any more.
    this.#in.events.checkpoint(published);
    return published;
  }

  /** Nothing was committed since: the same record, or another one of the same chain. */
  async #takeAgain(
    newest: CheckpointRecord,
    frozen: Frozen,
    request: CheckpointRequest,
  ): Promise<CheckpointRecord> {
    this.#retire(frozen, undefined);
    const isFound = newest === this.#in.newest;
    const isPlain = request.savepoint === undefined && request.metadata === undefined;
    if (isPlain && !(isFound && this.#in.replaces)) return newest;
    return this.#publisher.exclusively(async () => {
      const { checkpoints, images, events } = this.#in;
      const { lsn, timestamp, position, tables, blobs } = newest;
      const { chain } = images;
      const kind = chain.length === 1 ? 'base' : 'delta';
      const id = checkpoints.nextId();
      const { trigger } = request;
      const state = { lsn, timestamp, position, tables, blobs };
      const made = { id, kind, chain, ...state, logBytes: 0 } as const;
      const record = this.#publisher.record({ ...made, trigger, checkpointBytes: 0 }, request);
      await this.#publisher.put(record);
      events.checkpoint(record);
      return record;
    });
  }

  async #build(frozen: Frozen, part: LogPart): Promise<Built> {
    const { slabs, groupBits, images, clock, meter } = this.#in;
    const { ranges, logBytes, isBase } = part;
    assertRoom(this.#in, deltaRoom(logBytes, this.#publisher.totals));
    const stagedPath = this.#publisher.stagedPath('checkpoint');
    const fromLsn = images.chain.at(-1)?.lastLsn ?? 0;
    const startedAt = clock.monotonicMs();
    const output = await runSnapshotTask(this.#in, 'buildDelta', {
      ...snapshotInput(this.#in, { stagedPath, base: isBase, fromLsn, last: frozen }),
      ranges,
      fromTimestamp: images.chain.at(-1)?.lastTimestamp ?? 0,
      spareSlabs: slabs.drain(),
    });
    meter.checkpointed(logBytes, clock.monotonicMs() - startedAt);
    for (const slab of output.spareSlabs) slabs.release(slab);
    const { sha256, bytes, entryCount, dataBytes } = output;
    const link = {
      kind: isBase ? ('base' as const) : ('delta' as const),
      sha256,
      bytes,
      entryCount,
      dataBytes,
      fromLsn,
      lastLsn: frozen.lsn,
      lastTimestamp: frozen.timestamp,
    };
    const image = new Image(output.slices, { slabs, groupBits });
    return { link, image, stagedPath, sha256 };
  }

  /** Measures once how fast snapshots load here, with one that was just written. */
  #calibrate(record: CheckpointRecord): void {
    const { meter, transfer, pool, slabs, clock, events, residency } = this.#in;
    const link = must(record.chain.at(-1), 'a record names a chain');
    if (meter.knowsLoad || this.#calibrating || this.#closing || !transfer.isLocal) return;
    if (link.bytes < sampleBytesMin) return;
    const { name, sha256, bytes } = link;
    const startedAt = clock.monotonicMs();
    this.#calibrating = transfer
      .withLocal(name, (path) => pool.run('loadSnapshot', { path, sha256, bytes }))
      .then((output) => {
        meter.loaded(bytes, clock.monotonicMs() - startedAt);
        for (const { buffer } of output.slices) slabs.release(buffer);
        for (const slab of output.spareSlabs) slabs.release(slab);
      })
      .catch((error: unknown) => {
        if (this.#closing) return;
        if (error instanceof TidemarkError) residency.report(name, error);
        events.failure(error);
      })
      .finally(() => {
        this.#calibrating = undefined;
      });
  }

  /** The frozen memtables up to this one give way to the image. */
  #retire(frozen: Frozen, link: LoadedLink | undefined): void {
    this.#frozen = this.#frozen.filter((other) => other.generation > frozen.generation);
    this.#in.images.extend(link, frozen.lsn);
    this.#in.space.retire(frozen.generation);
  }
}

/** The log that a checkpoint takes in. */
interface LogPart {
  readonly ranges: readonly LogRange[];
  readonly logBytes: number;
  readonly isBase: boolean;
}

interface Built extends BuiltSnapshot {
  readonly image: Image;
  readonly link: Omit<ChainLink, 'name'>;
}
