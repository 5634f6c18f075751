/*
 * Which settings are tried on paper, what they are held against, and which one is recommended. Pure.
 *
 * First every interval with every chain length, in the store's own codec; then the best of them, and
 * the one that writes least, in every codec, with fewer checkpoints kept, and with the restore that
 * was wished for as its budget.
 */
import type { CheckpointTriggers } from '../checkpoint-triggers.ts';
import type { ChainPolicy } from '../record-notes.ts';
import type { RetentionSettings } from '../retention/retention-settings.ts';
import { PaperFold } from './tuning-fold.ts';
import {
  PaperReplay,
  type PaperOutcome,
  type PaperRates,
  type PaperSettings,
} from './tuning-replay.ts';
import type { CodecModel } from './tuning-size.ts';
import type { PaperWorkload } from './tuning-workload.ts';

/** What a user wishes for; undefined: no matter. */
export interface TuningWishes {
  /** Of the worst restore. */
  readonly restoreSecondsMax: number | undefined;
  /** Of snapshots and log together, at their most. */
  readonly storageBytesMax: number | undefined;
  /** Every moment of the last so many milliseconds restorable. */
  readonly windowMs: number | undefined;
}

/** Where the search starts. */
export interface TuningStart {
  readonly triggers: CheckpointTriggers | undefined;
  readonly policy: ChainPolicy;
  readonly retention: RetentionSettings | undefined;
  readonly segmentBytesMax: number;
  /** The store's own first. */
  readonly codecs: readonly CodecModel[];
  readonly rates: PaperRates;
}

/** Settings that were tried, and what they come to. */
export interface TriedSettings {
  readonly settings: PaperSettings;
  readonly outcome: PaperOutcome;
  /** As many times over the wish as the worst of them is; 1 and less: all are met. */
  readonly excess: number;
}

/** All that was tried. */
export interface TuningPlan {
  /** Best first. */
  readonly tried: readonly TriedSettings[];
  readonly recommended: TriedSettings;
  /** All wishes are met by it. */
  readonly reachable: boolean;
}

const KIB = 1024;
const INTERVALS = 4;
const lengths: readonly number[] = [3, 6, 10, 20];
/** Of the first round, so many go on. */
const GO_ON = 2;

export function planTuning(
  workload: PaperWorkload,
  start: TuningStart,
  wishes: TuningWishes,
): TuningPlan {
  const tried = new Map<string, TriedSettings>();
  const fold = new PaperFold(workload);
  const run = (settings: PaperSettings): TriedSettings => {
    const name = JSON.stringify([
      settings.triggers,
      settings.policy,
      settings.retention,
      settings.codec.codec,
    ]);
    const known = tried.get(name);
    if (known) return known;
    const outcome = stretch(
      new PaperReplay(workload, settings, start.rates, fold).run(),
      workload,
      wishes,
    );
    const made = { settings, outcome, excess: excessOf(outcome, wishes) };
    tried.set(name, made);
    return made;
  };
  const first = firstRound(workload, start, wishes).map(run);
  const order = (list: readonly TriedSettings[]): TriedSettings[] => sorted(list, wishes);
  const cheapest = first.toSorted(
    (a, b) => a.outcome.writeAmplification - b.outcome.writeAmplification,
  );
  const chosen = new Set([...order(first).slice(0, GO_ON), ...cheapest.slice(0, 1)]);
  for (const { settings } of chosen) {
    const { retention, policy } = settings;
    const { restoreSecondsMax } = wishes;
    if (retention && retention.checkpoints > 1) {
      run({ ...settings, retention: { ...retention, checkpoints: 1 } });
    }
    for (const codec of start.codecs) {
      const { outcome } = run({ ...settings, codec });
      // A budget changes nothing where it is kept anyway.
      if (restoreSecondsMax === undefined || outcome.restoreSeconds.worst <= restoreSecondsMax) {
        continue;
      }
      run({ ...settings, codec, policy: { ...policy, restoreSecondsMax } });
    }
  }
  const best = order([...tried.values()]);
  const recommended = best[0]!;
  return { tried: best, recommended, reachable: recommended.excess <= 1 };
}

