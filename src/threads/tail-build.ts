/*
 * The log behind a checkpoint as one image, made by all threads: the log is cut into pieces, each is
 * sorted, and ranges of the sorted pieces are merged side by side. A long log is done in batches,
 * whose images are merged in the end. That is what one task makes of the whole log, because merging
 * is associative (log-fold.ts folds in the same way).
 *
 * Memory: a batch of log, and the tail twice while images are merged, of which each slice is given
 * back with the last range that reads it. A piece that is found damaged decides nothing: the log is
 * then read whole by one task, which says what is wrong with it, and where.
 */
import { AbortedError, CorruptionError, TidemarkError } from '../errors.ts';
import type { LogInput } from '../snapshot/log-fold.ts';
import type { RunLogRange } from '../snapshot/log-run.ts';
import {
  countOverlapping,
  overlaps,
  planRanges,
  type MergeRange,
  type SliceSpan,
} from '../snapshot/merge-ranges.ts';
import { slabsOfRun } from '../snapshot/shared-run.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { BuildTailOutput } from '../snapshot/tasks.ts';
import type { MergeSlicesOutput, SortLogOutput } from '../snapshot/tail-tasks.ts';
import { LoadQueue } from './snapshot-load.ts';
import type { TaskPool } from './task-pool.ts';
import type { TaskInput } from './tasks.ts';

/** Bytes of log that a piece has, about: between these, as the threads need. */
const pieceBytesLeast = 16 * 1024 * 1024;
const pieceBytesMost = 32 * 1024 * 1024;
/** Bytes of log that are held in memory at once, about. */
const batchBytesDefault = 256 * 1024 * 1024;
/** Pieces, and ranges, for each thread, so that none waits long for the last of another. */
const sharesOfThread = 3;

/** What has been read of a log. */
export interface ReplayedPiece {
  readonly logBytes: number;
  /** That are left of it. */
  readonly entryCount: number;
}

/** What the build runs on. */
export interface TailTools {
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of log that a piece has, about. @defaultValue as the threads need */
  readonly pieceBytes?: number;
  /** Bytes of log that are held in memory at once, about. @defaultValue 268435456 (256 MiB) */
  readonly batchBytes?: number;
  /** Hears of each piece that has been read. */
  readonly onPiece?: ((piece: ReplayedPiece) => void) | undefined;
}

/** The image of a log; its slices are the caller's. */
export type BuiltTail = Omit<BuildTailOutput, 'spareSlabs'>;

/** Folds a part of the log into an image. */
export async function buildTailInParts(input: LogInput, on: TailTools): Promise<BuiltTail> {
  const logBytes = bytesOf(input.ranges);
  const { pool } = on;
  const share = Math.ceil(logBytes / (pool.threadsMax * sharesOfThread));
  const least = Math.min(Math.max(share, pieceBytesLeast), pieceBytesMost);
  const { pieceBytes = least } = on;
  if (pool.threadsMax === 1 || logBytes < 2 * pieceBytes) return buildAtOnce(input, on);
  const build = new TailBuild(input, on, pieceBytes);
  try {
    return await build.run();
  } catch (error) {
    build.undo();
    const isDamage = error instanceof TidemarkError && error.kind === 'corrupt';
    if (!isDamage) throw build.failure(error);
    return buildAtOnce(input, on);
  }
}

async function buildAtOnce(
  input: LogInput,
  { pool, slabs, signal, onPiece }: TailTools,
): Promise<BuiltTail> {
  const { spareSlabs, ...built } = await pool.run('buildTail', input, signal);
  for (const slab of spareSlabs) slabs.release(slab);
  onPiece?.(pieceOf(built));
  return built;
}

class TailBuild {
  readonly #input: LogInput;
  readonly #on: TailTools;
  readonly #pieceBytes: number;
  readonly #queue: LoadQueue;
  /** Ends the others when one task fails. */
  readonly #stop = new AbortController();
  readonly #held = new Set<SharedArrayBuffer>();

  constructor(input: LogInput, on: TailTools, pieceBytes: number) {
    this.#input = input;
    this.#on = on;
    this.#pieceBytes = pieceBytes;
    this.#queue = new LoadQueue(on.pool.threadsMax);
  }

