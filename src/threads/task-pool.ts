/*
 * Where tasks run: in worker threads over the real file system, or inline over any. The tasks are
 * the same functions; only the transport differs. Tasks that share a thread take turns at their
 * yields, so a short one does not wait for a long one to end.
 */
import type { ResourceLimits } from 'node:worker_threads';
import { AbortedError, errnoOf, StorageError, type TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { errorFromPlain } from './error-transfer.ts';
import { restingThreads, type RestingThreads } from './resting-threads.ts';
import type { TaskReply } from './task-messages.ts';
import { yieldNow } from '../std/turns.ts';
import { tasks, type TaskInput, type TaskName, type TaskOutput } from './tasks.ts';
import { startWorker, type WorkerThread } from './worker-thread.ts';

/** Runs tasks by name. */
export interface TaskPool {
  /** Tasks that can run side by side. */
  readonly threadsMax: number;
  /** Milliseconds for which threads have been busy, all together; undefined where there are none. */
  readonly busyMs: number | undefined;
  /** A task whose signal is aborted ends with ABORTED at its next turn, and one before it begins is none. */
  run<N extends TaskName>(
    name: N,
    input: TaskInput<N>,
    signal?: AbortSignal,
  ): Promise<TaskOutput<N>>;
  /** Cancels what runs and ends the threads; those that are idle when they have come to rest. */
  close(): Promise<void>;
}

/** A small task would be done before it has a turn. */
function assertWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new AbortedError('ABORTED', 'the task was cancelled');
}

/** Runs tasks in this thread, over the given file system. */
export class InlinePool implements TaskPool {
  readonly threadsMax = 1;
  readonly busyMs = undefined;
  readonly #fs: FileSystem;
  readonly #yieldIn: (() => Promise<void>) | undefined;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  /**
   * Tasks yield to the event loop, or with `yieldIn`: then their start and their answer take a turn each as
   * well, as messages to a thread and back do.
   */
  constructor(fs: FileSystem, yieldIn?: () => Promise<void>) {
    this.#fs = fs;
    this.#yieldIn = yieldIn;
  }

