/*
 * Writes merged entries into a new snapshot file, slice by slice, from merges that come one after
 * another: the ranges of a walk. Slices are cut where one merge over everything would cut them, so
 * the file does not show how it was made. In memory are the slice that is being built and the one
 * that is being written.
 */
import type { FileHandle, FileSystem } from '../../fs/file-system.ts';
import { toStorageError } from '../../errors.ts';
import type { MergeIterator } from '../../snapshot/merge-iterator.ts';
import { fillSlice } from '../../snapshot/merge-sink.ts';
import type { SlabPool } from '../../snapshot/slab-pool.ts';
import { SliceBuilder } from '../../snapshot/slice-builder.ts';
import {
  SnapshotWriter,
  type SnapshotSummary,
  type SnapshotWriterOptions,
} from '../../snapshot/snapshot-writer.ts';
import type { Turns } from '../../snapshot/task-context.ts';

/** What a file is written with. */
export interface OutputTools {
  readonly slabs: SlabPool;
  readonly turns: Turns;
  readonly sliceBytesMax: number;
}

/** Takes merges, in order. */
export interface EntrySink {
  drain(merge: MergeIterator): Promise<void>;
}

/**
 * Writes one file with what `fill` drains into it. The file is complete and synced when this
 * resolves, and not there when it rejects.
 */
export async function writeOutput(
  fs: FileSystem,
  options: SnapshotWriterOptions,
  tools: OutputTools,
  fill: (sink: EntrySink) => Promise<void>,
): Promise<SnapshotSummary> {
  const { path } = options;
  let handle: FileHandle;
  try {
    handle = await fs.open(path, 'create');
  } catch (error) {
    throw toStorageError(error, 'create', path);
  }
  try {
    const sink = new SliceSink(new SnapshotWriter(handle, options, tools.turns), tools);
    await fill(sink);
    const summary = await sink.finish();
    await handle.close();
    return summary;
  } catch (error) {
    // The first error is the one to report; a part that cannot be removed now is nobody's file.
    await Promise.allSettled([handle.close(), fs.unlink(path)]);
    throw error;
  }
}

class SliceSink implements EntrySink {
  readonly #writer: SnapshotWriter;
  readonly #tools: OutputTools;
  readonly #builder: SliceBuilder;

  constructor(writer: SnapshotWriter, tools: OutputTools) {
    this.#writer = writer;
    this.#tools = tools;
    this.#builder = new SliceBuilder(tools.slabs, tools.sliceBytesMax, 0);
  }

  async drain(merge: MergeIterator): Promise<void> {
    const { turns } = this.#tools;
    for (;;) {
      const outcome = fillSlice(merge, this.#builder, turns);
      if (outcome === 'end') return;
      if (outcome === 'pause') {
        await turns.pause();
      } else {
        await this.#close();
        if (outcome === 'entry') this.#builder.append(merge);
      }
    }
  }

  async finish(): Promise<SnapshotSummary> {
    await this.#close();
    return this.#writer.finish();
  }

  async #close(): Promise<void> {
    const slice = this.#builder.finish();
    if (!slice) return;
    await this.#writer.writeSlice(slice);
    this.#tools.slabs.release(slice.buffer);
  }
}
