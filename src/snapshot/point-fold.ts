/*
 * The value of one key, collected from the newest layer to the oldest: the lookup's side of the
 * folding rules. A caller adds what each layer holds until `decided`, then asks for the outcome.
 * Reused between lookups; after `settle` the entry is valid until the next `reset`.
 */
import { Entry } from './entry.ts';
import { ops } from './entry-format.ts';
import { foldOlder, settleInBase, startFromIdentity } from './fold.ts';
import { FoldScratch } from './operators.ts';

/** Folds the entries of one key from newest to oldest. */
export class PointFold {
  readonly entry: Entry = new Entry();
  readonly #scratch = new FoldScratch();
  #found = false;
  #decided = false;

  /** Nothing older can change the outcome. */
  get decided(): boolean {
    return this.#decided;
  }

  reset(): void {
    this.#found = false;
    this.#decided = false;
  }

  /** Adds the entry of an older layer. */
  addOlder(older: Entry): void {
    if (this.#decided) return;
    if (this.#found) foldOlder(older, this.entry, this.#scratch);
    else this.entry.assign(older);
    this.#found = true;
    this.#decided = this.entry.op !== ops.merge;
  }

  /** A clear stands here: nothing older counts. */
  addClear(): void {
    if (this.#found && this.entry.op === ops.merge) startFromIdentity(this.entry);
    this.#decided = true;
  }

  /**
   * Whether the key is live at a time; `entry` is then its put. A clock is asked only for an entry that
   * can expire.
   */
  settle(at: number | { now(): number }): boolean {
    if (!this.#found) return false;
    const { expiry } = this.entry;
    return settleInBase(this.entry, expiry === 0 ? 0 : typeof at === 'number' ? at : at.now());
  }
}
