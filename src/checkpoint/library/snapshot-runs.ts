/*
 * The external sort of the library's writer: an arena takes entries in any order; a full one is
 * sorted and spilled as a run, a snapshot file beside the final one, while the next fills; `merged`
 * gives everything in order. Runs are merged by sixteen whenever so many of one level stand behind
 * each other, so the number of open files grows with the logarithm of the input.
 *
 * Memory: two arenas of half of `memoryBytesMax`, and of each run a slice while merging. Nothing
 * here is durable, and need not be: runs are removed with the attempt that made them.
 */
import { StorageError } from '../../errors.ts';
import type { FileSystem } from '../../fs/file-system.ts';
import { MergeIterator } from '../../snapshot/merge-iterator.ts';
import { RunCursor } from '../../snapshot/run-cursor.ts';
import type { SlabPool } from '../../snapshot/slab-pool.ts';
import type { SnapshotHeader } from '../../snapshot/snapshot-format.ts';
import type { Turns } from '../../snapshot/task-context.ts';
import { EntryArena, type ArenaEntry } from './snapshot-arena.ts';
import { closeSnapshotFiles, openSnapshotFiles, type PartFiles } from './snapshot-file.ts';
import { writeOutput, type EntrySink } from './snapshot-output.ts';
import { walkRanges } from './snapshot-walk.ts';

const RUNS_OF_LEVEL = 16;

/** What runs stand on. */
export interface RunsInput {
  readonly fs: FileSystem;
  readonly parts: PartFiles;
  /** Of the file that is being made; its LSN and time are those of all entries. */
  readonly header: SnapshotHeader;
  readonly slabs: SlabPool;
  readonly turns: Turns;
  readonly memoryBytesMax: number;
}

interface Run {
  readonly path: string;
  readonly level: number;
}

export class SnapshotRuns {
  readonly #input: RunsInput;
  readonly #arenaBytesMax: number;
  #arena: EntryArena;
  #runs: Run[] = [];
  #spilling: Promise<void> | undefined;
  #failure: Error | undefined;
  #written = 0;
  #distinct = 0;

  constructor(input: RunsInput) {
    this.#input = input;
    this.#arenaBytesMax = input.memoryBytesMax / 2;
    this.#arena = this.#newArena();
  }

  /** Entries that were added. */
  get written(): number {
    return this.#written;
  }

  /** Different keys among them, once `merged` has ended. */
  get distinct(): number {
    return this.#distinct;
  }

  get spilledRuns(): number {
    return this.#runs.length;
  }