  async run<N extends TaskName>(
    name: N,
    input: TaskInput<N>,
    signal?: AbortSignal,
  ): Promise<TaskOutput<N>> {
    if (this.#closed) throw new AbortedError('ABORTED', 'the engine is closing');
    assertWanted(signal);
    const cancelled = (): boolean => this.#closed || signal?.aborted === true;
    const context = { yieldNow: this.#yieldIn ?? yieldNow, cancelled };
    const task = tasks[name] as (
      fs: FileSystem,
      input: TaskInput<N>,
      on: typeof context,
    ) => Promise<TaskOutput<N>>;
    const act = (): Promise<TaskOutput<N>> => task(this.#fs, input, context);
    const running = this.#yieldIn === undefined ? act() : this.#posted(act, this.#yieldIn);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }

  async #posted<T>(act: () => Promise<T>, yieldIn: () => Promise<void>): Promise<T> {
    await yieldIn();
    if (this.#closed) throw new AbortedError('ABORTED', 'the engine is closing');
    const output = await act();
    await yieldIn();
    return output;
  }
}

interface Pending {
  resolve(output: unknown): void;
  reject(error: Error): void;
}

class PooledThread {
  readonly #worker: WorkerThread;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  dead = false;

  constructor(limits: ResourceLimits | undefined) {
    const events = {
      message: (reply: TaskReply) => this.#answer(reply),
      ended: (cause: unknown) => this.#ended(cause),
    };
    this.#worker = startWorker(events, limits);
  }

  get load(): number {
    return this.#pending.size;
  }

  get busyMs(): number {
    return this.#worker.busyMs();
  }

  run(name: TaskName, input: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    const id = this.#nextId++;
    const cancel = (): void => {
      if (this.#pending.has(id)) this.#worker.post({ cancel: id });
    };
    const answer = new Promise((resolve, reject) => {
      // Input that cannot be sent throws here, and nobody waits for an answer then.
      this.#worker.post({ id, name, input });
      this.#pending.set(id, { resolve, reject });
      this.#worker.keepAlive(true);
    });
    if (signal === undefined) return answer;
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel);
    return answer.finally(() => signal.removeEventListener('abort', cancel));
  }

  async close(): Promise<void> {
    await this.#worker.stop();
    this.#ended(undefined);
  }

  #answer(reply: TaskReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) this.#worker.keepAlive(false);
    if (!pending) return;
    if ('error' in reply) pending.reject(errorFromPlain(reply.error));
    else pending.resolve(reply.output);
  }

  /** A thread that died takes its tasks with it; the next task starts another. */
  #ended(cause: unknown): void {
    this.dead = true;
    const error =
      cause === undefined
        ? new AbortedError('ABORTED', 'the engine is closing')
        : threadLost(cause);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}

/** Whatever the thread was doing is undone by whoever asked for it, as after any other failure. */
function threadLost(cause: unknown): TidemarkError {
  const isMemory = errnoOf(cause) === 'ERR_WORKER_OUT_OF_MEMORY';
  const why = isMemory ? 'ran out of memory' : 'ended';
  const message = `a worker thread ${why} in the middle of its work`;
  return new StorageError('THREAD_LOST', message, { outOfMemory: isMemory }, cause);
}

/** Runs tasks in up to `threadsMax` worker threads, which start when they are first needed. */
export class ThreadPool implements TaskPool {
  #threadsMax: number;
  #threads: PooledThread[] = [];
  readonly #resting: RestingThreads;
  readonly #limits: ResourceLimits | undefined;
  #closing: Promise<void> | undefined;

  /** `limits`: memory that each thread may have. */
  constructor(
    threadsMax: number,
    limits?: ResourceLimits,
    resting: RestingThreads = restingThreads,
  ) {
    this.#threadsMax = threadsMax;
    this.#limits = limits;
    this.#resting = resting;
  }

  get threadsMax(): number {
    return this.#threadsMax;
  }

  /** Of the threads that there are: read it before they are limited. */
  get busyMs(): number {
    return this.#threads.reduce((sum, thread) => sum + thread.busyMs, 0);
  }

  async run<N extends TaskName>(
    name: N,
    input: TaskInput<N>,
    signal?: AbortSignal,
  ): Promise<TaskOutput<N>> {
    if (this.#closing) throw new AbortedError('ABORTED', 'the engine is closing');
    assertWanted(signal);
    return this.#leastLoaded().run(name, input, signal) as Promise<TaskOutput<N>>;
  }

  /** Gives work to at most so many threads from now on. */
  limit(threadsMax: number): void {
    this.#threadsMax = threadsMax;
  }

  /** Ends idle threads above the limit; not right behind their work (resting-threads.ts). */
  async endSurplus(): Promise<void> {
    const idle = this.#threads.filter((thread) => thread.load === 0).toReversed();
    const surplus = idle.slice(0, Math.max(0, this.#threads.length - this.#threadsMax));
    this.#threads = this.#threads.filter((thread) => !surplus.includes(thread));
    await Promise.all(surplus.map((thread) => thread.close()));
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const working = this.#threads.filter((thread) => thread.load > 0);
    for (const thread of this.#threads) {
      if (thread.load === 0 && !thread.dead) this.#resting.add({ end: () => thread.close() });
    }
    // A thread at work could still write a file that the caller is about to take away.
    await Promise.all(working.map((thread) => thread.close()));
  }

  #leastLoaded(): PooledThread {
    this.#threads = this.#threads.filter((thread) => !thread.dead);
    const usable = this.#threads.slice(0, this.#threadsMax);
    let best = usable[0];
    for (const thread of usable) if (thread.load < best!.load) best = thread;
    if (best && (best.load === 0 || this.#threads.length >= this.#threadsMax)) return best;
    const started = new PooledThread(this.#limits);
    this.#threads.push(started);
    return started;
  }
}
