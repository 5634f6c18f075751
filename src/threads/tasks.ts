/*
 * The tasks that a worker thread can run. Each is an async function of (file system, input, context)
 * whose input and output are plain data and shared buffers.
 */
import {
  buildDelta,
  buildTail,
  loadSnapshot,
  verifySnapshot,
  type TaskContext,
} from '../snapshot/tasks.ts';
import {
  discardSnapshot,
  finishSnapshot,
  mergeRange,
  startSnapshot,
  writeSlices,
} from '../snapshot/merge-tasks.ts';

import { cutLog, mergeRuns, mergeSlices, sortLog } from '../snapshot/tail-tasks.ts';

export type { TaskContext };

export const tasks: {
  readonly buildDelta: typeof buildDelta;
  readonly buildTail: typeof buildTail;
  readonly cutLog: typeof cutLog;
  readonly sortLog: typeof sortLog;
  readonly mergeRuns: typeof mergeRuns;
  readonly mergeSlices: typeof mergeSlices;
  readonly mergeRange: typeof mergeRange;
  readonly startSnapshot: typeof startSnapshot;
  readonly writeSlices: typeof writeSlices;
  readonly finishSnapshot: typeof finishSnapshot;
  readonly discardSnapshot: typeof discardSnapshot;
  readonly loadSnapshot: typeof loadSnapshot;
  readonly verifySnapshot: typeof verifySnapshot;
} = {
  buildDelta,
  buildTail,
  cutLog,
  sortLog,
  mergeRuns,
  mergeSlices,
  mergeRange,
  startSnapshot,
  writeSlices,
  finishSnapshot,
  discardSnapshot,
  loadSnapshot,
  verifySnapshot,
};

export type TaskName = keyof typeof tasks;
export type TaskInput<N extends TaskName> = Parameters<(typeof tasks)[N]>[1];
export type TaskOutput<N extends TaskName> = Awaited<ReturnType<(typeof tasks)[N]>>;
