/*
 * A Map whose growth never holds the event loop: buckets of at most `bucketEntriesMax` entries,
 * split one at a time (after extendible hashing, Fagin et al. 1979). One JS Map that grows past a million
 * entries copies them all at once; here a step moves one bucket. Up to one bucket it is a plain Map
 * and hashes nothing. Insertion order is not kept.
 */

/** Keys of memtables: what `mapKeyOf` gives. */
export type MapKey = string | number | bigint | boolean;

const bucketEntriesMax = 8192;
/** Keys that hash alike stay together; the directory does not grow for them. */
const depthMax = 20;
/** Bits of the hash by which a bucket is split. */
const splitBits = 4;

export class GrowingMap<V> {
  /** Buckets by the low bits of the hash; one that is not split yet stands at several places. */
  #directory: Map<MapKey, V>[] = [new Map()];
  /** How many bits of the hash a bucket shares, at the same places. */
  #depths: number[] = [0];
  #mask = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: MapKey): V | undefined {
    if (this.#mask === 0) return this.#directory[0]!.get(key);
    return this.#directory[hashOf(key) & this.#mask]!.get(key);
  }

  set(key: MapKey, value: V): void {
    const index = this.#mask === 0 ? 0 : hashOf(key) & this.#mask;
    const bucket = this.#directory[index]!;
    const before = bucket.size;
    bucket.set(key, value);
    if (bucket.size === before) return;
    this.#size++;
    if (bucket.size > bucketEntriesMax && this.#depths[index]! < depthMax) this.#split(index);
  }

  delete(key: MapKey): boolean {
    const index = this.#mask === 0 ? 0 : hashOf(key) & this.#mask;
    const deleted = this.#directory[index]!.delete(key);
    if (deleted) this.#size--;
    return deleted;
  }

  /** Entries in no particular order; changes made meanwhile may or may not be seen. */
  *entries(): Generator<[MapKey, V]> {
    const seen = new Set<Map<MapKey, V>>();
    for (const bucket of this.#directory) {
      if (seen.has(bucket)) continue;
      seen.add(bucket);
      yield* bucket;
    }
  }

  /** Splits a bucket sixteenfold: split in two, each entry would be moved four times as often. */
  #split(index: number): void {
    const old = this.#directory[index]!;
    const oldDepth = this.#depths[index]!;
    const bits = Math.min(splitBits, depthMax - oldDepth);
    const depth = oldDepth + bits;
    while (this.#mask + 1 < 1 << depth) this.#double();
    const parts = Array.from({ length: 1 << bits }, () => new Map<MapKey, V>());
    const last = parts.length - 1;
    for (const [key, value] of old) parts[(hashOf(key) >>> oldDepth) & last]!.set(key, value);
    const step = 1 << oldDepth;
    for (let i = index & (step - 1); i < this.#directory.length; i += step) {
      this.#directory[i] = parts[(i >>> oldDepth) & last]!;
      this.#depths[i] = depth;
    }
  }

  #double(): void {
    this.#directory = [...this.#directory, ...this.#directory];
    this.#depths = [...this.#depths, ...this.#depths];
    this.#mask = this.#directory.length - 1;
  }
}

const CHARACTERS_MAX = 48;

let lastText = '';
let lastHash = hashString('');

/** A cheap hash; it decides only which bucket a key is in. */
function hashOf(key: MapKey): number {
  if (typeof key === 'number') return hashNumber(key);
  const text = typeof key === 'string' ? key : String(key);
  // A key is looked for, then set: the same text twice in a row.
  if (text === lastText) return lastHash;
  lastText = text;
  lastHash = hashString(text);
  return lastHash;
}

function hashNumber(key: number): number {
  const low = Number.isInteger(key) ? key | 0 : hashString(String(key));
  return finish(low ^ Math.floor(key / 0x1_0000_0000));
}

/** All characters of a short string; the ends of a long one and its length. */
function hashString(text: string): number {
  const { length } = text;
  let hash = length;
  const head = length > CHARACTERS_MAX ? CHARACTERS_MAX / 2 : length;
  for (let i = 0; i < head; i++) hash = Math.imul(hash, 31) + text.charCodeAt(i);
  for (let i = Math.max(head, length - CHARACTERS_MAX / 2); i < length; i++) {
    hash = Math.imul(hash, 31) + text.charCodeAt(i);
  }
  return finish(hash);
}

function finish(value: number): number {
  const a = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  const b = Math.imul(a ^ (a >>> 15), 0x846ca68b);
  return (b ^ (b >>> 16)) >>> 0;
}
