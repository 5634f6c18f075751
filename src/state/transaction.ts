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
  /** Used again by the next transaction: a fresh array for each commit costs more than it looks. */
  readonly #changes: (Change | undefined)[] = [];
  #size = 0;
  /** Changes that later calls of the transaction add to, by their cells: all handles share them. */
  readonly #byCell = new Map<object, Change>();

  get size(): number {
    return this.#size;
  }

  add(change: Change): void {
    this.#changes[this.#size++] = change;
  }

  /** Adds a change that `changeOf` finds by its cell until the transaction ends. */
  addOf(cell: object, change: Change): void {
    this.add(change);
    this.#byCell.set(cell, change);
  }

  changeOf(cell: object): Change | undefined {
    return this.#byCell.size === 0 ? undefined : this.#byCell.get(cell);
  }

  encode(encoder: CommitEncoder, moment: CommitMoment): void {
    for (let i = 0; i < this.#size; i++) this.#changes[i]!.encode(encoder, moment);
  }

  committed(moment: CommitMoment): void {
    for (let i = 0; i < this.#size; i++) this.#changes[i]!.committed(moment);
    this.#clear();
  }

  rollback(): void {
    for (let i = this.#size - 1; i >= 0; i--) this.#changes[i]!.undo();
    this.#clear();
  }

  /**
   * Runs `freeze` with the open changes taken out of the memtable, and puts them into the one that
   * is active then: the new one, or the old one when `freeze` throws.
   */
  carryOver(freeze: () => void): void {
    for (let i = this.#size - 1; i >= 0; i--) this.#changes[i]!.undo();
    try {
      freeze();
    } finally {
      for (let i = 0; i < this.#size; i++) this.#changes[i]!.redo();
    }
  }

  #clear(): void {
    if (this.#size > keptMax) this.#changes.length = 0;
    else this.#changes.fill(undefined, 0, this.#size);
    this.#size = 0;
    if (this.#byCell.size > 0) this.#byCell.clear();
  }
}

/** Places for changes that are kept from one transaction to the next. */
const keptMax = 1024;
