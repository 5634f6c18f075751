/*
 * Adds up what the lives of the job report and tells the rates of the last second. Time is passed in.
 */
import type { Progress } from './messages.ts';

/** Milliseconds that a rate looks back. */
const windowMs = 1000;

/** What the display shows. */
export interface Reading {
  /** Durable rows; falls back to what was recovered after a kill. */
  readonly row: number;
  readonly eventsPerSecond: number;
  readonly commitsPerSecond: number;
  readonly checkpoints: number;
  readonly kills: number;
}

/** Sums over all lives so far. */
export interface Totals {
  /** Events that were processed, those among them that a kill made undone counted again. */
  readonly events: number;
  readonly commits: number;
  readonly checkpoints: number;
  readonly logBytes: number;
  readonly checkpointBytes: number;
}

interface Sample {
  readonly ms: number;
  readonly events: number;
  readonly commits: number;
}

const nothing: Totals = { events: 0, commits: 0, checkpoints: 0, logBytes: 0, checkpointBytes: 0 };

export class Meter {
  #row = 0;
  #kills = 0;
  /** Lives that ended. */
  #ended: Totals = nothing;
  #totals: Totals = nothing;
  #samples: Sample[] = [{ ms: 0, events: 0, commits: 0 }];

  get totals(): Totals {
    return this.#totals;
  }

  /** A job recovered this row. */
  opened(row: number): void {
    this.#row = row;
  }

  progress(progress: Progress, ms: number): void {
    const ended = this.#ended;
    this.#row = progress.durableRow;
    this.#totals = {
      events: ended.events + progress.events,
      commits: ended.commits + progress.commits,
      checkpoints: ended.checkpoints + progress.checkpoints,
      logBytes: ended.logBytes + progress.logBytes,
      checkpointBytes: ended.checkpointBytes + progress.checkpointBytes,
    };
    const { events, commits } = this.#totals;
    this.#samples.push({ ms, events, commits });
    while (this.#samples.length > 2 && this.#samples[1]!.ms <= ms - windowMs) this.#samples.shift();
  }

  killed(): void {
    this.#kills++;
    this.#ended = this.#totals;
  }

  read(): Reading {
    const first = this.#samples[0]!;
    const last = this.#samples.at(-1)!;
    const seconds = (last.ms - first.ms) / 1000;
    const rate = (count: number): number => (seconds > 0 ? Math.round(count / seconds) : 0);
    return {
      row: this.#row,
      eventsPerSecond: rate(last.events - first.events),
      commitsPerSecond: rate(last.commits - first.commits),
      checkpoints: this.#totals.checkpoints,
      kills: this.#kills,
    };
  }
}