  /**
   * Adds an entry. A promise when memory is full until a run has been written; whoever goes on
   * without waiting is refused past twice the bound.
   */
  add(entry: ArenaEntry): Promise<void> | undefined {
    if (this.#failure) throw this.#failure;
    const { memoryBytes } = this.#arena;
    if (this.#spilling && memoryBytes > 2 * this.#arenaBytesMax) {
      throw new StorageError(
        'OVERLOADED',
        'entries come faster than they are written: await write',
        {
          memoryBytes,
        },
      );
    }
    this.#arena.add(entry);
    this.#written++;
    if (this.#arena.memoryBytes < this.#arenaBytesMax) return undefined;
    if (this.#spilling) return this.#spilling;
    // Filling goes on in a fresh arena meanwhile.
    this.#startSpill();
    return undefined;
  }

  /**
   * Everything in order, one entry a key, the last one written: gives the sink one merge after the
   * other. `base` leaves out what is deleted or expired.
   */
  async merged(sink: EntrySink, base: boolean): Promise<void> {
    await this.settle();
    if (this.#failure) throw this.#failure;
    const { turns, slabs } = this.#input;
    const last = await this.#arena.sort(turns);
    if (this.#runs.length === 0) {
      await sink.drain(this.#finalMerge([last], base));
      return;
    }
    await this.#spill(this.#arena);
    const files = await openSnapshotFiles(
      this.#input.fs,
      this.#runs.map(({ path }) => path),
    );
    try {
      const readers = files.map(({ reader }) => ({ reader }));
      for await (const { cursors } of walkRanges(readers, { slabs, turns })) {
        await sink.drain(this.#finalMerge(cursors, base));
      }
    } finally {
      await closeSnapshotFiles(files);
    }
  }

  /** Waits for a spill that is under way, however it ends. */
  async settle(): Promise<void> {
    await Promise.allSettled([this.#spilling]);
  }

  #newArena(): EntryArena {
    const { lastLsn: lsn, lastTimestamp: timestamp, seed } = this.#input.header;
    return new EntryArena({ lsn, timestamp, seed });
  }

  #startSpill(): void {
    const full = this.#arena;
    this.#arena = this.#newArena();
    this.#spilling = this.#spill(full).then(
      () => {
        this.#spilling = undefined;
      },
      (error: Error) => {
        // Told by the next call: the caller may be waiting for nothing just now.
        this.#failure = error;
        this.#spilling = undefined;
      },
    );
  }

  async #spill(arena: EntryArena): Promise<void> {
    const cursor = await arena.sort(this.#input.turns);
    await this.#writeRun(0, (sink) => sink.drain(this.#merge([cursor])));
    for (;;) {
      const level = this.#runs.at(-1)!.level;
      const newest = this.#runs.slice(-RUNS_OF_LEVEL);
      if (newest.length < RUNS_OF_LEVEL || newest[0]!.level !== level) return;
      await this.#joinRuns(newest, level + 1);
    }
  }

  async #joinRuns(runs: readonly Run[], level: number): Promise<void> {
    const { fs, parts, slabs, turns } = this.#input;
    const files = await openSnapshotFiles(
      fs,
      runs.map(({ path }) => path),
    );
    this.#runs = this.#runs.slice(0, -runs.length);
    try {
      const readers = files.map(({ reader }) => ({ reader }));
      await this.#writeRun(level, async (sink) => {
        for await (const { cursors } of walkRanges(readers, { slabs, turns })) {
          await sink.drain(this.#merge(cursors));
        }
      });
    } finally {
      await closeSnapshotFiles(files);
    }
    for (const { path } of runs) await parts.remove(path);
  }

  async #writeRun(level: number, fill: (sink: EntrySink) => Promise<void>): Promise<void> {
    const { fs, parts, header, slabs, turns, memoryBytesMax } = this.#input;
    const path = parts.next();
    const options = {
      path,
      // Deletes stay: they may meet what an older run holds.
      header: { ...header, kind: 'delta', fromLsn: header.lastLsn - 1 },
      compression: { codec: 'lz4' },
      parents: [],
    } as const;
    const sliceBytesMax = Math.max(LEAST_SLICE_BYTES, Math.floor(memoryBytesMax / 64));
    await writeOutput(fs, options, { slabs, turns, sliceBytesMax }, fill);
    this.#runs.push({ path, level });
  }

  #merge(cursors: readonly RunCursor[]): MergeIterator {
    return this.#mergeOf(cursors, false);
  }

  #mergeOf(cursors: readonly RunCursor[], base: boolean): MergeIterator {
    const { lastTimestamp, groupBits } = this.#input.header;
    return new MergeIterator(cursors, { base, lastTimestamp, rules: [], groupBits });
  }

  /** Folds, counts what is left, and then drops what a base does not hold. */
  #finalMerge(cursors: readonly RunCursor[], base: boolean): MergeIterator {
    const counted = new CountedCursor(this.#merge(cursors), () => {
      this.#distinct++;
    });
    return this.#mergeOf([counted], base);
  }
}

const LEAST_SLICE_BYTES = 16 * 1024;

/** Counts what another cursor reads. */
class CountedCursor extends RunCursor {
  readonly #from: RunCursor;
  readonly #count: () => void;

  constructor(from: RunCursor, count: () => void) {
    super();
    this.#from = from;
    this.#count = count;
  }

  override becomeInput(): void {
    this.#from.becomeInput();
  }

  next(): boolean {
    if (!this.#from.next()) return false;
    this.assign(this.#from);
    this.#count();
    return true;
  }
}
