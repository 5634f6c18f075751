/*
 * A worker thread as the pool sees it. The entry file is JavaScript of the bundled package; from
 * source (`.ts`, as the tests run) the built one is used, which the test run makes first, because
 * a Node without type stripping cannot load the source in a thread.
 */
import { Worker, type ResourceLimits } from 'node:worker_threads';
import { registeredCodecs } from '../codec/compression-modules.ts';
import type { TaskReply, WorkerRequest } from './task-messages.ts';

export interface WorkerThread {
  post(request: WorkerRequest): void;
  /** Whether the thread keeps the process alive. */
  keepAlive(wanted: boolean): void;
  /** Milliseconds for which it was not waiting for work; calls of the file system count. */
  busyMs(): number;
  stop(): Promise<void>;
}

export interface WorkerEvents {
  message(reply: TaskReply): void;
  /** The thread ended by itself; undefined when it was stopped. */
  ended(cause: unknown): void;
}

function entryFile(): URL {
  const fromSource = import.meta.url.endsWith('.ts');
  return new URL(
    fromSource ? '../../dist/bundle/worker-entry.js' : './worker-entry.js',
    import.meta.url,
  );
}

/**
 * A thread takes over the flags of the process, but refuses to start from a file with those of a
 * program on the command line (`node --input-type=module --eval …`): then it takes none.
 */
function inheritedFlags(flags: readonly string[]): { execArgv?: string[] } {
  return flags.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {};
}

export function startWorker(events: WorkerEvents, limits?: ResourceLimits): WorkerThread {
  const worker = new Worker(entryFile(), {
    workerData: registeredCodecs(),
    ...(limits && { resourceLimits: limits }),
    ...inheritedFlags(process.execArgv),
  });
  let stopping = false;
  let cause: unknown;
  worker.unref();
  worker.on('message', (reply: TaskReply) => events.message(reply));
  worker.on('error', (error) => {
    cause = error;
  });
  // An answer that cannot be read never comes: nobody may wait for it.
  worker.on('messageerror', (error) => {
    cause = error;
    void worker.terminate();
  });
  worker.on('exit', (code) => {
    if (!stopping) events.ended(cause ?? new Error(`worker thread ended with code ${code}`));
  });
  return {
    post: (request) => worker.postMessage(request),
    keepAlive: (wanted) => (wanted ? worker.ref() : worker.unref()),
    busyMs: () => worker.performance.eventLoopUtilization().active,
    async stop() {
      stopping = true;
      await worker.terminate();
    },
  };
}
