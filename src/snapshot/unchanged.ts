/*
 * Which entries of a delta change nothing where the older part of its chain is known: a tombstone of
 * a key that no older snapshot has, and a put of what is there already. A delta without them is
 * valid only behind that state, so it names its parents (PROTOCOL E2, docs/adr/0018).
 *
 * Invariants: U1 older images are all of the chain below the delta, for the range that is merged.
 * U2 whether a put is there already depends on the newest older entry alone, and on there being no
 * clear above it, in the older chain or in the delta. U3 operands and clears always stay; so does
 * everything of reserved tables and of bounded lists.
 */
import { Entry, rankOf, ranks } from './entry.ts';
import { entryFlags, firstUserTable, ops } from './entry-format.ts';
import { Image } from './image.ts';
import { SlabPool } from './slab-pool.ts';
import type { SliceDescriptor } from './slice.ts';

/** The older part of a chain, to be asked entry by entry. */
export class OlderChain {
  readonly #images: readonly Image[];
  readonly #found = new Entry();

  /** @param older slices of each snapshot, the oldest first, as far as they overlap the range */
  constructor(older: readonly (readonly SliceDescriptor[])[], groupBits: number) {
    // The slabs stay their owner's: these images are never released.
    const options = { slabs: new SlabPool(0), groupBits };
    this.#images = older.map((slices) => new Image(slices, options)).reverse();
  }

  /** Whether a delta may leave the entry out; `isCleared` when a clear of the delta covers its key. */
  holds(entry: Entry, isCleared: boolean): boolean {
    if (entry.table < firstUserTable || rankOf(entry) === ranks.clear) return false;
    if (entry.op === ops.delete) return !this.#images.some((image) => this.#has(image, entry));
    return entry.op === ops.put && !isCleared && this.#isThere(entry);
  }

  #has(image: Image, entry: Entry): boolean {
    return image.find(entry, this.#found);
  }

  #isThere(entry: Entry): boolean {
    for (const image of this.#images) {
      const cleared = image.clearLsn(entry);
      if (this.#has(image, entry)) return this.#found.lsn >= cleared && isSame(this.#found, entry);
      if (cleared > 0) return false;
    }
    return false;
  }
}

/** The same value until the same time. What has no expiry that has passed in one has none in both. */
function isSame(older: Entry, entry: Entry): boolean {
  return (
    older.op === ops.put &&
    older.operator === entry.operator &&
    older.expiry === entry.expiry &&
    older.eventTime === entry.eventTime &&
    (older.flags & entryFlags.subKey) === (entry.flags & entryFlags.subKey) &&
    Buffer.compare(valueOf(older), valueOf(entry)) === 0
  );
}

function valueOf({ bytes, subKeyEnd, valueEnd }: Entry): Uint8Array {
  return bytes.subarray(subKeyEnd, valueEnd);
}
