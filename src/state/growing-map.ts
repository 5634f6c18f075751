/*
 * A Map whose growth never holds the event loop: buckets of at most `bucketEntriesMax` entries,
 * split one at a time (extendible hashing, Fagin et al. 1979). One JS Map that grows past a million
 * entries copies them all at once; here a step moves one bucket. Up to one bucket it is a plain Map
 * and hashes nothing. Insertion order is not kept.
 */

/** Keys of memtables: what `mapKeyOf` gives. */
export type MapKey = string | number | bigint | boolean;

const bucketEntriesMax = 8192;
/** Keys that hash alike stay together; the directory does not grow for them. */
const depthMax = 20;

interface Bucket<V> {
  depth: number;
  map: Map<MapKey, V>;
}

export class GrowingMap<V> {
  #directory: Bucket<V>[] = [{ depth: 0, map: new Map() }];
  #mask = 0;
  #depth = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: MapKey): V | undefined {
    if (this.#mask === 0) return this.#directory[0]!.map.get(key);
    return this.#directory[hashOf(key) & this.#mask]!.map.get(key);
  }

  set(key: MapKey, value: V): void {
    const hash = this.#mask === 0 ? 0 : hashOf(key);
    const bucket = this.#directory[hash & this.#mask]!;
    const before = bucket.map.size;
    bucket.map.set(key, value);
    if (bucket.map.size === before) return;
    this.#size++;
    if (bucket.map.size > bucketEntriesMax && bucket.depth < depthMax) {
      this.#split(hashOf(key) & this.#mask);
    }
  }

  delete(key: MapKey): boolean {
    const index = this.#mask === 0 ? 0 : hashOf(key) & this.#mask;
    const deleted = this.#directory[index]!.map.delete(key);
    if (deleted) this.#size--;
    return deleted;
  }

  /** Entries in no particular order; changes made meanwhile may or may not be seen. */
  *entries(): Generator<[MapKey, V]> {
    const seen = new Set<Bucket<V>>();
    for (const bucket of this.#directory) {
      if (seen.has(bucket)) continue;
      seen.add(bucket);
      yield* bucket.map;
    }
  }

  #split(index: number): void {
    const old = this.#directory[index]!;
    if (old.depth === this.#depth) this.#double();
    const depth = old.depth + 1;
    const bit = 1 << old.depth;
    const low: Bucket<V> = { depth, map: new Map() };
    const high: Bucket<V> = { depth, map: new Map() };
    for (const [key, value] of old.map) {
      (hashOf(key) & bit ? high : low).map.set(key, value);
    }
    for (let i = index & (bit - 1); i < this.#directory.length; i += bit) {
      this.#directory[i] = i & bit ? high : low;
    }
  }

  #double(): void {
    this.#directory = [...this.#directory, ...this.#directory];
    this.#depth++;
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
