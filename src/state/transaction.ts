/*
 * The open transaction: every change since the last commit, in order. Changes stand in the active
 * memtable at once; the list knows how to log them, to make them committed, to undo them (newest
 * first), and to carry them over to a new memtable when the old one is frozen under them.
 */
import type { CommitEncoder } from './commit-encoder.ts';

/** Moment of a commit that is being sealed. */
export interface CommitMoment {
  readonly lsn: number;
  /** Microseconds. */
  readonly timestamp: number;
  /** Of changes that have none of their own; microseconds, 0 for none. */
  readonly eventTime: number;
}

/** One change of the open transaction. */
export interface Change {
  /** Appends the change to the record. Throws INVALID_VALUE and leaves everything as it was. */
  encode(encoder: CommitEncoder, moment: CommitMoment): void;
  /** The record is sealed. */
  committed(moment: CommitMoment): void;
  /** Takes the change back. */
  undo(): void;
  /** Puts the change, which was undone, into the memtable that is active now. */
  redo(): void;
}

export class Transaction {
  #changes: Change[] = [];

  get size(): number {
    return this.#changes.length;
  }

  add(change: Change): void {
    this.#changes.push(change);
  }

  encode(encoder: CommitEncoder, moment: CommitMoment): void {
    for (const change of this.#changes) change.encode(encoder, moment);
  }

  committed(moment: CommitMoment): void {
    for (const change of this.#changes) change.committed(moment);
    this.#changes = [];
  }

  rollback(): void {
    const changes = this.#changes;
    this.#changes = [];
    for (let i = changes.length - 1; i >= 0; i--) changes[i]!.undo();
  }

  /**
   * Runs `freeze` with the open changes taken out of the memtable, and puts them into the one that
   * is active then: the new one, or the old one when `freeze` throws.
   */
  carryOver(freeze: () => void): void {
    for (let i = this.#changes.length - 1; i >= 0; i--) this.#changes[i]!.undo();
    try {
      freeze();
    } finally {
      for (const change of this.#changes) change.redo();
    }
  }
}
