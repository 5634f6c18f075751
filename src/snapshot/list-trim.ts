/*
 * Keeps the newest items of a list at a merge. An item may go exactly when at least `itemsMax` newer
 * items of its key outlive it: whatever the time of a later read, it is not among the newest then.
 * What went never makes another item stay or go, so trimming is associative, and the buffer is
 * trimmed early whenever it has doubled: it holds about twice what the list keeps.
 * A view is of one time: there the newest items stay, however long they live.
 * Items are only appended and cleared, never deleted one by one; a tombstone counts as no item.
 */
import { Entry } from './entry.ts';
import { ops } from './entry-format.ts';

const EARLY_TRIM_MIN = 1024;

/** The entries of one key, oldest first, between being folded and being emitted. */
export class ListBuffer {
  readonly #pool: Entry[] = [];
  readonly #heap = new ExpiryHeap();
  readonly #anyExpiry: boolean;
  #length = 0;
  #at = 0;
  #trimAt = EARLY_TRIM_MIN;

  /** @param view keeps the newest whatever their expiry; all are live at the time of the view */
  constructor(view: boolean) {
    this.#anyExpiry = view;
  }

  /** Starts with the first entry of a key. */
  reset(itemsMax: number): void {
    this.#length = 0;
    this.#at = 0;
    this.#trimAt = Math.max(EARLY_TRIM_MIN, itemsMax * 2);
  }

  push(entry: Entry, itemsMax: number): void {
    let slot = this.#pool[this.#length];
    if (!slot) {
      slot = new Entry();
      this.#pool.push(slot);
    }
    slot.assign(entry);
    this.#length++;
    if (this.#length < this.#trimAt) return;
    this.trim(itemsMax);
    this.#trimAt = Math.max(EARLY_TRIM_MIN, itemsMax * 2, this.#length * 2);
  }

  /** Drops every item that `itemsMax` newer ones outlive. */
  trim(itemsMax: number): void {
    const pool = this.#pool;
    this.#heap.clear();
    let kept = this.#length;
    for (let i = this.#length - 1; i >= 0; i--) {
      const entry = pool[i]!;
      const expiry = this.#anyExpiry ? 0 : entry.expiry;
      if (entry.op === ops.put && !this.#heap.admit(expiry, itemsMax)) continue;
      kept--;
      pool[i] = pool[kept]!;
      pool[kept] = entry;
    }
    // Kept entries are at the end, in order; they move to the front.
    const length = this.#length - kept;
    this.#length = length;
    if (kept === 0) return;
    for (let i = 0; i < length; i++) {
      const spare = pool[i]!;
      pool[i] = pool[kept + i]!;
      pool[kept + i] = spare;
    }
  }

  /** The next entry, or undefined when all were taken. */
  take(): Entry | undefined {
    return this.#at < this.#length ? this.#pool[this.#at++] : undefined;
  }
}

/** The greatest expiries seen, at most a given number of them; the least of them on top. */
class ExpiryHeap {
  readonly #items: number[] = [];

  clear(): void {
    this.#items.length = 0;
  }

  /** Whether an item is among the `limit` that live longest; items come newest first. */
  admit(expiry: number, limit: number): boolean {
    const value = expiry === 0 ? Number.POSITIVE_INFINITY : expiry;
    const items = this.#items;
    if (items.length < limit) {
      items.push(value);
      this.#siftUp(items.length - 1);
      return true;
    }
    if (items[0]! >= value) return false;
    items[0] = value;
    this.#siftDown();
    return true;
  }

  #siftUp(from: number): void {
    const items = this.#items;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]! <= items[at]!) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #siftDown(): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      let least = at * 2 + 1;
      if (least >= items.length) return;
      if (least + 1 < items.length && items[least + 1]! < items[least]!) least++;
      if (items[at]! <= items[least]!) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const value = this.#items[a]!;
    this.#items[a] = this.#items[b]!;
    this.#items[b] = value;
  }
}
