/*
 * Loads snapshots in parts: the footer first, then runs of slices, each a task of its own, so that
 * one large file is read, checked and decompressed by all threads. The largest parts of all files go
 * first, and no more of them are under way than there are threads.
 *
 * Memory: what is loaded, nothing beside it; slabs are lent to a task and are the caller's, or back
 * in the pool, when it ends. A part that fails ends the others of its file.
 */
import { AbortedError } from '../errors.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import { sliceLayout, type SliceDescriptor } from '../snapshot/slice.ts';
import type { SliceRecord } from '../snapshot/snapshot-footer.ts';
import type { LoadSnapshotOutput, Verification } from '../snapshot/tasks.ts';
import type { TaskPool } from './task-pool.ts';

const partBytesDefault = 8 * 1024 * 1024;
/** What a task keeps of slabs that are lent to it (snapshot/task-memory.ts). */
const lentBytesMax = 256 * 1024 * 1024;

/** A snapshot that is a file of this machine. */
export interface SnapshotFile {
  readonly path: string;
  /** SHA-256 that it must have; only compared when `verification` is `full`. */
  readonly sha256?: string | undefined;
  /** Bytes that it must have. */
  readonly bytes?: number;
  /** @defaultValue `standard` */
  readonly verification?: Verification;
}

/** What has been loaded. */
export interface LoadedPart {
  /** In the file. */
  readonly storedBytes: number;
  readonly entryCount: number;
  /** Of entries. */
  readonly dataBytes: number;
}

/** What loads run on. */
export interface LoadTools {
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  readonly signal?: AbortSignal | undefined;
  /** Shared by the files that are loaded together. @defaultValue one of its own */
  readonly queue?: LoadQueue | undefined;
  /**
   * Bytes of entries that a part has at least, unless the file ends: slices are not divided.
   * @defaultValue 8388608 (8 MiB)
   */
  readonly partBytes?: number;
  /** Hears of each part that has been loaded. */
  readonly onPart?: ((part: LoadedPart) => void) | undefined;
}

/** A snapshot with all of its slices. */
export type LoadedSnapshot = Omit<LoadSnapshotOutput, 'spareSlabs'>;

/** Reads trailer and footer: what a snapshot holds, and where; `slices` is empty. */
export async function openSnapshotFile(
  file: SnapshotFile,
  { pool, signal }: Pick<LoadTools, 'pool' | 'signal'>,
): Promise<LoadedSnapshot> {
  const { path, bytes, verification } = file;
  // The digest of the whole file is a part of its own: nothing waits for it before it begins.
  const level = verification === 'none' ? 'none' : 'basic';
  const size = bytes === undefined ? {} : { bytes };
  const input = { path, sliceIndexes: [], verification: level, ...size } as const;
  return pool.run('loadSnapshot', input, signal);
}

/** Loads some slices of a file in one task; they are the caller's, in the order of the indexes. */
export async function loadSlices(
  { path, verification = 'standard' }: SnapshotFile,
  slices: readonly PlacedSlice[],
  { pool, slabs, signal }: Pick<LoadTools, 'pool' | 'slabs' | 'signal'>,
): Promise<readonly SliceDescriptor[]> {
  const lent = lend(
    slices.map(({ record }) => record),
    slabs,
  );
  const sliceIndexes = slices.map(({ index }) => index);
  const input = { path, sliceIndexes, verification, spareSlabs: lent };
  let output: LoadSnapshotOutput;
  try {
    output = await pool.run('loadSnapshot', input, signal);
  } catch (error) {
    // The task has ended, so nobody writes to them any more.
    for (const slab of lent) slabs.release(slab);
    throw error;
  }
  for (const slab of output.spareSlabs) slabs.release(slab);
  return output.slices;
}

/** Loads a snapshot whole. Damage is a CorruptionError (CORRUPT_SNAPSHOT), and nothing is kept. */
export async function loadWhole(file: SnapshotFile, on: LoadTools): Promise<LoadedSnapshot> {
  const { partBytes = partBytesDefault } = on;
  if (file.bytes !== undefined && file.bytes <= partBytes) return loadAtOnce(file, on);
  const opened = await openSnapshotFile(file, on);
  const kept = opened.records.map((record, index) => ({ index, record }));
  return { ...opened, slices: await new FileLoad(file, on).run({ kept, checked: [] }) };
}

/** A slice by its place in the file. */
export interface PlacedSlice {
  readonly index: number;
  readonly record: SliceRecord;
}

/** Slices of a file whose footer has been read. */
export interface SlicesToLoad {
  /** The caller's afterwards. */
  readonly kept: readonly PlacedSlice[];
  /** Only read and checked: no more of them is held than is under way. */
  readonly checked: readonly PlacedSlice[];
}

/** Loads slices of a file, in their order, as a load of the whole file does. */
export function loadSome(
  file: SnapshotFile,
  slices: SlicesToLoad,
  on: LoadTools,
): Promise<readonly SliceDescriptor[]> {
  return new FileLoad(file, on).run(slices);
}

/** A small file, which is opened once. */
async function loadAtOnce(file: SnapshotFile, on: LoadTools): Promise<LoadedSnapshot> {
  const { pool, slabs, signal, onPart, queue } = on;
  const load = (): Promise<LoadSnapshotOutput> => pool.run('loadSnapshot', file, signal);
  const output = await (queue ? queue.run(file.bytes ?? 0, load) : load());
  for (const slab of output.spareSlabs) slabs.release(slab);
  onPart?.(sumOf(output.records));
  return output;
}

