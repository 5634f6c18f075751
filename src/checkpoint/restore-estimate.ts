/*
 * What a restore to the latest commit costs: bytes to read, and seconds from rates that were
 * measured here. Pure arithmetic; the figures of the machine come from `RestoreMeter`.
 */
import type { RestoreRates } from './checkpoint-record.ts';

/**
 * Assumed until something was measured: low on purpose, so that a budget is rather kept too early.
 * Estimates from it say so.
 */
export const assumedRates: RestoreRates = {
  loadBytesPerSecond: 100_000_000,
  replayBytesPerSecond: 50_000_000,
  overheadSeconds: 0.05,
};

/** Samples of fewer bytes say more about fixed costs than about a rate. */
export const sampleBytesMin: number = 1024 * 1024;
/** Weight of the newest sample. */
const NEWEST_WEIGHT = 0.5;

/** What a restore would read, and how long that takes. */
export interface RestoreEstimate {
  readonly seconds: number;
  /** Bytes of snapshots and of log. */
  readonly bytes: number;
}

/** The cost of reading so many bytes of snapshots and of log. */
export function estimateRestore(
  snapshotBytes: number,
  logBytes: number,
  rates: RestoreRates,
): RestoreEstimate {
  const { loadBytesPerSecond, replayBytesPerSecond, overheadSeconds } = rates;
  const seconds =
    overheadSeconds + snapshotBytes / loadBytesPerSecond + logBytes / replayBytesPerSecond;
  return { seconds, bytes: snapshotBytes + logBytes };
}

/** Keeps the rates of this machine: those that the newest record knew, and samples since. */
export class RestoreMeter {
  #load: number | undefined;
  #replay: number | undefined;
  #overheadSeconds: number | undefined;
  /** Replay was only seen from above: a checkpoint folds the same log, and writes it too. */
  #replayIsBound = false;

  constructor(known: RestoreRates | undefined) {
    this.#load = known?.loadBytesPerSecond;
    this.#replay = known?.replayBytesPerSecond;
    this.#overheadSeconds = known?.overheadSeconds;
  }

  /** Rates as a record keeps them; undefined until a load and a replay were measured. */
  get measured(): RestoreRates | undefined {
    if (this.#load === undefined || this.#replay === undefined) return undefined;
    return this.rates;
  }

  get rates(): RestoreRates {
    return {
      loadBytesPerSecond: this.#load ?? assumedRates.loadBytesPerSecond,
      replayBytesPerSecond: this.#replay ?? assumedRates.replayBytesPerSecond,
      overheadSeconds: this.#overheadSeconds ?? assumedRates.overheadSeconds,
    };
  }

  get knowsLoad(): boolean {
    return this.#load !== undefined;
  }

  /**
   * Snapshots were read, checked and decompressed. The milliseconds that went into the rate: what
   * was too little for one is part of what an opening takes in any case.
   */
  loaded(bytes: number, milliseconds: number): number {
    const rate = rateOf(bytes, milliseconds);
    if (rate === undefined) return 0;
    this.#load = blend(this.#load, rate);
    return milliseconds;
  }

  /** Log was read and folded into an image; the milliseconds that went into the rate. */
  replayed(bytes: number, milliseconds: number): number {
    const rate = rateOf(bytes, milliseconds);
    if (rate === undefined) return 0;
    this.#replay = blend(this.#replayIsBound ? undefined : this.#replay, rate);
    this.#replayIsBound = false;
    return milliseconds;
  }

  /** Log was folded and written as a snapshot, which takes longer than a replay. */
  checkpointed(bytes: number, milliseconds: number): void {
    const rate = rateOf(bytes, milliseconds);
    if (rate === undefined || (this.#replay !== undefined && !this.#replayIsBound)) return;
    this.#replay = blend(this.#replay, rate);
    this.#replayIsBound = true;
  }

  /** An opening took so long beside loading and replay. */
  opened(overheadMilliseconds: number): void {
    this.#overheadSeconds = blend(this.#overheadSeconds, overheadMilliseconds / 1000);
  }
}

function rateOf(bytes: number, milliseconds: number): number | undefined {
  if (bytes < sampleBytesMin || milliseconds <= 0) return undefined;
  return (bytes / milliseconds) * 1000;
}

function blend(known: number | undefined, sample: number): number {
  return known === undefined ? sample : known + (sample - known) * NEWEST_WEIGHT;
}
