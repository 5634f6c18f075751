/*
 * Verification of an open engine: on demand, and slowly in the background (scrubbing). Reads the files as
 * any other reader does; snapshots in worker threads, and nothing of it is written. What there is when
 * it begins is pinned, so that a collection meanwhile does not make it begin again. Damage of a snapshot
 * is told to residency, as that which a lookup meets, so that the chain is made anew.
 *
 * A scrub that is on time is one of several things that a busy disk does: it reads no faster than it
 * may, and one runs at a time. Closing ends what runs.
 */
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Residency } from '../checkpoint/residency/residency.ts';
import type { PinSet } from '../checkpoint/retention/retention-pins.ts';
import { parseRecordName, checkpointPrefix } from '../checkpoint/checkpoint-record.ts';
import { ClosedError, CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { LimitedRun, type RunLimits } from '../recovery/limited-run.ts';
import { readerContext, type ReaderSource } from '../recovery/reader-moment.ts';
import { checkNames, resolveCheck, type CheckOptions } from '../recovery/verify-options.ts';
import {
  verifyDuring,
  type SnapshotDamage,
  type StoreVerification,
  type VerifyWork,
} from '../recovery/verify.ts';
import {
  verifySnapshot,
  type VerifySnapshotInput,
  type VerifySnapshotOutput,
} from '../snapshot/tasks.ts';
import type { Clock, Timer } from '../std/clock.ts';
import { knownOnly } from '../std/option-checks.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { BackgroundFailures } from './background-failures.ts';
import type { EngineLife } from './engine-life.ts';
import type { EventHub } from './events.ts';
import type { Retention } from './retention.ts';
import {
  checkScrubCall,
  type ResolvedScrubOptions,
  type ScrubCallOptions,
} from './scrub-options.ts';

/** What a scrub found. */
export interface ScrubReport extends StoreVerification {
  readonly milliseconds: number;
}

/** Figures of scrubbing. */
export interface ScrubStats {
  readonly running: boolean;
  /** Scrubs that this opening has finished. */
  readonly scrubs: number;
  /** Faults that the last of them found. */
  readonly faults: number;
}

/** What verification stands on. */
export interface VerifierInput {
  readonly options: ResolvedScrubOptions;
  readonly source: ReaderSource;
  readonly clock: Clock;
  readonly pool: TaskPool;
  readonly checkpoints: CheckpointStore;
  readonly retention: Pick<Retention, 'between'>;
  readonly pins: PinSet;
  readonly residency: Pick<Residency, 'report'>;
  readonly life: EngineLife;
  readonly hub: EventHub;
  readonly failures: BackgroundFailures;
}

export class Verifier {
  readonly #in: VerifierInput;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #scrubbing: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #isScrubbing = false;
  #scrubs = 0;
  #faults = 0;

  constructor(input: VerifierInput) {
    this.#in = input;
    this.#setTimer();
  }

  stats(): ScrubStats {
    return { running: this.#isScrubbing, scrubs: this.#scrubs, faults: this.#faults };
  }

  verify(options: CheckOptions): Promise<StoreVerification> {
    knownOnly(options, checkNames);
    const { level, checkpoint, limits } = resolveCheck(options);
    return this.#during('verification', limits, (run) => this.#check(run, { level, checkpoint }));
  }

  /** Scrubs now, behind one that runs. */
  scrub(options: ScrubCallOptions): Promise<ScrubReport> {
    const rate = checkScrubCall(options);
    const { signal, onProgress } = options;
    return this.#scrub({ signal, onProgress, timeoutMs: undefined }, rate);
  }

  /** Ends what runs. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  #setTimer(): void {
    const { clock, options, failures } = this.#in;
    const { intervalMs, bytesPerSecond } = options;
    if (intervalMs === undefined || this.#closing.signal.aborted) return;
    this.#timer = clock.setTimer(intervalMs, () => {
      void this.#scrub({ timeoutMs: undefined }, bytesPerSecond)
        .catch((error: unknown) => {
          if (!this.#closing.signal.aborted) failures.report(error);
        })
        .finally(() => this.#setTimer());
    });
  }

  async #scrub(limits: RunLimits<'verify'>, rate: number | undefined): Promise<ScrubReport> {
    const { clock, hub } = this.#in;
    const scrub = this.#scrubbing.then(() =>
      this.#during('scrub', limits, async (run) => {
        const startedAt = clock.monotonicMs();
        this.#isScrubbing = true;
        try {
          const work = { level: 'standard', checkpoint: undefined } as const;
          const pace = rate === undefined ? {} : { pace: paceOf(run, rate) };
          const found = await this.#check(run, { ...work, ...pace });
          return { ...found, milliseconds: clock.monotonicMs() - startedAt };
        } finally {
          this.#isScrubbing = false;
        }
      }),
    );
    this.#scrubbing = scrub.catch(() => {});
    const report = await scrub;
    this.#scrubs++;
    this.#faults = report.faults.length;
    hub.emit('scrub', report);
    const { faults } = report;
    const [first] = faults;
    if (first) {
      const count = faults.length === 1 ? 'a fault was' : `${faults.length} faults were`;
      const message = `${count} found: ${first.what}: ${first.path}`;
      hub.warn({ code: 'DAMAGE_FOUND', message, details: { faults } });
    }
    return report;
  }

  /** Runs what ends with the engine. */
  async #during<T>(
    what: string,
    limits: RunLimits<'verify'>,
    act: (run: LimitedRun<'verify'>) => Promise<T>,
  ): Promise<T> {
    const { life, clock } = this.#in;
    life.assertOpen();
    const { signal } = limits;
    const both = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    const run = new LimitedRun<'verify'>(what, { ...limits, signal: both }, clock);
    const acting = act(run);
    const settled = acting.then(
      () => {},
      () => {},
    );
    this.#running.add(settled);
    try {
      return await acting;
    } catch (error) {
      if (this.#closing.signal.aborted) {
        throw new ClosedError('CLOSED', 'the engine was closed meanwhile', error);
      }
      throw run.failure(error);
    } finally {
      run.end();
      this.#running.delete(settled);
    }
  }

  async #check(run: LimitedRun<'verify'>, work: VerifyWork): Promise<StoreVerification> {
    const { source } = this.#in;
    const unpin = await this.#pin();
    try {
      const verifyFile = (
        fs: FileSystem,
        input: VerifySnapshotInput,
      ): Promise<VerifySnapshotOutput> => this.#verifyFile(fs, input, run.signal);
      const onDamage = (damage: SnapshotDamage): void => this.#report(damage);
      return await verifyDuring(source, run, { ...work, verifyFile, onDamage });
    } finally {
      unpin();
    }
  }

  /** What lookups and merges would meet is mended before they do. */
  #report({ name, faults, ofContents }: SnapshotDamage): void {
    for (const { path, offset, what } of faults) {
      const error = new CorruptionError('CORRUPT_SNAPSHOT', `${what}: ${path}`, { path, offset });
      this.#in.residency.report(name, error, ofContents);
    }
  }

  /** Every checkpoint that there is stays until the end. */
  async #pin(): Promise<() => void> {
    const { retention, checkpoints, pins } = this.#in;
    const unpins = await retention.between(async () => {
      const ids = (await checkpoints.objects(checkpointPrefix)).flatMap(({ name }) => {
        const parsed = parseRecordName(name);
        return parsed && !parsed.dropped ? [parsed.id] : [];
      });
      return ids.map((recordId) => pins.add({ recordId, reason: 'a verification' }));
    });
    return () => {
      for (const unpin of unpins) unpin();
    };
  }

  /** Workers read the files of this machine; a copy in memory is read here. */
  async #verifyFile(
    fs: FileSystem,
    input: VerifySnapshotInput,
    signal: AbortSignal,
  ): Promise<VerifySnapshotOutput> {
    const { source, pool } = this.#in;
    if (fs !== source.fs) return verifySnapshot(fs, input, readerContext);
    return pool.run('verifySnapshot', input, signal);
  }
}

/** Waits until so many bytes may have been read, counted from the first. */
function paceOf(
  run: LimitedRun<'verify'>,
  bytesPerSecond: number,
): (bytes: number) => Promise<void> {
  const startedAt = run.clock.monotonicMs();
  let bytesRead = 0;
  return async (bytes) => {
    bytesRead += bytes;
    const dueMs = startedAt + (bytesRead * 1000) / bytesPerSecond;
    const leftMs = dueMs - run.clock.monotonicMs();
    // Less than a timer can tell is made up for later.
    if (leftMs >= 1) await run.wait(leftMs);
  };
}
