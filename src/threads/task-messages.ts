/*
 * What the pool and its threads say to each other. Everything in it can be posted: plain data and
 * shared buffers.
 */
import type { PlainError } from './error-transfer.ts';
import type { TaskName } from './tasks.ts';

/** What a worker thread is sent: a task, or word that one is no longer wanted. */
export type WorkerRequest = TaskRequest | { readonly cancel: number };

export interface TaskRequest {
  readonly id: number;
  readonly name: TaskName;
  readonly input: unknown;
}

/** What it answers. */
export type TaskReply =
  | { readonly id: number; readonly output: unknown }
  | { readonly id: number; readonly error: PlainError };