function sumOf(records: readonly SliceRecord[]): LoadedPart {
  const sum = { storedBytes: 0, dataBytes: 0, entryCount: 0 };
  for (const { storedBytes, dataBytes, entryCount } of records) {
    sum.storedBytes += storedBytes;
    sum.dataBytes += dataBytes;
    sum.entryCount += entryCount;
  }
  return sum;
}

/** Runs what is given to it, the heaviest first, a bounded number at a time. */
export class LoadQueue {
  readonly #most: number;
  /** By weight, the heaviest last. */
  readonly #waiting: { readonly weight: number; readonly start: () => void }[] = [];
  #underWay = 0;

  /** @param most how many run at once */
  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(weight: number, act: () => Promise<T>): Promise<T> {
    await this.#turn(weight);
    try {
      return await act();
    } finally {
      this.#underWay--;
      this.#next();
    }
  }

  #turn(weight: number): Promise<void> {
    return new Promise((resolve) => {
      const behind = this.#waiting.findIndex((other) => other.weight >= weight);
      const at = behind < 0 ? this.#waiting.length : behind;
      this.#waiting.splice(at, 0, { weight, start: resolve });
      // In the next microtask: parts that are put in together are chosen from together.
      queueMicrotask(() => this.#next());
    });
  }

  #next(): void {
    while (this.#underWay < this.#most) {
      const next = this.#waiting.pop();
      if (!next) return;
      this.#underWay++;
      next.start();
    }
  }
}

/** The parts of one file. */
class FileLoad {
  readonly #file: SnapshotFile;
  readonly #on: LoadTools;
  readonly #queue: LoadQueue;
  readonly #stop = new AbortController();
  #failure: Error | undefined;

  constructor(file: SnapshotFile, on: LoadTools) {
    this.#file = file;
    this.#on = on;
    this.#queue = on.queue ?? new LoadQueue(on.pool.threadsMax);
  }

  async run({ kept, checked }: SlicesToLoad): Promise<SliceDescriptor[]> {
    const { signal, slabs } = this.#on;
    const stop = (): void => this.#fail(signal?.reason);
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop);
    try {
      const { partBytes = partBytesDefault } = this.#on;
      const parts = partsOf(kept, partBytes).map((part) => this.#part(part));
      const checks = partsOf(checked, partBytes).map((part) => this.#check(part));
      const [slices] = await Promise.all([Promise.all(parts), this.#digest(), ...checks]);
      const loaded = slices.flat();
      if (this.#failure === undefined) return loaded;
      for (const { buffer } of loaded) slabs.release(buffer);
      throw this.#failure;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Never rejects: a failure is kept, and ends the other parts. */
  async #part(part: Part): Promise<readonly SliceDescriptor[]> {
    return this.#queue.run(part.dataBytes, async () => {
      if (this.#stop.signal.aborted) return [];
      try {
        const { signal } = this.#stop;
        const loaded = await loadSlices(this.#file, part.slices, { ...this.#on, signal });
        const { storedBytes, dataBytes, entryCount } = part;
        this.#on.onPart?.({ storedBytes, dataBytes, entryCount });
        return loaded;
      } catch (error) {
        this.#fail(error);
        return [];
      }
    });
  }

  async #check(part: Part): Promise<void> {
    for (const { buffer } of await this.#part(part)) this.#on.slabs.release(buffer);
  }

  async #digest(): Promise<void> {
    const { path, sha256, verification } = this.#file;
    if (verification !== 'full' || sha256 === undefined) return;
    await this.#queue.run(Number.POSITIVE_INFINITY, async () => {
      if (this.#stop.signal.aborted) return;
      const input = { path, sha256, verification, sliceIndexes: [] };
      const checked = this.#on.pool.run('loadSnapshot', input, this.#stop.signal);
      await checked.catch((error: unknown) => this.#fail(error));
    });
  }

  /** The first failure counts; the parts that end because of it say nothing new. */
  #fail(error: unknown): void {
    this.#failure ??=
      error instanceof Error
        ? error
        : new AbortedError('ABORTED', 'the load was aborted', {}, error);
    this.#stop.abort();
  }
}

interface Part extends LoadedPart {
  readonly slices: readonly PlacedSlice[];
}

/** Runs of slices that are neighbours in what is to be loaded. */
function partsOf(all: readonly PlacedSlice[], partBytes: number): Part[] {
  const parts: Part[] = [];
  let slices: PlacedSlice[] = [];
  let dataBytes = 0;
  for (const [i, slice] of all.entries()) {
    slices.push(slice);
    dataBytes += slice.record.dataBytes;
    if (dataBytes < partBytes && i < all.length - 1) continue;
    parts.push({ slices, ...sumOf(slices.map((slice) => slice.record)) });
    slices = [];
    dataBytes = 0;
  }
  return parts;
}

/** Slabs of the sizes that the slices need, as far as a task would keep them. */
function lend(records: readonly SliceRecord[], slabs: SlabPool): SharedArrayBuffer[] {
  const lent: SharedArrayBuffer[] = [];
  let bytes = 0;
  for (const { dataBytes, entryCount, bucketCount } of records) {
    const { totalBytes } = sliceLayout(dataBytes, entryCount, bucketCount);
    const slab = slabs.acquire(totalBytes);
    bytes += slab.byteLength;
    lent.push(slab);
    if (bytes <= lentBytesMax) continue;
    for (const each of lent) slabs.release(each);
    return [];
  }
  return lent;
}
