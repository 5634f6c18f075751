/*
 * The images below the memtables, newest first: the log tail of the opening, deltas, base. Lookups
 * go from the newest to the oldest and stop where nothing older counts.
 */
import { encodeKeyInto, keyBytesMax, keyOfMapKey } from '../codec/key.ts';
import { hashBytes, type HashSeed } from '../codec/hash.ts';
import { Entry } from '../snapshot/entry.ts';
import { setProbe, type Image } from '../snapshot/image.ts';
import { PointFold } from '../snapshot/point-fold.ts';
import type { MapKey } from './key-hash.ts';

export class ImageLayers {
  readonly seed: HashSeed;
  readonly groupBits: number;
  #newestFirst: readonly Image[] = [];
  readonly #keyBytes = new Uint8Array(2 * keyBytesMax + 64);
  readonly #probe = new Entry();
  readonly #fold = new PointFold();

  constructor(seed: HashSeed, groupBits: number) {
    this.seed = seed;
    this.groupBits = groupBits;
  }

  get newestFirst(): readonly Image[] {
    return this.#newestFirst;
  }

  set(newestFirst: readonly Image[]): void {
    this.#newestFirst = newestFirst;
  }

  /**
   * The live entry of a key at a time (microseconds), or at that of a clock, folded over all images.
   * Borrowed.
   */
  find(
    table: number,
    key: MapKey,
    subKey: MapKey | undefined,
    at: number | { now(): number },
  ): Entry | undefined {
    if (this.#newestFirst.length === 0) return undefined;
    const probe = this.probe(table, key, subKey);
    const fold = this.#fold;
    fold.reset();
    for (const image of this.#newestFirst) if (image.collect(probe, fold)) break;
    return fold.settle(at) ? fold.entry : undefined;
  }

  /** Names a key, and a sub-key if there is one. Borrowed. */
  probe(table: number, key: MapKey, subKey: MapKey | undefined): Entry {
    const bytes = this.#keyBytes;
    const end = encodeKeyInto(keyOfMapKey(key), bytes, 0);
    const subKeyEnd =
      subKey === undefined ? undefined : encodeKeyInto(keyOfMapKey(subKey), bytes, end);
    const hash = hashBytes(bytes, 0, end, this.seed);
    setProbe(this.#probe, table, hash, { bytes, start: 0, end, subKeyEnd });
    return this.#probe;
  }
}
