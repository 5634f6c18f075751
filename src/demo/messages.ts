/*
 * What the job tells the parent process, and what it is started with. Messages are plain data over
 * the channel of a forked process, at most one progress message every `progressMsMin`.
 */

/** Milliseconds between progress messages at least. */
export const progressMsMin = 50;

/** The job's only argument, as JSON. */
export interface JobSettings {
  readonly dir: string;
  /** Events to process in all. */
  readonly events: number;
  /**
   * The row whose commit is reported, for the parent to strike. A job that has one never closes the
   * engine; one that has none runs to its end.
   */
  readonly killRow?: number;
  /** Budget of a recovery. */
  readonly restoreSecondsMax: number;
  /** Whether all of the past is kept. */
  readonly keepPast: boolean;
}

/** How far a job is, counted from its own start but for the rows. */
export interface Progress {
  /** Events that are in acknowledged commits, counted from the beginning of the file. */
  readonly durableRow: number;
  /** Events that were processed. */
  readonly events: number;
  /** Commits that were acknowledged. */
  readonly commits: number;
  /** Whether a checkpoint is being made. */
  readonly checkpointing: boolean;
  readonly checkpoints: number;
  readonly logBytes: number;
  /** Bytes of snapshots, merged ones included. */
  readonly checkpointBytes: number;
}

/** What the engine found when it opened. */
export interface Opened {
  readonly openMs: number;
  /** Events that the recovered state holds. */
  readonly row: number;
  readonly replayedCommits: number;
  /** Snapshots that the recovered state was read from: a base and its deltas. */
  readonly chain: number;
  /** What the engine had expected the opening to take; undefined without a measurement. */
  readonly estimatedMs: number | undefined;
}

/** A message of the job. */
export type JobMessage =
  | { readonly kind: 'opening' }
  | ({ readonly kind: 'opened' } & Opened)
  | ({ readonly kind: 'progress' } & Progress)
  | { readonly kind: 'reached' }
  | ({ readonly kind: 'done' } & Progress);
