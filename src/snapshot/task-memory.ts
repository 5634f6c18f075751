/*
 * Memory and turns of a task. Slabs are lent to it and come back in its output, so that threads do
 * not fill up with slabs of their own.
 */
import type { SinkTools } from './merge-sink.ts';
import { SlabPool } from './slab-pool.ts';
import { Turns, type TaskContext } from './task-context.ts';

/** Bytes of entries that a slice has at most unless somebody says otherwise. */
export const sliceBytesDefault: number = 64 * 1024 * 1024;

/** Idle slabs that a task keeps; more are left to the collector. */
const IDLE_BYTES_MAX = 256 * 1024 * 1024;

/** Memory of a task. */
export interface TaskMemory {
  /** Idle slabs lent to the task; those that it does not use come back in the output. */
  readonly spareSlabs?: readonly SharedArrayBuffer[];
}

/** What a task gives back of its memory. */
export interface SparedMemory {
  /** Slabs that nobody reads. */
  readonly spareSlabs: readonly SharedArrayBuffer[];
}

/** What every task starts with. */
export function startTask(
  input: TaskMemory & { readonly sliceBytesMax?: number },
  context: TaskContext,
): SinkTools {
  const turns = new Turns(context);
  turns.check();
  const slabs = new SlabPool(IDLE_BYTES_MAX);
  for (const slab of input.spareSlabs ?? []) slabs.release(slab);
  return { slabs, turns, sliceBytesMax: input.sliceBytesMax ?? sliceBytesDefault };
}
