/*
 * Where an opening runs its tasks: small ones here, since a thread takes longer to start than a few
 * megabytes take to read, and everything else in threads. What is
 * small is counted over the whole opening, so a long chain of small snapshots is none.
 */
import type { FileSystem } from '../fs/file-system.ts';
import type { RunLogRange } from '../snapshot/tasks.ts';
import { InlinePool, type TaskPool } from './task-pool.ts';
import type { TaskInput, TaskName, TaskOutput } from './tasks.ts';

/** Bytes that an opening reads before it starts a thread. */
export const inlineBytesMax: number = 4 * 1024 * 1024;

export class OpeningPool implements TaskPool {
  readonly #inline: InlinePool;
  readonly #threads: TaskPool;
  #spentBytes = 0;

  /** The pool of threads stays the caller's to close. */
  constructor(fs: FileSystem, threads: TaskPool) {
    this.#inline = new InlinePool(fs);
    this.#threads = threads;
  }

  get threadsMax(): number {
    return this.#threads.threadsMax;
  }

  get busyMs(): number | undefined {
    return this.#threads.busyMs;
  }

  run<N extends TaskName>(
    name: N,
    input: TaskInput<N>,
    signal?: AbortSignal,
  ): Promise<TaskOutput<N>> {
    const bytes = bytesOf(name, input);
    if (this.#spentBytes + bytes > inlineBytesMax) return this.#threads.run(name, input, signal);
    this.#spentBytes += bytes;
    return this.#inline.run(name, input, signal);
  }

  close(): Promise<void> {
    return this.#inline.close();
  }
}

/** What a task reads, as far as its input says; what it does not say is too much. */
function bytesOf(name: TaskName, input: unknown): number {
  if (name === 'loadSnapshot') {
    const { bytes, sliceIndexes, verification } = input as TaskInput<'loadSnapshot'>;
    // A footer is small whatever the file is, unless the whole of that is digested.
    if (sliceIndexes?.length === 0 && verification !== 'full') return 0;
    return sliceIndexes === undefined && bytes !== undefined ? bytes : Number.POSITIVE_INFINITY;
  }
  if (name !== 'buildTail') return Number.POSITIVE_INFINITY;
  const { ranges } = input as { readonly ranges: readonly RunLogRange[] };
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}
