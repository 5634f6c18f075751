/*
 * What a commit is given, and what it gives: the types of `commit` and `transact`.
 */
import type { EventTime } from '../state/write-options.ts';
import type { Durability } from '../wal/log-options.ts';
import type { Positions } from './positions.ts';

/** Options of one commit. */
export interface CommitOptions {
  /** Positions of sources, merged into those there are; null removes one. */
  readonly positions?: Positions;
  /** Any value that can be stored; it goes into the log with the commit. */
  readonly metadata?: unknown;
  /**
   * When what the commit holds happened: microseconds since 1970, or a Date. It goes into every
   * entry whose write has none of its own. @defaultValue none
   */
  readonly eventTime?: EventTime;
  /** @defaultValue the engine's */
  readonly durability?: Durability;
}

/** A commit that was sealed. */
export interface Commit {
  readonly lsn: number;
  /** Microseconds since 1970, strictly rising from commit to commit. */
  readonly timestamp: number;
}

/** What a synchronous function returns; a type without values for one that returns a promise. */
export type Synchronous<R> = R extends PromiseLike<unknown> ? never : R;
