/*
 * The sealing half of the log: gives LSNs, places frames into groups and groups into segments, and
 * feeds the writing half. A frame is sealed synchronously: when `seal` returns, it has its LSN and
 * its place; when `seal` throws, nothing has changed.
 *
 * Group commit: frames that arrive while a write and sync are under way go out together in the next
 * one; no timer delays a commit. One sync stream. Waiters resolve in LSN order within a level.
 * Rules: L5, L9 (syncs at every level), L10 (space before sealing), L11 (poison).
 */
import { ClosedError, InvalidArgumentError, StorageError, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { Clock, Timer } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import { mixFrame } from './chain-value.ts';
import { Cuts } from './cuts.ts';
import { align8, frameOverhead, groupHeaderBytes } from './group-format.ts';
import { compressedGroupBytesMax, GroupCompressor } from './group-compression.ts';
import { GrowingSegments } from './growing-segments.ts';
import type { OpenedSegment } from './opening-segment.ts';
import type { Durability, ResolvedLogOptions } from './log-options.ts';
import { LogOutput, type LogSegment, type OutputCounts } from './log-output.ts';
import type { LogPosition } from './log-position.ts';
import { BufferPool, PendingGroup, type PlannedSegment, type Waiter } from './pending-group.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import { SegmentPipeline } from './segment-pipeline.ts';

/** Room behind the groups of a segment: one proof mark and one seal mark. */
const MARKS_BYTES = 2 * groupHeaderBytes;
/** A commit's promise waits while less room than this is left and a segment is being filled. */
const ROOM_LOW_BYTES = 512 * 1024;
const IDLE_MS = 1000;

export interface LogWriterInput {
  readonly fs: FileSystem;
  readonly directory: string;
  readonly options: ResolvedLogOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly opened: OpenedSegment;
  /** Highest number of any name in the directory. */
  readonly numberMax: number;
}

/** Figures of the log. */
export interface LogWriterStats extends Readonly<OutputCounts> {
  readonly sealedLsn: number;
  readonly appendedLsn: number;
  readonly durableLsn: number;
  readonly undurableBytes: number;
  /** What commits are waiting for, if they are. */
  readonly waitingFor: 'sync' | 'segment' | undefined;
}

export class LogWriter {
  readonly #options: ResolvedLogOptions;
  readonly #clock: Clock;
  readonly #directory: string;
  readonly #pipeline: SegmentPipeline;
  readonly #output: LogOutput;
  readonly #buffers: BufferPool;
  readonly #groupBytesMax: number;
  #tail: PlannedSegment;
  /** Where the group after the open one would start in the tail. */
  #tailOffset: number;
  #mix: number;
  #sealedLsn: number;
  #undurableBytes = 0;
  readonly #growing: GrowingSegments;
  /** Most bytes that callers have had in flight: what may come before they wait again. */
  #undurableBytesPeak = 0;
  #open: PendingGroup | undefined;
  #queue: PendingGroup[] = [];
  #inFlight: PendingGroup[] = [];
  readonly #unsynced: PendingGroup[] = [];
  readonly #cuts = new Cuts();
  /** Holds the last waiter below `disk` that waits for a sync: later ones must not overtake it. */
  #held: PendingGroup | undefined;
  #syncWanted = false;
  #proofWanted = false;
  #running: Promise<void> | undefined;
  #scheduled = false;
  #waitingForSegment = false;
  #failure: unknown;
  #closed = false;
  #idleTimer: Timer | undefined;
  #activity = 0;
  #onFailure: (error: unknown) => void = () => {};
  #onDurable: () => void = () => {};

  constructor(input: LogWriterInput) {
    const { fs, directory, options, opened } = input;
    this.#options = options;
    this.#clock = input.clock;
    this.#directory = directory;
    let numberMax = input.numberMax;
    const nextNumber = (): number => ++numberMax;
    const { segmentBytesMax, undurableBytesMax } = options;
    const usable = segmentBytesMax - segmentHeaderBytes - MARKS_BYTES;
    const readyMax = Math.ceil((2 * undurableBytesMax) / usable);
    this.#pipeline = new SegmentPipeline(fs, directory, segmentBytesMax, readyMax, nextNumber);
    this.#tail = { source: 'current', limit: opened.header.size - MARKS_BYTES };
    this.#tailOffset = opened.end.offset;
    this.#mix = opened.end.chain.mix;
    this.#sealedLsn = opened.end.lsn;
    const fillBytesLeft = (): number => this.#pipeline.fillBytesLeft;
    this.#growing = new GrowingSegments(fs, directory, MARKS_BYTES, fillBytesLeft);
    this.#pipeline.reservedElsewhere = (): number => this.#growing.reservedBytes;
    this.#output = new LogOutput({
      fs,
      directory,
      random: input.random,
      clock: input.clock,
      pipeline: this.#pipeline,
      nextNumber,
      opened,
      planned: this.#tail,
      compressor: options.logCompression && new GroupCompressor(options.logCompression),
    });
    const { groupBytesMax, logCompression } = options;
    this.#groupBytesMax = logCompression
      ? Math.min(groupBytesMax, compressedGroupBytesMax)
      : groupBytesMax;
    this.#buffers = new BufferPool(align8(groupBytesMax + groupHeaderBytes));
    this.#pipeline.start();
  }

  get sealedLsn(): number {
    return this.#sealedLsn;
  }

  get durableLsn(): number {
    return this.#output.durableLsn;
  }

  /** The error after sealing that stopped the writer, if one did. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Sealed and not known to be durable. */
  get undurableBytes(): number {
    return this.#undurableBytes;
  }

  stats(): LogWriterStats {
    const { counts, appendedLsn, durableLsn } = this.#output;
    const waiting = this.#undurableBytes > this.#options.undurableBytesMax ? 'sync' : undefined;
    return {
      ...counts,
      sealedLsn: this.#sealedLsn,
      appendedLsn,
      durableLsn,
      undurableBytes: this.#undurableBytes,
      waitingFor: this.#waitingForSegment ? 'segment' : waiting,
    };
  }

  onFailure(listener: (error: unknown) => void): void {
    this.#onFailure = listener;
  }

  /** Called after each sync. */
  onDurable(listener: () => void): void {
    this.#onDurable = listener;
  }

  onRotate(listener: (sealed: LogSegment, next: LogSegment) => void): void {
    this.#output.onRotate(listener);
  }

  /** The segment that takes appends now. */
  get segment(): LogSegment {
    return this.#output.segment;
  }

  /**
   * Seals one frame and returns its first LSN. The waiter is settled when the level is reached.
   * Throws without sealing: too large, NO_SPACE, OVERLOADED, CLOSED, POISONED.
   */
  seal(records: readonly Uint8Array[], level: Durability, waiter: Waiter): number {
    let frameBytes = frameOverhead(records.length);
    for (const record of records) frameBytes += record.length;
    const group = this.#place(frameBytes, records.length);
    const firstLsn = this.#sealedLsn + 1;
    const mix = mixFrame(this.#mix, firstLsn, frameBytes);
    // May throw where memory is short: nothing has changed yet.
    group.add(records, frameBytes);
    this.#mix = mix;
    group.mix = mix;
    this.#sealedLsn += records.length;
    this.#undurableBytes += frameBytes;
    this.#undurableBytesPeak = Math.max(this.#undurableBytesPeak, this.#undurableBytes);
    this.#register(group, level, waiter);
    this.#schedule();
    return firstLsn;
  }

  /**
   * Ends the group in formation, so that `sealedLsn` stands at a border (C1). Resolves with its
   * position when it is durable.
   */
  cut(): Promise<LogPosition> {
    this.assertOpen();
    this.#closeGroup();
    const lsn = this.#sealedLsn;
    const behind = this.#output.appendedLsn === lsn && this.#pendingCount() === 0;
    const last = this.#queue.at(-1);
    if (last) last.isCut = true;
    const cut = this.#cuts.add(lsn, behind ? this.#output.position : undefined);
    this.#syncWanted = true;
    this.#schedule();
    return cut;
  }

  /**
   * Syncs what is sealed and leaves a proof mark (L5), then ends the writer. Rejects with
   * SYNC_FAILED when that fails; after an earlier failure there is nothing left to lose.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#idleTimer?.cancel();
    const stoppedBefore = this.#failure !== undefined;
    if (!stoppedBefore) {
      this.#proofWanted = true;
      this.#schedule();
    }
    await this.#drain();
    try {
      await this.#closeFiles();
    } catch (error) {
      throw toStorageError(error, 'close the log', this.#directory);
    }
    if (stoppedBefore || this.#failure === undefined) return;
    const { durableLsn, sealedLsn } = this;
    throw new StorageError(
      'SYNC_FAILED',
      `closing the log failed: LSN ${durableLsn} of ${sealedLsn} is known to be durable`,
      { path: this.#directory, durableLsn, sealedLsn },
      this.#failure,
    );
  }

  async #closeFiles(): Promise<void> {
    try {
      // A poisoned writer leaves its files to the next opening (L11).
      if (this.#failure === undefined) await this.#pipeline.close();
      else await this.#pipeline.abandon();
    } finally {
      await this.#output.close();
    }
  }

  async #drain(): Promise<void> {
    while (this.#scheduled || this.#running) {
      await (this.#running ?? Promise.resolve());
    }
  }

  #pendingCount(): number {
    return this.#queue.length + this.#inFlight.length + (this.#open ? 1 : 0);
  }

  /** Throws CLOSED or POISONED when nothing may be written any more. */
  assertOpen(): void {
    if (this.#closed) throw new ClosedError('CLOSED', 'the log is closed');
    if (this.#failure !== undefined) {
      const message = 'the log stopped after an error in writing; open it again to go on';
      throw new ClosedError('POISONED', message, this.#failure);
    }
  }

  /** The group that takes a frame, or an error before anything is sealed (L10). */
  #place(frameBytes: number, recordCount: number): PendingGroup {
    this.assertOpen();
    const { commitBytesMax, undurableBytesMax } = this.#options;
    if (frameBytes > commitBytesMax) {
      throw new InvalidArgumentError(
        'COMMIT_TOO_LARGE',
        `commit is larger than commitBytesMax: ${frameBytes} > ${commitBytesMax} bytes`,
        { bytes: frameBytes, bytesMax: commitBytesMax },
      );
    }
    const open = this.#open;
    if (open && this.#fitsOpen(open, frameBytes, recordCount)) return open;
    if (this.#undurableBytes > 0 && this.#undurableBytes + frameBytes > 2 * undurableBytesMax) {
      throw this.#overloaded('too many bytes are not durable yet', frameBytes);
    }
    const offset = open ? open.endWith(0) : this.#tailOffset;
    const bytes = align8(groupHeaderBytes + frameBytes);
    const buffer = this.#buffers.take(bytes);
    if (offset + bytes <= this.#tail.limit) return this.#startGroup(this.#tail, offset, buffer);
    try {
      return this.#startGroup(this.#planSegment(bytes), segmentHeaderBytes, buffer);
    } catch (error) {
      this.#buffers.give(buffer);
      throw error;
    }
  }

  #fitsOpen(open: PendingGroup, frameBytes: number, recordCount: number): boolean {
    const { groupRecordsMax, undurableBytesMax } = this.#options;
    return (
      open.at - groupHeaderBytes + frameBytes <= this.#groupBytesMax &&
      open.records + recordCount <= groupRecordsMax &&
      open.endWith(frameBytes) <= open.segment.limit &&
      this.#undurableBytes + frameBytes <= 2 * undurableBytesMax
    );
  }

  #planSegment(bytes: number): PlannedSegment {
    const limit = this.#options.segmentBytesMax - MARKS_BYTES;
    if (segmentHeaderBytes + bytes > limit) return this.#growing.plan(segmentHeaderBytes + bytes);
    if (this.#pipeline.available > 0) {
      this.#pipeline.reserve();
      return { source: 'ready', limit };
    }
    this.#pipeline.start();
    if (this.#pipeline.failure) throw this.#pipeline.failure;
    // The zeros are late: going on in a file that grows is slower, and better than a refusal.
    return this.#growing.plan(limit);
  }

  /** Earlier commits may wait for nothing; the sync makes room, so that trying again helps. */
  #overloaded(why: string, frameBytes: number): StorageError {
    this.#syncWanted = true;
    this.#schedule();
    return new StorageError(
      'OVERLOADED',
      `commit was not taken, ${why}: wait for earlier commits, then try again`,
      { bytes: frameBytes, undurableBytes: this.#undurableBytes },
    );
  }

  #startGroup(segment: PlannedSegment, offset: number, buffer: Uint8Array): PendingGroup {
    this.#closeGroup();
    this.#tail = segment;
    this.#tailOffset = offset;
    this.#open = new PendingGroup(segment, offset, this.#sealedLsn + 1, this.#mix, buffer);
    return this.#open;
  }

  #closeGroup(): void {
    const open = this.#open;
    if (!open) return;
    this.#tailOffset = open.endWith(0);
    this.#queue.push(open);
    this.#open = undefined;
  }

  #register(group: PendingGroup, level: Durability, waiter: Waiter): void {
    const { undurableBytesMax } = this.#options;
    // Past the bound every level waits for the sync: that is the backpressure.
    const held = this.#undurableBytes > undurableBytesMax || this.#roomIsLow();
    if (level === 'disk' || held) {
      group.needsSync = true;
      group.diskWaiters.push(waiter);
      if (level !== 'disk') this.#held = group;
    } else if (this.#held && (level === 'memory' || this.#isUnwritten(this.#held))) {
      this.#held.diskWaiters.push(waiter);
    } else if (level === 'os') {
      group.osWaiters.push(waiter);
    } else {
      waiter.resolve();
    }
  }

  #isUnwritten(group: PendingGroup): boolean {
    return group === this.#open || this.#queue.includes(group);
  }

  #roomIsLow(): boolean {
    if (this.#pipeline.available > 0 || this.#pipeline.failure) return false;
    const used = this.#open?.endWith(0) ?? this.#tailOffset;
    const low = Math.min(ROOM_LOW_BYTES, this.#options.segmentBytesMax / 4);
    return this.#tail.limit - used < Math.max(low, 2 * this.#undurableBytesPeak);
  }

  #schedule(): void {
    this.#activity++;
    if (this.#running || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#running) return;
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
        // Something may have been sealed since the loop looked.
        if (this.#hasWork()) this.#schedule();
      });
    });
  }

  async #run(): Promise<void> {
    try {
      while (this.#hasWork()) await this.#round();
      this.#armIdleTimer();
    } catch (error) {
      this.#poison(error);
    }
  }

  #hasWork(): boolean {
    if (this.#failure !== undefined) return false;
    return this.#pendingCount() > 0 || this.#syncWanted || this.#proofWanted;
  }

  async #round(): Promise<void> {
    this.#closeGroup();
    const groups = this.#queue;
    this.#queue = [];
    this.#inFlight = groups;
    const prove = this.#proofWanted && groups.length === 0;
    if (prove) this.#proofWanted = false;
    // The mark's place is taken now: a frame that is sealed meanwhile goes behind it.
    const mark = prove && this.#output.needsProof;
    if (mark) this.#tailOffset += groupHeaderBytes;
    const wanted = this.#syncWanted || prove;
    this.#syncWanted = false;
    const moreCame = (): boolean => this.#open !== undefined || this.#queue.length > 0;
    if (groups.length > 0) await this.#output.write(groups, syncsAtOnce(groups), moreCame);
    this.#afterWrite(groups);
    const bound = this.#options.undurableBytesMax / 2;
    const sync = wanted || this.#undurableBytes >= bound || groups.some((g) => g.needsSync);
    if (!sync) return;
    if (mark) await this.#output.prove();
    else await this.#output.sync();
    if (this.#roomIsLow()) await this.#waitForSegment();
    this.#afterSync();
  }

  #afterWrite(groups: readonly PendingGroup[]): void {
    this.#inFlight = [];
    for (const group of groups) {
      this.#unsynced.push(group);
      for (const waiter of group.osWaiters) waiter.resolve();
      this.#growing.written(group.segment, group.endWith(0) - group.offset);
    }
    this.#cuts.written(groups, this.#output.position);
  }

  #afterSync(): void {
    for (const group of this.#unsynced) {
      this.#undurableBytes -= group.at - groupHeaderBytes;
      for (const waiter of group.diskWaiters) waiter.resolve();
      this.#buffers.give(group.buffer);
      if (group === this.#held) this.#held = undefined;
    }
    this.#unsynced.length = 0;
    this.#cuts.synced(this.durableLsn);
    this.#onDurable();
  }

  async #waitForSegment(): Promise<void> {
    this.#waitingForSegment = true;
    await this.#pipeline.settled();
    this.#waitingForSegment = false;
  }

  /** After a second without work a proof mark is written (L5, L9). */
  #armIdleTimer(): void {
    if (this.#idleTimer || this.#closed || !this.#output.needsProof) return;
    const activity = this.#activity;
    this.#idleTimer = this.#clock.setTimer(IDLE_MS, () => {
      this.#idleTimer = undefined;
      if (this.#closed || this.#failure !== undefined) return;
      if (this.#activity === activity && !this.#running) {
        this.#proofWanted = true;
        this.#schedule();
      } else if (!this.#running) {
        this.#armIdleTimer();
      }
    });
  }

  /** Pending commits have an unknown outcome; nothing is retried (L11). */
  #poison(error: unknown): void {
    this.#failure = toStorageError(error, 'write the log', this.#directory);
    this.#idleTimer?.cancel();
    this.#pipeline.stop();
    this.#closeGroup();
    for (const group of [...this.#unsynced, ...this.#inFlight, ...this.#queue]) {
      const written = this.#unsynced.includes(group);
      if (!written) for (const waiter of group.osWaiters) waiter.reject(this.#failure);
      for (const waiter of group.diskWaiters) waiter.reject(this.#failure);
    }
    this.#cuts.reject(this.#failure);
    this.#unsynced.length = 0;
    this.#inFlight = [];
    this.#queue = [];
    this.#onFailure(this.#failure);
  }
}

/** One call for write and sync, unless somebody waits for the write alone. */
function syncsAtOnce(groups: readonly PendingGroup[]): boolean {
  return groups.some((g) => g.needsSync) && !groups.some((g) => g.osWaiters.length > 0);
}
