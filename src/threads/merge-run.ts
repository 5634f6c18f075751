/*
 * A merge in ranges: planned here, merged and packed by workers, written in order. What is held at
 * once is bounded whatever the size of the state: the input slices that the ranges under way overlap
 * (of images in memory they are there anyway, of files they are loaded when first needed), and at
 * most `threadsMax` + 1 ranges of output. The same inputs give the same file, however many threads.
 *
 * Durability: see snapshot/merge-tasks.ts. When this rejects no file is left, unless the pool was
 * closed meanwhile: then it is a staged file, which the next opening of its store removes.
 */
import { setMaxListeners } from 'node:events';
import { AbortedError } from '../errors.ts';
import { must } from '../std/assert.ts';
import {
  overlapping,
  planRangesIn,
  wholeRange,
  type MergeRange,
  type SliceSpan,
} from '../snapshot/merge-ranges.ts';
import type { FinishedSnapshot, MergeRangeOutput } from '../snapshot/merge-tasks.ts';
import type { SnapshotCompression } from '../snapshot/block-packer.ts';
import type { TableRules } from '../snapshot/run-cursor.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { SliceRecord } from '../snapshot/snapshot-footer.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { SliceLoans, type MergeSource } from './slice-loans.ts';
import type { TaskPool } from './task-pool.ts';

/** A merge that is to be done. */
export interface MergeOrder {
  /** Oldest first: a base or nothing, then deltas without a gap. */
  readonly sources: readonly MergeSource[];
  /**
   * Of a delta: images of all snapshots below it, oldest first; what changes nothing there is left
   * out, and `parents` has to name them. @defaultValue everything stays
   */
  readonly older?: readonly (readonly SliceDescriptor[])[];
  readonly stagedPath: string;
  readonly header: SnapshotHeader;
  readonly rules: TableRules;
  readonly compression: SnapshotCompression;
  /** SHA-256 of the snapshots that a delta is valid on. @defaultValue none: any chain */
  readonly parents?: readonly string[];
  /** Ranges that are merged at once. */
  readonly threadsMax: number;
  /** Gives the slices back, for an image. */
  readonly keepSlices: boolean;
  /** Tables whose slices are not given back all the same. @defaultValue none */
  readonly dropTables?: readonly number[];
  /** Bytes of input that a range has, about. @defaultValue 33554432 (32 MiB) */
  readonly rangeBytes?: number;
  readonly sliceBytesMax?: number;
  /** In order; what is outside of them is left out. @defaultValue everything */
  readonly parts?: readonly MergeRange[];
  /** Hears of each range that has been written. */
  readonly onRange?: (progress: MergeProgress) => void;
  readonly signal?: AbortSignal | undefined;
  /** Lends slabs, and takes back what is no longer read. */
  readonly slabs: SlabPool;
}

/** How far a merge is. */
export interface MergeProgress {
  readonly rangesDone: number;
  readonly rangeCount: number;
  /** Entries written so far. */
  readonly entryCount: number;
}

/** A merge that was done. */
export interface MergedSnapshot extends FinishedSnapshot {
  /** The caller's to release; empty unless they were to be kept. */
  readonly slices: readonly SliceDescriptor[];
  readonly rangeCount: number;
}

const rangeBytesDefault = 32 * 1024 * 1024;

/** Merges sources into one snapshot file. */
export async function runMerge(pool: TaskPool, order: MergeOrder): Promise<MergedSnapshot> {
  const run = new MergeRun(pool, order);
  try {
    return await run.run();
  } catch (error) {
    await run.undo();
    // After an abort every part fails for it; the reason is what counts.
    const { signal } = order;
    if (signal?.aborted !== true) throw error;
    const reason: unknown = signal.reason;
    if (reason instanceof AbortedError) throw reason;
    throw new AbortedError('ABORTED', 'the merge was aborted', {}, reason);
  }
}

class MergeRun {
  readonly #pool: TaskPool;
  readonly #order: MergeOrder;
  readonly #loans: SliceLoans;
  /** Ends what is under way when any part fails. */
  readonly #stop = new AbortController();
  readonly #running = new Map<number, Promise<MergeRangeOutput>>();
  readonly #slices: SliceDescriptor[] = [];
  readonly #records: SliceRecord[] = [];
  #entryCount = 0;
  #ranges: readonly MergeRange[] = [];
  #next = 0;
  #active = 0;
  #offset = 0;

