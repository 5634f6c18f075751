/*
 * Entry file of a worker thread: runs the tasks that it is sent over the real file system, whose
 * calls are synchronous here, and answers with their output or error.
 */
import { platform, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { registerCodecs, type RegisteredCodec } from '../codec/compression-modules.ts';
import { blockingFileSystem } from '../fs/blocking-file-system.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { must } from '../std/assert.ts';
import { errorToPlain } from './error-transfer.ts';
import type { TaskReply, TaskRequest, WorkerRequest } from './task-messages.ts';
import { yieldNow } from '../std/turns.ts';
import { tasks, type TaskContext, type TaskName } from './tasks.ts';

const port = must(parentPort, 'the worker has a parent');
/** Tasks that run here and are no longer wanted. A stopped engine ends the whole thread. */
const cancelled = new Set<number>();

/** Beside an open engine; the other tasks are waited for by somebody. */
const backgroundTasks: readonly TaskName[] = [
  'buildDelta',
  'mergeRange',
  'startSnapshot',
  'writeSlices',
  'finishSnapshot',
];
const backgroundNice = 10;
let yielding = false;
/** A module that cannot be imported here fails the tasks, and not the thread. */
const codecs = registerCodecs(workerData as readonly RegisteredCodec[]);
codecs.catch(() => {});

/**
 * Gives the main thread the first right to a core. On Linux the priority is that of the calling
 * thread; elsewhere it would be that of the whole process. It cannot be raised again.
 */
function yieldToMainThread(): void {
  if (yielding || platform() !== 'linux') return;
  yielding = true;
  setPriority(backgroundNice);
}

async function answer(request: TaskRequest): Promise<TaskReply> {
  const { id, name, input } = request;
  const task = tasks[name] as (fs: FileSystem, input: unknown, on: TaskContext) => Promise<unknown>;
  try {
    await codecs;
    if (backgroundTasks.includes(name)) yieldToMainThread();
    const context: TaskContext = { yieldNow, cancelled: () => cancelled.has(id) };
    return { id, output: await task(blockingFileSystem, input, context) };
  } catch (error) {
    return { id, error: errorToPlain(error) };
  } finally {
    cancelled.delete(id);
  }
}

port.on('message', (request: WorkerRequest) => {
  if ('cancel' in request) {
    cancelled.add(request.cancel);
    return;
  }
  void answer(request).then((reply) => port.postMessage(reply));
});
