/*
 * Which slices that are not in memory are loaded next: those that somebody waits for, then those that
 * were looked into, in the order in which they were first used, then the rest, in the order of the
 * tables' ranks and of the file. Pure bookkeeping: a slice is given out once.
 */
import type { Image } from '../../snapshot/image.ts';

/** A slice of an image, by its place. */
export interface SlicePlace {
  readonly image: Image;
  readonly index: number;
}

/** How slices come to be loaded before anything asks for them by name. */
export interface LoadPolicy {
  /** What is looked into is loaded. */
  readonly used: boolean;
  /** Everything else is loaded as well. */
  readonly rest: boolean;
  /** The less, the sooner; undefined: slices of this table are never loaded whole. */
  readonly rank: (table: number) => number | undefined;
}

/** Small slices are loaded together. */
const PART_BYTES = 8 * 1024 * 1024;

export class LoadQueue {
  #policy: LoadPolicy = { used: true, rest: false, rank: () => 0 };
  readonly #given = new Map<Image, Set<number>>();
  readonly #whole = new Set<Image>();
  #asked: SlicePlace[] = [];
  #refused: SlicePlace[] = [];
  #used: SlicePlace[] = [];
  #rest: SlicePlace[] = [];

  /** From now on this is what may be given out. */
  start(policy: LoadPolicy): void {
    this.#policy = policy;
    if (!policy.used) this.#used = [];
    for (const image of this.#whole) this.#addRest(image);
  }

  /** An image of which slices may be given out; `whole`: also those that nobody looks into. */
  add(image: Image, whole: boolean): void {
    this.#given.set(image, new Set());
    if (!whole) return;
    this.#whole.add(image);
    this.#addRest(image);
  }

  /** Nobody reads the image any more. */
  remove(image: Image): void {
    this.#given.delete(image);
    this.#whole.delete(image);
    const others = (place: SlicePlace): boolean => place.image !== image;
    this.#asked = this.#asked.filter(others);
    this.#refused = this.#refused.filter(others);
    this.#used = this.#used.filter(others);
    this.#rest = this.#rest.filter(others);
  }

  /** Somebody waits for it. */
  ask(place: SlicePlace): void {
    this.#asked.push(place);
  }

  /** Somebody looked into it, and was served from the file. */
  use(place: SlicePlace): void {
    if (this.#policy.used) this.#used.push(place);
  }

  /** What was asked for and is not loaded: its table has come to stay in its files. Told once. */
  refused(): readonly SlicePlace[] {
    return this.#refused.splice(0);
  }

  /** Slices of one image that are to be loaded next, marked as given out; undefined: nothing. */
  next(): { readonly image: Image; readonly indexes: readonly number[] } | undefined {
    const first = this.#take(this.#asked) ?? this.#take(this.#used) ?? this.#take(this.#rest);
    if (!first) return undefined;
    const { image, index } = first;
    const indexes = [index];
    let bytes = image.slices[index]!.facts.dataBytes;
    while (this.#rest[0]?.image === image) {
      const { index: another } = this.#rest[0];
      bytes += image.slices[another]!.facts.dataBytes;
      if (bytes > PART_BYTES) break;
      if (this.#take(this.#rest, 1)) indexes.push(another);
    }
    return { image, indexes };
  }

  #take(from: SlicePlace[], most = Number.POSITIVE_INFINITY): SlicePlace | undefined {
    let looked = 0;
    for (; looked < from.length && looked < most; looked++) {
      const place = from[looked]!;
      if (from === this.#asked && !this.#isLoaded(place)) this.#refused.push(place);
      if (!this.#give(place)) continue;
      from.splice(0, looked + 1);
      return place;
    }
    from.splice(0, looked);
    return undefined;
  }

  #give({ image, index }: SlicePlace): boolean {
    const given = this.#given.get(image);
    const { slice, cold } = image.slices[index]!;
    if (!given || given.has(index) || slice || cold?.fault) return false;
    if (!this.#isLoaded({ image, index })) return false;
    given.add(index);
    return true;
  }

  /** Slices of its table belong in memory. */
  #isLoaded({ image, index }: SlicePlace): boolean {
    return this.#policy.rank(image.slices[index]!.facts.table) !== undefined;
  }

  #addRest(image: Image): void {
    const policy = this.#policy;
    if (!policy.rest) return;
    const places = image.slices.flatMap(({ facts }, index) => {
      const rank = policy.rank(facts.table);
      return rank === undefined ? [] : [{ image, index, rank }];
    });
    const rankOf = (place: SlicePlace): number =>
      policy.rank(place.image.slices[place.index]!.facts.table) ?? 0;
    // Sorting is stable: what has the same rank stays in the order of files and of slices.
    this.#rest = [...this.#rest, ...places]
      .map((place) => ({ place, rank: rankOf(place) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ place }) => place);
  }
}