  constructor(pool: TaskPool, order: MergeOrder) {
    this.#pool = pool;
    this.#order = order;
    this.#loans = new SliceLoans(pool, order.sources, order.slabs);
    // Every task under way listens, and there is one for each slice that is being loaded.
    setMaxListeners(0, this.#stop.signal);
  }

  async run(): Promise<MergedSnapshot> {
    const { stagedPath, header, signal, compression, parents = [] } = this.#order;
    const stop = (): void => this.#stop.abort();
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop);
    try {
      const spans: readonly (readonly SliceSpan[])[] = await this.#loans.open();
      const { rangeBytes = rangeBytesDefault, parts = [wholeRange] } = this.#order;
      this.#ranges = planRangesIn(parts, spans.flat(), header.groupBits, rangeBytes);
      this.#loans.count(this.#ranges);
      this.#offset = await this.#pool.run('startSnapshot', { stagedPath, header });
      for (let written = 0; written < this.#ranges.length; written++) {
        this.#start(written);
        const output = await must(this.#running.get(written), 'a range was started');
        this.#running.delete(written);
        await this.#write(output, written);
        this.#tell(written + 1);
      }
      const end = { stagedPath, header, compression, parents, slices: this.#records };
      const { signal: stopped } = this.#stop;
      const finished = await this.#pool.run(
        'finishSnapshot',
        { ...end, offset: this.#offset },
        stopped,
      );
      return { ...finished, slices: this.#slices, rangeCount: this.#ranges.length };
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Ends what is under way, gives all memory back and removes the file. */
  async undo(): Promise<void> {
    const { slabs, stagedPath } = this.#order;
    this.#stop.abort();
    for (const settled of await Promise.allSettled(this.#running.values())) {
      if (settled.status === 'fulfilled') this.#release(settled.value);
    }
    for (const { buffer } of this.#slices) slabs.release(buffer);
    await this.#loans.close();
    // The first error is the one to report; what cannot be removed now is a staged file.
    await this.#pool.run('discardSnapshot', stagedPath).catch(() => {});
  }

  /** Starts as many ranges as may be under way; at most `threadsMax` + 1 wait to be written. */
  #start(written: number): void {
    const { threadsMax } = this.#order;
    while (
      this.#next < this.#ranges.length &&
      this.#active < threadsMax &&
      this.#next - written <= threadsMax
    ) {
      const index = this.#next++;
      this.#active++;
      const running = this.#merge(index).finally(() => {
        this.#active--;
        // Another one may start before this one's turn to be written has come.
        if (!this.#stop.signal.aborted) this.#start(written);
      });
      // It is awaited in its turn, or when all is undone.
      running.catch(() => {});
      this.#running.set(index, running);
    }
  }

  async #merge(index: number): Promise<MergeRangeOutput> {
    const { rules, compression, keepSlices, dropTables, header, sliceBytesMax, slabs, older } =
      this.#order;
    const range = this.#ranges[index]!;
    const { signal } = this.#stop;
    const inputs = await this.#loans.take(range, signal);
    try {
      const output = await this.#pool.run(
        'mergeRange',
        {
          inputs,
          ...(older && { older: older.map((slices) => overlapping(slices, range, whole)) }),
          range,
          base: header.kind === 'base',
          lastTimestamp: header.lastTimestamp,
          groupBits: header.groupBits,
          rules,
          compression,
          keepSlices,
          ...(dropTables === undefined ? {} : { dropTables }),
          ...(sliceBytesMax === undefined ? {} : { sliceBytesMax }),
          spareSlabs: slabs.drain(),
        },
        signal,
      );
      for (const slab of output.spareSlabs) slabs.release(slab);
      return output;
    } finally {
      this.#loans.giveBack(range);
    }
  }

  async #write({ packed, slices }: MergeRangeOutput, index: number): Promise<void> {
    const { stagedPath, slabs } = this.#order;
    this.#slices.push(...slices);
    try {
      this.#start(index + 1);
      if (packed.length === 0) return;
      const offset = this.#offset;
      await this.#pool.run('writeSlices', { stagedPath, offset, packed }, this.#stop.signal);
    } finally {
      for (const { buffer } of packed) slabs.release(buffer);
    }
    for (const { record, bytes } of packed) {
      this.#records.push({ ...record, offset: this.#offset });
      this.#entryCount += record.entryCount;
      this.#offset += bytes;
    }
  }

  #tell(rangesDone: number): void {
    const { onRange } = this.#order;
    if (!onRange) return;
    onRange({ rangesDone, rangeCount: this.#ranges.length, entryCount: this.#entryCount });
  }

  #release({ packed, slices }: MergeRangeOutput): void {
    const { slabs } = this.#order;
    for (const { buffer } of [...packed, ...slices]) slabs.release(buffer);
  }
}

function whole(slice: SliceDescriptor): SliceDescriptor {
  return slice;
}
