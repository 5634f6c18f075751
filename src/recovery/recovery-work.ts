/*
 * What a recovery or a restore cost: bytes and rates of its phases, and how much of its threads it
 * used. Times are of the injected clock; how long a thread was busy is what the thread says.
 */
import type { TaskPool } from '../threads/task-pool.ts';
import type { OpeningPlan } from '../wal/log-opening.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';

/** How well threads were used. */
export interface ThreadWork {
  /** Worker threads that there could be; 0: the work was done on the thread of the caller. */
  readonly threads: number;
  /**
   * Time in which threads were busy, reading included, of the time that all of them together had while
   * snapshots were loaded and log was replayed: 1 is none idle. Undefined where there was nothing to
   * do, or no thread.
   */
  readonly parallelEfficiency: number | undefined;
}

/** What an opening did, in bytes and time. */
export interface RecoveryWork extends ThreadWork {
  /** Bytes of each phase: of snapshots loaded, of log replayed, of log copied into the new segment. */
  readonly phasesBytes: {
    readonly load: number;
    readonly replay: number;
    readonly openLog: number;
  };
  /** Bytes a second of the phases that read; 0 where nothing was read. */
  readonly bytesPerSecond: { readonly load: number; readonly replay: number };
}

/** Measures threads from when it is made. */
export class ThreadMeter {
  readonly #pool: TaskPool;
  readonly #busyBefore: number | undefined;

  constructor(pool: TaskPool) {
    this.#pool = pool;
    this.#busyBefore = pool.busyMs;
  }

  /** The work of a time in which threads had something to do. */
  over(milliseconds: number): ThreadWork {
    const { threadsMax, busyMs } = this.#pool;
    if (busyMs === undefined) return { threads: 0, parallelEfficiency: undefined };
    const busy = busyMs - (this.#busyBefore ?? 0);
    const had = milliseconds * threadsMax;
    // Little is done without starting one.
    if (had <= 0 || busy === 0) return { threads: 0, parallelEfficiency: undefined };
    // The clocks of two threads do not agree to the last digit.
    return { threads: threadsMax, parallelEfficiency: Math.min(1, busy / had) };
  }
}

/** Bytes a second; 0 for nothing, or for a time that was not measured. */
export function rateOf(bytes: number, milliseconds: number): number {
  return bytes === 0 || milliseconds <= 0 ? 0 : (bytes * 1000) / milliseconds;
}

/** Bytes of groups that are not proved, which an opening copies into its segment (O3). */
export function copiedBytes({ copies, proved }: OpeningPlan): number {
  if (!copies) return 0;
  const isHere = proved.segment?.path === copies.source.path;
  return copies.end - (isHere ? proved.offset : segmentHeaderBytes);
}
