/*
 * The log behind a checkpoint as one image, made by all threads: the log is cut into pieces, each
 * becomes an image of its own, and ranges of those images are merged side by side. That is what one
 * task makes of the whole log, because merging is associative (log-fold.ts folds in the same way).
 *
 * Memory: a piece a thread, and the tail twice while its pieces are merged, of which each slice is
 * given back with the last range that reads it. A piece that is found damaged decides nothing: the
 * log is then read whole by one task, which says what is wrong with it, and where.
 */
import { AbortedError, CorruptionError, TidemarkError } from '../errors.ts';
import type { LogInput } from '../snapshot/log-fold.ts';
import type { RunLogRange } from '../snapshot/log-run.ts';
import {
  countOverlapping,
  overlaps,
  planRanges,
  type MergeRange,
} from '../snapshot/merge-ranges.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { BuildTailInput, BuildTailOutput } from '../snapshot/tasks.ts';
import { LoadQueue } from './snapshot-load.ts';
import type { TaskPool } from './task-pool.ts';

/** Bytes of log that a piece has, about: between these, as the threads need. */
const pieceBytesLeast = 4 * 1024 * 1024;
const pieceBytesMost = 32 * 1024 * 1024;
/** Pieces, and ranges, for each thread, so that none waits long for the last of another. */
const sharesOfThread = 4;

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
      const pieces = await this.#pieces();
      const images = await this.#all(pieces.map((piece) => this.#read(piece)));
      const summed = this.#sum(images);
      const slices = await this.#merge(images, summed.lastTimestamp);
      return { ...summed, slices };
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

  /** One piece as an image, with the LSN before it. */
  #read(ranges: readonly RunLogRange[]): Promise<BuiltTail & { readonly fromLsn: number }> {
    const { fromLsn: after, seed, groupBits, rules } = this.#input;
    const fromLsn = Math.max(after ?? 0, (ranges[0]?.firstLsn ?? 1) - 1);
    const input: BuildTailInput = { ranges, fromLsn, seed, groupBits, rules };
    return this.#run(async (signal) => {
      const { spareSlabs, ...built } = await this.#on.pool.run('buildTail', input, signal);
      this.#keep(built.slices, spareSlabs);
      this.#on.onPiece?.(pieceOf(built));
      return { ...built, fromLsn };
    });
  }

  /** What all pieces are together; a gap between two of them is found by one that reads it all. */
  #sum(images: readonly (BuiltTail & { readonly fromLsn: number })[]): Omit<BuiltTail, 'slices'> {
    const { fromLsn = 0, fromTimestamp: lastTimestamp = 0, ranges } = this.#input;
    const logBytes = bytesOf(ranges);
    const sum = { lastLsn: fromLsn, lastTimestamp, commitCount: 0, logBytes };
    for (const { commitCount, ...image } of images) {
      if (commitCount === 0) continue;
      if (image.fromLsn !== sum.lastLsn) throw broken(sum.lastLsn, image.fromLsn);
      ({ lastLsn: sum.lastLsn, lastTimestamp: sum.lastTimestamp } = image);
      sum.commitCount += commitCount;
    }
    const due = this.#input.lastLsn;
    if (due !== undefined && sum.lastLsn !== due) throw broken(due, sum.lastLsn);
    return sum;
  }

  async #merge(images: readonly BuiltTail[], lastTimestamp: number): Promise<SliceDescriptor[]> {
    const { groupBits } = this.#input;
    const inputs = images.map(({ slices }) => slices).filter((slices) => slices.length > 0);
    if (images.length <= 1) return inputs.flat();
    const all = inputs.flat();
    const bytes = all.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
    const target = bytes / (this.#on.pool.threadsMax * sharesOfThread);
    const ranges = planRanges(all, groupBits, Math.max(target, this.#pieceBytes / 2));
    const users = new Map(all.map((slice) => [slice, countOverlapping(ranges, slice)]));
    const merged = await this.#all(
      ranges.map((range) =>
        this.#run(async (signal) => {
          const slices = await this.#mergeRange({ inputs, range, lastTimestamp }, signal);
          for (const slice of all) if (overlaps(slice, range)) this.#release(slice, users);
          return slices;
        }),
      ),
    );
    return merged.flat();
  }

  async #mergeRange(
    part: {
      readonly inputs: readonly (readonly SliceDescriptor[])[];
      readonly range: MergeRange;
      readonly lastTimestamp: number;
    },
    signal: AbortSignal,
  ): Promise<readonly SliceDescriptor[]> {
    const { pool, slabs } = this.#on;
    const { groupBits, rules } = this.#input;
    const inputs = part.inputs.map((slices) => slices.filter((one) => overlaps(one, part.range)));
    const spareSlabs = slabs.drain();
    const input = { ...part, inputs, groupBits, rules, spareSlabs };
    try {
      const output = await pool.run('mergeSlices', input, signal);
      this.#keep(output.slices, output.spareSlabs);
      return output.slices;
    } catch (error) {
      for (const slab of spareSlabs) slabs.release(slab);
      throw error;
    }
  }

  #keep(slices: readonly SliceDescriptor[], spare: readonly SharedArrayBuffer[]): void {
    for (const { buffer } of slices) this.#held.add(buffer);
    for (const slab of spare) this.#on.slabs.release(slab);
  }

  #release(slice: SliceDescriptor, users: Map<SliceDescriptor, number>): void {
    const left = users.get(slice)! - 1;
    users.set(slice, left);
    if (left > 0) return;
    this.#held.delete(slice.buffer);
    this.#on.slabs.release(slice.buffer);
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