  async run(): Promise<BuiltTail> {
    const { signal } = this.#on;
    const stop = (): void => this.#stop.abort();
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop);
    try {
      const pieces: Piece[] = [];
      const images: (readonly SliceDescriptor[])[] = [];
      for (const batch of this.#batches(await this.#pieces())) {
        const sorted = await this.#all(batch.map((ranges) => this.#sort(ranges)));
        pieces.push(...sorted);
        const { lastTimestamp } = this.#sum(pieces);
        images.push(await this.#mergeSorted(sorted, lastTimestamp));
      }
      const summed = this.#sum(pieces);
      const due = this.#input.lastLsn;
      if (due !== undefined && summed.lastLsn !== due) throw broken(due, summed.lastLsn);
      return { ...summed, slices: await this.#mergeImages(images, summed.lastTimestamp) };
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Gives back what it holds; nothing of it runs any more. */
  undo(): void {
    for (const slab of this.#held) this.#on.slabs.release(slab);
    this.#held.clear();
  }

  /** After an abort every task fails for it, and the reason counts. */
  failure(error: unknown): unknown {
    const { signal } = this.#on;
    if (signal?.aborted !== true) return error;
    const reason: unknown = signal.reason;
    if (reason instanceof TidemarkError) return reason;
    return new AbortedError('ABORTED', 'the replay was aborted', {}, reason);
  }

  async #pieces(): Promise<readonly (readonly RunLogRange[])[]> {
    const { lastLsn } = this.#input;
    // What is above it belongs to no piece, and none has to end with it.
    const ranges = this.#input.ranges.map((range) =>
      lastLsn === undefined
        ? range
        : { ...range, throughLsn: Math.min(range.throughLsn ?? lastLsn, lastLsn) },
    );
    const input = { ranges, pieceBytes: this.#pieceBytes };
    return this.#on.pool.run('cutLog', input, this.#stop.signal);
  }

  /** Pieces that are held in memory together. */
  #batches(pieces: readonly (readonly RunLogRange[])[]): (readonly RunLogRange[])[][] {
    const { batchBytes = batchBytesDefault } = this.#on;
    const batches: (readonly RunLogRange[])[][] = [];
    let batch: (readonly RunLogRange[])[] = [];
    let bytes = 0;
    for (const piece of pieces) {
      const more = bytesOf(piece);
      if (batch.length > 0 && bytes + more > batchBytes) {
        batches.push(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(piece);
      bytes += more;
    }
    if (batch.length > 0) batches.push(batch);
    return batches;
  }

  /** One piece, with the LSN before it. */
  #sort(ranges: readonly RunLogRange[]): Promise<Piece> {
    const { fromLsn: after, seed, groupBits } = this.#input;
    const fromLsn = Math.max(after ?? 0, (ranges[0]?.firstLsn ?? 1) - 1);
    return this.#run(async (signal) => {
      const input = { ranges, fromLsn, seed, groupBits };
      const sorted = await this.#on.pool.run('sortLog', input, signal);
      this.#keep(sorted.runs.flatMap(slabsOfRun), sorted.spareSlabs);
      const { logBytes, entryCount } = sorted;
      this.#on.onPiece?.({ logBytes, entryCount });
      return { ...sorted, fromLsn };
    });
  }

  /** What pieces are together; a gap between two of them is found by one that reads it all. */
  #sum(pieces: readonly Piece[]): Omit<BuiltTail, 'slices'> {
    const { fromLsn = 0, fromTimestamp: lastTimestamp = 0, ranges } = this.#input;
    const logBytes = bytesOf(ranges);
    const sum = { lastLsn: fromLsn, lastTimestamp, commitCount: 0, logBytes };
    for (const { commitCount, ...piece } of pieces) {
      if (commitCount === 0) continue;
      if (piece.fromLsn !== sum.lastLsn) throw broken(sum.lastLsn, piece.fromLsn);
      ({ lastLsn: sum.lastLsn, lastTimestamp: sum.lastTimestamp } = piece);
      sum.commitCount += commitCount;
    }
    return sum;
  }

