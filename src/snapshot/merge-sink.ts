/*
 * Drains a merge into slices, and the slices into a file where there is one. The loop that runs hot
 * is synchronous; turns are yielded between its steps.
 */
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { toStorageError } from '../errors.ts';
import type { MergeIterator } from './merge-iterator.ts';
import type { SlabPool } from './slab-pool.ts';
import { SliceBuilder } from './slice-builder.ts';
import type { SliceDescriptor } from './slice.ts';
import {
  SnapshotWriter,
  type SnapshotSummary,
  type SnapshotWriterOptions,
} from './snapshot-writer.ts';
import type { Turns } from './task-context.ts';

/** Keys of which nothing is left that are folded without yielding. */
const FOLDS_MAX = 10_000;

/** A merge, and about how many bytes its inputs have. */
export interface Drain {
  readonly merge: MergeIterator;
  readonly inputBytes: number;
}

/** What a merge is drained with. */
export interface SinkTools {
  readonly slabs: SlabPool;
  /** Bytes of entries that a slice may have. */
  readonly sliceBytesMax: number;
  readonly turns: Turns;
}

/** Collects a merge in slices; `onSlice` is awaited for each before the next is begun. */
export async function collectSlices(
  { merge, inputBytes }: Drain,
  tools: SinkTools,
  onSlice?: (slice: SliceDescriptor) => Promise<void>,
): Promise<SliceDescriptor[]> {
  const { slabs, sliceBytesMax, turns } = tools;
  const builder = new SliceBuilder(slabs, sliceBytesMax, inputBytes);
  const slices: SliceDescriptor[] = [];
  const close = async (): Promise<void> => {
    const slice = builder.finish();
    if (!slice) return;
    slices.push(slice);
    await onSlice?.(slice);
  };
  for (;;) {
    const outcome = fillSlice(merge, builder, turns);
    if (outcome === 'pause') {
      await turns.pause();
    } else {
      await close();
      if (outcome === 'end') return slices;
      if (outcome === 'entry') builder.append(merge);
    }
  }
}

/**
 * Drains a merge into a slice until something is to be done: `entry` and `full`, the slice is to be
 * closed, before the entry in hand or the next one is added; `pause`, the turn is used up.
 */
export function fillSlice(
  merge: MergeIterator,
  builder: SliceBuilder,
  turns: Turns,
): 'entry' | 'full' | 'end' | 'pause' {
  for (;;) {
    const run = merge.plainRun();
    let bytes: number;
    if (run) {
      const before = builder.length;
      const count = builder.appendRun(run.slice, run.from, run.to);
      if (count === 0) return 'full';
      bytes = builder.length - before;
      merge.take(count);
    } else {
      const step = merge.step(FOLDS_MAX);
      if (step !== 'entry') return step;
      if (!builder.fits(merge)) return 'entry';
      bytes = builder.append(merge);
    }
    if (turns.spend(bytes)) return 'pause';
  }
}

/** What a written merge gives. */
export interface WrittenMerge extends SnapshotSummary {
  readonly slices: SliceDescriptor[];
}

/**
 * Writes a merge into a new file. The file is complete and synced when this resolves, and does not
 * exist when it rejects.
 */
export async function writeMerge(
  fs: FileSystem,
  drain: Drain,
  options: SnapshotWriterOptions,
  tools: SinkTools,
): Promise<WrittenMerge> {
  return createStaged(fs, options.path, async (handle) => {
    const writer = new SnapshotWriter(handle, options, tools.turns);
    const slices = await collectSlices(drain, tools, (slice) => writer.writeSlice(slice));
    return { ...(await writer.finish()), slices };
  });
}

async function createStaged<T>(
  fs: FileSystem,
  path: string,
  write: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  let handle;
  try {
    handle = await fs.open(path, 'create');
  } catch (error) {
    throw toStorageError(error, 'create', path);
  }
  try {
    const written = await write(handle);
    await handle.close();
    return written;
  } catch (error) {
    // The first error is the one to report. What cannot be removed now is a staged file, and those
    // are removed when their store is opened.
    await Promise.allSettled([handle.close(), fs.unlink(path)]);
    throw error;
  }
}
