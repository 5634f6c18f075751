/*
 * A hash table with open addressing for some thousands of entries: one bucket of a GrowingMap. A
 * slot holds the hash and the place of its entry, so that growing and splitting read no key again, a
 * key is compared only where the whole hash is the same, and a lookup that finds nothing reads the
 * slots alone. Of its own, since a JS Map hashes each new key once more, out of line.
 */
import type { MapKey } from './key-hash.ts';

const capacityLeast = 16;
/** Stands in a slot whose entry was deleted; in a slot that was never used stands 0. */
const gone = -1;

export class HashBucket<V> {
  /** Entries that are there. */
  size = 0;
  /** Two words for each slot: the hash, and the place of the entry plus one. */
  #slots: Int32Array;
  /** Slots in use, those of deleted entries included. */
  #used = 0;
  /** What is left of a mixed hash is the slot. */
  #shift: number;
  /** Key and value by turns; both are undefined where an entry was deleted. */
  #entries: (MapKey | V | undefined)[] = [];

  /** @param expected entries that will come at least */
  constructor(expected: number) {
    this.#shift = 32 - bitsFor(expected);
    this.#slots = new Int32Array(2 << (32 - this.#shift));
  }

  get(key: MapKey, hash: number): V | undefined {
    const slots = this.#slots;
    const end = slots.length;
    let at = (Math.imul(hash, spread) >>> this.#shift) * 2;
    for (;;) {
      const place = slots[at + 1]!;
      if (place === 0) return undefined;
      if (slots[at] === hash && place !== gone && this.#entries[place - 1] === key) {
        return this.#entries[place] as V;
      }
      at += 2;
      if (at === end) at = 0;
    }
  }

  /** True when the key is new. */
  set(key: MapKey, hash: number, value: V): boolean {
    const slots = this.#slots;
    const end = slots.length;
    let at = (Math.imul(hash, spread) >>> this.#shift) * 2;
    for (;;) {
      const place = slots[at + 1]!;
      if (place === 0) break;
      if (slots[at] === hash && place !== gone && this.#entries[place - 1] === key) {
        this.#entries[place] = value;
        return false;
      }
      at += 2;
      if (at === end) at = 0;
    }
    slots[at] = hash;
    slots[at + 1] = this.#entries.push(key, value) - 1;
    this.size++;
    this.#used++;
    if (this.#used * 8 > end * 3) this.#rebuild();
    return true;
  }

  /** False when there is no such key. */
  delete(key: MapKey, hash: number): boolean {
    const slots = this.#slots;
    const end = slots.length;
    let at = (Math.imul(hash, spread) >>> this.#shift) * 2;
    for (;;) {
      const place = slots[at + 1]!;
      if (place === 0) return false;
      if (slots[at] === hash && place !== gone && this.#entries[place - 1] === key) {
        slots[at + 1] = gone;
        this.#entries[place - 1] = undefined;
        this.#entries[place] = undefined;
        this.size--;
        return true;
      }
      at += 2;
      if (at === end) at = 0;
    }
  }

  /** In no particular order; changes made meanwhile may or may not be seen. */
  *entries(): Generator<[MapKey, V]> {
    const entries = this.#entries;
    for (let place = 0; place < entries.length; place += 2) {
      const key = entries[place];
      if (key !== undefined) yield [key as MapKey, entries[place + 1] as V];
    }
  }

  /** Puts each entry into one of the buckets, whose number is a power of two, by bits of its hash. */
  moveTo(buckets: readonly HashBucket<V>[], firstBit: number): void {
    const slots = this.#slots;
    const last = buckets.length - 1;
    for (let at = 0; at < slots.length; at += 2) {
      const place = slots[at + 1]!;
      if (place <= 0) continue;
      const hash = slots[at]!;
      const bucket = buckets[(hash >>> firstBit) & last]!;
      bucket.#add(this.#entries[place - 1] as MapKey, hash, this.#entries[place] as V);
    }
  }

  /** An entry whose key is not there. */
  #add(key: MapKey, hash: number, value: V): void {
    this.#place(hash, this.#entries.push(key, value) - 1);
    this.size++;
    this.#used++;
    if (this.#used * 8 > this.#slots.length * 3) this.#rebuild();
  }

  #place(hash: number, place: number): void {
    const slots = this.#slots;
    const end = slots.length;
    let at = (Math.imul(hash, spread) >>> this.#shift) * 2;
    while (slots[at + 1] !== 0) {
      at += 2;
      if (at === end) at = 0;
    }
    slots[at] = hash;
    slots[at + 1] = place;
  }

  /** Slots for twice the entries that are there; what is left of deleted ones goes. */
  #rebuild(): void {
    const slots = this.#slots;
    const entries = this.#entries;
    const compacts = this.#used > this.size;
    this.#shift = 32 - bitsFor(2 * this.size);
    this.#slots = new Int32Array(2 << (32 - this.#shift));
    if (compacts) this.#entries = [];
    for (let at = 0; at < slots.length; at += 2) {
      let place = slots[at + 1]!;
      if (place <= 0) continue;
      if (compacts) place = this.#entries.push(entries[place - 1], entries[place]) - 1;
      this.#place(slots[at]!, place);
    }
    this.#used = this.size;
  }
}

/** An odd number near 2^32 divided by the golden ratio: the slot does not follow from low bits alone. */
const spread = 0x9e3779b1;

/** Slots for so many entries, no more than three quarters of them in use, as a power of two. */
function bitsFor(entries: number): number {
  const slots = Math.max(capacityLeast, Math.ceil((entries * 4) / 3));
  return 32 - Math.clz32(slots - 1);
}