function firstRound(
  { commits, logBytesPerRecordByte }: PaperWorkload,
  start: TuningStart,
  { windowMs }: TuningWishes,
): PaperSettings[] {
  const { policy, segmentBytesMax } = start;
  const codec = start.codecs[0]!;
  const recordBytes = commits.recordBytes.reduce((sum, bytes) => sum + bytes, 0);
  const retention =
    start.retention && windowMs !== undefined ? { ...start.retention, windowMs } : start.retention;
  const settings: PaperSettings[] = [];
  // A budget of now must not hide what other settings would come to.
  const open = { ...policy, restoreSecondsMax: undefined, restoreBytesMax: undefined };
  for (const logBytes of intervalsFor(recordBytes * logBytesPerRecordByte)) {
    const triggers = {
      entries: undefined,
      commits: undefined,
      logBytes,
      intervalMs: undefined,
      onClose: false,
    };
    for (const maxChainLength of lengths) {
      const chosen = { ...open, maxChainLength };
      settings.push({ triggers, policy: chosen, codec, retention, segmentBytesMax });
    }
  }
  if (start.triggers) {
    settings.push({ triggers: start.triggers, policy, codec, retention, segmentBytesMax });
  }
  return settings;
}

/** Powers of two that make from four to some thousand checkpoints of the log at hand. */
export function intervalsFor(logBytes: number): number[] {
  const most = 2 ** Math.floor(Math.log2(Math.max(64 * KIB, logBytes / 4)));
  const intervals: number[] = [];
  for (let bytes = most; intervals.length < INTERVALS && bytes >= 16 * KIB; bytes /= 4) {
    intervals.push(bytes);
  }
  return intervals;
}

/** A window that is longer than the workload needs more log than there was: at the rate seen. */
function stretch(
  outcome: PaperOutcome,
  { commits, logBytesPerRecordByte }: PaperWorkload,
  { windowMs = 0 }: TuningWishes,
): PaperOutcome {
  const { timestamps, recordBytes } = commits;
  const spanMs = ((timestamps.at(-1) ?? 0) - (timestamps[0] ?? 0)) / 1000;
  if (windowMs <= spanMs || spanMs === 0) return outcome;
  const bytes = recordBytes.reduce((sum, count) => sum + count, 0) * logBytesPerRecordByte;
  const more = (bytes / spanMs) * (windowMs - spanMs);
  const { worst, end } = outcome.storedBytes;
  return { ...outcome, storedBytes: { worst: worst + more, end: end + more } };
}

function excessOf(outcome: PaperOutcome, wishes: TuningWishes): number {
  const { restoreSecondsMax, storageBytesMax } = wishes;
  return Math.max(
    restoreSecondsMax === undefined ? 0 : outcome.restoreSeconds.worst / restoreSecondsMax,
    storageBytesMax === undefined ? 0 : outcome.storedBytes.worst / storageBytesMax,
  );
}

/**
 * Those that meet all wishes by what they write, the others by how far they are off. Without a wish
 * the product of restore, storage and writing says which is best all round.
 */
function sorted(list: readonly TriedSettings[], wishes: TuningWishes): TriedSettings[] {
  const wished = wishes.restoreSecondsMax !== undefined || wishes.storageBytesMax !== undefined;
  const cost = ({ outcome }: TriedSettings): number => {
    if (wished) return outcome.writeAmplification;
    const { restoreSeconds, storedBytes, writeAmplification } = outcome;
    return restoreSeconds.worst * storedBytes.worst * (1 + writeAmplification);
  };
  return list.toSorted((a, b) => {
    const over = Math.max(1, a.excess) - Math.max(1, b.excess);
    return over !== 0 ? over : cost(a) - cost(b);
  });
}