  /** The image of a batch; what it was made of goes back. */
  async #mergeSorted(
    pieces: readonly Piece[],
    lastTimestamp: number,
  ): Promise<readonly SliceDescriptor[]> {
    const { groupBits, rules } = this.#input;
    const runs = pieces.flatMap((piece) => piece.runs);
    const spans = runs.flatMap(({ tables }) => tables);
    const merged = await this.#all(
      this.#ranges(spans).map((range) =>
        this.#run((signal) =>
          this.#merge('mergeRuns', { runs, range, lastTimestamp, groupBits, rules }, signal),
        ),
      ),
    );
    this.#giveBack(runs.flatMap(slabsOfRun));
    return merged.flat();
  }

  #ranges(spans: readonly SliceSpan[]): MergeRange[] {
    const bytes = spans.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
    const target = bytes / (this.#on.pool.threadsMax * sharesOfThread);
    return planRanges(spans, this.#input.groupBits, Math.max(target, this.#pieceBytes / 2));
  }

  async #mergeImages(
    inputs: readonly (readonly SliceDescriptor[])[],
    lastTimestamp: number,
  ): Promise<SliceDescriptor[]> {
    const { groupBits, rules } = this.#input;
    const all = inputs.flat();
    if (inputs.length <= 1) return all;
    const ranges = this.#ranges(all);
    const users = new Map(all.map((slice) => [slice, countOverlapping(ranges, slice)]));
    const merged = await this.#all(
      ranges.map((range) =>
        this.#run(async (signal) => {
          const parts = inputs.map((slices) => slices.filter((slice) => overlaps(slice, range)));
          const input = { inputs: parts, range, lastTimestamp, groupBits, rules };
          const slices = await this.#merge('mergeSlices', input, signal);
          for (const slice of all) if (overlaps(slice, range)) this.#release(slice, users);
          return slices;
        }),
      ),
    );
    return merged.flat();
  }

  async #merge<N extends 'mergeRuns' | 'mergeSlices'>(
    name: N,
    input: TaskInput<N>,
    signal: AbortSignal,
  ): Promise<readonly SliceDescriptor[]> {
    const { pool, slabs } = this.#on;
    const spareSlabs = slabs.drain();
    try {
      const output = await pool.run(name, { ...input, spareSlabs }, signal);
      const { slices } = output as MergeSlicesOutput;
      this.#keep(
        slices.map(({ buffer }) => buffer),
        output.spareSlabs,
      );
      return slices;
    } catch (error) {
      for (const slab of spareSlabs) slabs.release(slab);
      throw error;
    }
  }

  #keep(held: readonly SharedArrayBuffer[], spare: readonly SharedArrayBuffer[]): void {
    for (const slab of held) this.#held.add(slab);
    for (const slab of spare) this.#on.slabs.release(slab);
  }

  #giveBack(slabs: readonly SharedArrayBuffer[]): void {
    for (const slab of slabs) {
      this.#held.delete(slab);
      this.#on.slabs.release(slab);
    }
  }

  #release(slice: SliceDescriptor, users: Map<SliceDescriptor, number>): void {
    const left = users.get(slice)! - 1;
    users.set(slice, left);
    if (left === 0) this.#giveBack([slice.buffer]);
  }

  /** Runs a task in its turn; the first that fails ends the others. */
  #run<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#stop;
    return this.#queue.run(0, async () => {
      if (signal.aborted) throw new AbortedError('ABORTED', 'the task was not begun');
      try {
        return await act(signal);
      } catch (error) {
        this.#stop.abort();
        throw error;
      }
    });
  }

  /** All of them, or, when every one has ended, the failure that ended the others. */
  async #all<T>(running: readonly Promise<T>[]): Promise<T[]> {
    const settled = await Promise.allSettled(running);
    const failed = settled.filter((one) => one.status === 'rejected').map(({ reason }) => reason);
    const first = failed.find((error: unknown) => !isAbort(error)) ?? failed[0];
    if (first !== undefined) throw first;
    return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof TidemarkError && error.kind === 'aborted';
}

/** A sorted piece of the log. */
interface Piece extends SortLogOutput {
  /** The LSN before it. */
  readonly fromLsn: number;
}

/** Read whole, the log says where it breaks. */
function broken(expected: number, actual: number): CorruptionError {
  const message = `pieces of the log do not join: LSN ${actual} where ${expected} is due`;
  return new CorruptionError('LOG_HOLE', message, { expected, actual });
}

function bytesOf(ranges: readonly RunLogRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** What has been read of a log, as listeners hear it. */
export function pieceOf({
  logBytes,
  slices,
}: Pick<BuildTailOutput, 'logBytes' | 'slices'>): ReplayedPiece {
  return { logBytes, entryCount: slices.reduce((sum, { entryCount }) => sum + entryCount, 0) };
}
