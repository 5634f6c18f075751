/*
 * A map whose growth never holds the event loop: buckets of at most `bucketEntriesMax` entries,
 * split one at a time (after extendible hashing, Fagin et al. 1979). One JS Map that grows past a million
 * entries copies them all at once; here a step moves one bucket. Up to `plainEntriesMax` entries it
 * is a JS Map and hashes nothing. Insertion order is not kept.
 */
import { HashBucket } from './hash-bucket.ts';
import { keyHash, type MapKey } from './key-hash.ts';

/** A JS Map knows the hash of a text that it has seen; beyond this it loses to misses of the cache. */
const plainEntriesMax = 16_384;
const bucketEntriesMax = 8192;
/** Keys that hash alike stay together; the directory does not grow for them. */
const depthMax = 20;
/** Bits of the hash by which a bucket is split: split in two, entries would be moved four times as often. */
const splitBits = 4;

export class GrowingMap<V> {
  /** Until there are too many of them. */
  #plain: Map<MapKey, V> | undefined = new Map();
  /** Buckets by the low bits of the hash; one that is not split yet stands at several places. */
  #directory: HashBucket<V>[] = [];
  /** How many bits of the hash a bucket shares, at the same places. */
  #depths: number[] = [];
  #mask = 0;
  #size = 0;

  get size(): number {
    return this.#plain ? this.#plain.size : this.#size;
  }

  get(key: MapKey): V | undefined {
    const plain = this.#plain;
    // A memtable that is empty does not ask for the hash of a text.
    if (plain) return plain.size === 0 ? undefined : plain.get(key);
    const hash = keyHash(key);
    return this.#directory[hash & this.#mask]!.get(key, hash);
  }

  set(key: MapKey, value: V): void {
    if (this.#plain) {
      this.#plain.set(key, value);
      if (this.#plain.size > plainEntriesMax) this.#begin(this.#plain);
      return;
    }
    const hash = keyHash(key);
    const index = hash & this.#mask;
    const bucket = this.#directory[index]!;
    if (!bucket.set(key, hash, value)) return;
    this.#size++;
    if (bucket.size > bucketEntriesMax && this.#depths[index]! < depthMax) this.#split(index);
  }

  delete(key: MapKey): boolean {
    if (this.#plain) return this.#plain.delete(key);
    const hash = keyHash(key);
    const deleted = this.#directory[hash & this.#mask]!.delete(key, hash);
    if (deleted) this.#size--;
    return deleted;
  }

  /** Entries in no particular order; changes made meanwhile may or may not be seen. */
  *entries(): Generator<[MapKey, V]> {
    if (this.#plain) {
      yield* this.#plain;
      return;
    }
    const seen = new Set<HashBucket<V>>();
    for (const bucket of this.#directory) {
      if (seen.has(bucket)) continue;
      seen.add(bucket);
      yield* bucket.entries();
    }
  }

  #begin(plain: Map<MapKey, V>): void {
    const count = 1 << splitBits;
    const expected = (2 * plain.size) >>> splitBits;
    this.#plain = undefined;
    this.#size = plain.size;
    this.#mask = count - 1;
    this.#depths = Array.from({ length: count }, () => splitBits);
    this.#directory = Array.from({ length: count }, () => new HashBucket<V>(expected));
    for (const [key, value] of plain) {
      const hash = keyHash(key);
      this.#directory[hash & this.#mask]!.set(key, hash, value);
    }
  }

  #split(index: number): void {
    const old = this.#directory[index]!;
    const oldDepth = this.#depths[index]!;
    const bits = Math.min(splitBits, depthMax - oldDepth);
    const depth = oldDepth + bits;
    while (this.#mask + 1 < 1 << depth) this.#double();
    const expected = (2 * bucketEntriesMax) >>> bits;
    const parts = Array.from({ length: 1 << bits }, () => new HashBucket<V>(expected));
    old.moveTo(parts, oldDepth);
    const step = 1 << oldDepth;
    for (let i = index & (step - 1); i < this.#directory.length; i += step) {
      this.#directory[i] = parts[(i >>> oldDepth) & (parts.length - 1)]!;
      this.#depths[i] = depth;
    }
  }

  #double(): void {
    this.#directory = [...this.#directory, ...this.#directory];
    this.#depths = [...this.#depths, ...this.#depths];
    this.#mask = this.#directory.length - 1;
  }
}
