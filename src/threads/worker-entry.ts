/*
 * Entry file of a worker thread: runs the tasks that it is sent over the real file system, whose
 * calls are synchronous here, and answers with their output or error.
 */
import { parentPort } from 'node:worker_threads';
import { blockingFileSystem } from '../fs/blocking-file-system.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { must } from '../std/assert.ts';
import { errorToPlain } from './error-transfer.ts';
import type { TaskReply, TaskRequest } from './task-messages.ts';
import { yieldNow } from './task-pool.ts';
import { tasks, type TaskContext } from './tasks.ts';

const port = must(parentPort, 'the worker has a parent');
// A stopped engine ends the thread, so nothing is cancelled from within.
const context: TaskContext = { yieldNow, cancelled: () => false };

async function answer(request: TaskRequest): Promise<TaskReply> {
  const { id, name, input } = request;
  const task = tasks[name] as (fs: FileSystem, input: unknown, on: TaskContext) => Promise<unknown>;
  try {
    return { id, output: await task(blockingFileSystem, input, context) };
  } catch (error) {
    return { id, error: errorToPlain(error) };
  }
}

port.on('message', (request: TaskRequest) => {
  void answer(request).then((reply) => port.postMessage(reply));
});
