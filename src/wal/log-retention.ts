/*
 * How much of a log `openLog` keeps by itself: a number of segments, an age, or both. Whole segments
 * go, after an opening, after each rotation and every `cleanupMs`, by the rules of a trim (R2).
 *
 * Age is judged by segment headers, never by the times of files, which a copy or a restore changes:
 * a segment's records are all older than its successor's header. A clock that steps back makes
 * records stay longer, never shorter.
 */
import { toStorageError, type TidemarkError } from '../errors.ts';
import type { Clock, Timer } from '../std/clock.ts';
import { badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';
import type { LogSegment } from './log-output.ts';
import type { LogTrimmer } from './log-trimmer.ts';

/** What a log keeps; a segment goes when it is past either bound. */
export interface LogRetain {
  /** Segments kept, the newest included; each opening starts one. @defaultValue no bound */
  readonly segments?: number;
  /** Milliseconds that a record is kept at least. @defaultValue no bound */
  readonly ageMs?: number;
}

/** Retention in force. */
export interface ResolvedLogRetention {
  readonly segments: number | undefined;
  readonly ageMs: number | undefined;
  /** Undefined: only after an opening and after rotations. */
  readonly cleanupMs: number | undefined;
}

/** What retention has done since the log was opened. */
export interface LogRetentionStats {
  readonly cleanups: number;
  readonly segmentsDropped: number;
  /** Why the last cleanup failed; the next one tries again. */
  readonly failure: TidemarkError | undefined;
}

const cleanupDefaultMs = 3_600_000;
/** The most that a timer takes. */
const timerMsMost = 2 ** 31 - 1;
/** Microseconds have to be whole as well. */
const ageMsMost = Math.floor(Number.MAX_SAFE_INTEGER / 1000);
const names: readonly string[] = ['segments', 'ageMs'] satisfies readonly (keyof LogRetain)[];

/** Checks `retain` and `cleanupMs`; undefined: everything is kept until it is trimmed. */
export function resolveLogRetention(
  retain: unknown,
  cleanupMs: unknown,
): ResolvedLogRetention | undefined {
  if (retain === undefined) {
    if (cleanupMs === undefined) return undefined;
    throw badOption('cleanupMs', 'has nothing to do without retain', cleanupMs);
  }
  knownOnly(retain, names, 'retain');
  const { segments, ageMs } = retain as LogRetain;
  if (segments === undefined && ageMs === undefined) {
    throw badOption('retain', 'must name segments, ageMs or both', undefined);
  }
  const every = cleanupMs === false ? undefined : (cleanupMs ?? cleanupDefaultMs);
  return {
    segments: segments === undefined ? undefined : wholeNumber('retain.segments', segments, 1),
    ageMs: ageMs === undefined ? undefined : wholeNumber('retain.ageMs', ageMs, 1, ageMsMost),
    cleanupMs: every === undefined ? undefined : wholeNumber('cleanupMs', every, 1, timerMsMost),
  };
}

/** The first segment that stays. */
export function firstKept(
  segments: readonly LogSegment[],
  retention: ResolvedLogRetention,
  nowMicros: number,
): LogSegment | undefined {
  const last = segments.length - 1;
  const { ageMs } = retention;
  let first = Math.max(0, segments.length - (retention.segments ?? segments.length));
  if (ageMs !== undefined) {
    const bound = nowMicros - ageMs * 1000;
    while (first < last && segments[first + 1]!.header.createdAt <= bound) first++;
  }
  return segments[first];
}

export interface LogCleanerInput {
  readonly retention: ResolvedLogRetention;
  readonly clock: Clock;
  readonly trimmer: LogTrimmer;
  /** Of the open log, oldest first. */
  readonly segments: () => readonly LogSegment[];
}

/** Runs the retention of an open log; a failure is told by `stats`, and appends go on. */
export class LogCleaner {
  readonly #input: LogCleanerInput;
  #timer: Timer | undefined;
  /** A cleanup waits for its turn: it will see what a later call would. */
  #isWaiting = false;
  #stopped = false;
  #cleanups = 0;
  #segmentsDropped = 0;
  #failure: TidemarkError | undefined;

  constructor(input: LogCleanerInput) {
    this.#input = input;
    this.#arm();
  }

  stats(): LogRetentionStats {
    const failure = this.#failure;
    return { cleanups: this.#cleanups, segmentsDropped: this.#segmentsDropped, failure };
  }

  /** No cleanup starts any more. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Drops what is past a bound; resolves when that is done, well or not. */
  async run(): Promise<void> {
    if (this.#stopped || this.#isWaiting) return;
    this.#isWaiting = true;
    const { trimmer, segments, retention, clock } = this.#input;
    try {
      const plan = await trimmer.trim(() => {
        this.#isWaiting = false;
        const kept = firstKept(segments(), retention, clock.nowMicros());
        if (!kept || kept === segments()[0]) return undefined;
        return { segment: kept.header.number, timeline: kept.header.timeline };
      });
      this.#segmentsDropped += plan?.segments.length ?? 0;
      this.#failure = undefined;
    } catch (error) {
      this.#failure = toStorageError(error, 'clean the log up', '');
    }
    this.#isWaiting = false;
    this.#cleanups++;
  }

  #arm(): void {
    const { clock, retention } = this.#input;
    if (retention.cleanupMs === undefined || this.#stopped) return;
    this.#timer = clock.setTimer(retention.cleanupMs, () => {
      // Not awaited: `run` never rejects, and `close` waits for the trim.
      void this.run();
      this.#arm();
    });
  }
}
