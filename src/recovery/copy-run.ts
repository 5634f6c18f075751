/*
 * What restores and backups run with: workers beside the limits of every long call. Ended for whatever
 * reason, nothing of it is left: no thread at work, no timer, no listener. Idle threads end a moment later
 * (threads/resting-threads.ts).
 */
import type { ResourceLimits } from 'node:worker_threads';
import type { FileSystem } from '../fs/file-system.ts';
import { SlabPool } from '../snapshot/slab-pool.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import { InlinePool, ThreadPool, type TaskPool } from '../threads/task-pool.ts';
import { LimitedRun, type RunLimits, type RunProgress } from './limited-run.ts';

/** What a copy stands on. */
export interface CopyComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether workers are threads; else tasks run inline over `fs`. */
  readonly threads: boolean;
  /** Memory that each thread may have. @defaultValue that of Node */
  readonly threadLimits?: ResourceLimits;
  /** How a task that runs inline lets others go on. @defaultValue turns of the event loop */
  readonly yieldNow?: () => Promise<void>;
}

/** What a copy is doing. */
export type CopyPhase = 'plan' | 'replay' | 'write' | 'copy' | 'verify';

/** How far a copy is. */
export type CopyProgress = RunProgress<CopyPhase>;

/** How a copy is done; every copy takes these. */
export interface CopyLimits extends RunLimits<CopyPhase> {
  readonly threadsMax: number;
}

/** Slabs kept for the next slices. */
const idleSlabBytesMax = 64 * 1024 * 1024;

export class CopyRun extends LimitedRun<CopyPhase> {
  readonly pool: TaskPool;
  readonly slabs: SlabPool = new SlabPool(idleSlabBytesMax);
  readonly threadsMax: number;

  /** `what` names the copy in errors. */
  constructor(
    what: string,
    limits: CopyLimits,
    { fs, clock, threads, threadLimits, yieldNow }: Omit<CopyComponents, 'random'>,
  ) {
    super(what, limits, clock);
    this.threadsMax = limits.threadsMax;
    this.pool = threads
      ? new ThreadPool(limits.threadsMax, threadLimits)
      : new InlinePool(fs, yieldNow);
  }

  /** Ends workers, timer and listener; a second call does nothing more. */
  async close(): Promise<void> {
    this.end();
    await this.pool.close();
  }
}
