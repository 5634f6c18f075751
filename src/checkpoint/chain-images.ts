/*
 * The chain and its images, kept in step: links oldest first, one image each, and above them the
 * image of the log tail that the opening replayed, until a checkpoint takes it in.
 */
import { reservedTables } from '../snapshot/entry-format.ts';
import type { Image } from '../snapshot/image.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { ChainLink } from './checkpoint-record.ts';

/** A snapshot of the chain and its image. */
export interface LoadedLink {
  readonly link: ChainLink;
  readonly image: Image;
  /** SHA-256 of the snapshots that it is valid on; none where it is valid on any of its ancestry. */
  readonly parents?: readonly string[];
}

export class ChainImages {
  readonly #space: StateSpace;
  #links: readonly LoadedLink[];
  #tail: Image | undefined;

  constructor(
    space: StateSpace,
    links: readonly LoadedLink[],
    tail: Image | undefined,
    throughLsn: number,
  ) {
    this.#space = space;
    this.#links = links;
    this.#tail = tail;
    this.#install(throughLsn);
  }

  get links(): readonly LoadedLink[] {
    return this.#links;
  }

  get chain(): ChainLink[] {
    return this.#links.map(({ link }) => link);
  }

  /** A checkpoint took everything up to an LSN in; without a link when nothing had changed. */
  extend(link: LoadedLink | undefined, throughLsn: number): void {
    if (link) this.#links = [...this.#links, link];
    const tail = this.#tail;
    this.#tail = undefined;
    this.#install(throughLsn);
    tail?.release();
  }

  /** A merge replaced a run of links by one. */
  replaceRun(start: number, count: number, merged: LoadedLink): void {
    const old = this.#links.slice(start, start + count);
    this.#links = [...this.#links.slice(0, start), merged, ...this.#links.slice(start + count)];
    this.#install(this.#space.imagesLsn);
    for (const { image } of old) image.release();
  }

  /** Bytes of the snapshot files. */
  get bytes(): number {
    let bytes = 0;
    for (const { link } of this.#links) bytes += link.bytes;
    return bytes;
  }

  /** Bytes of the entries of the chain, before compression, that are not chunks of blobs. */
  get entryBytes(): number {
    let bytes = 0;
    for (const { image } of this.#links) {
      for (const { facts } of image.slices) {
        const { table, dataBytes } = facts;
        if (table !== reservedTables.chunks) bytes += dataBytes;
      }
    }
    return bytes;
  }

  /** Bytes of entries that are not in memory. */
  get coldBytes(): number {
    let bytes = 0;
    for (const { image } of this.#links) {
      for (const { slice, facts } of image.slices) if (!slice) bytes += facts.dataBytes;
    }
    return bytes;
  }

  /** Bytes of memory that the images take. */
  get slabBytes(): number {
    let bytes = this.#tail?.slabBytes ?? 0;
    for (const { image } of this.#links) bytes += image.slabBytes;
    return bytes;
  }

  release(): void {
    this.#tail?.release();
    for (const { image } of this.#links) image.release();
    this.#tail = undefined;
    this.#links = [];
    this.#install(this.#space.imagesLsn);
  }

  #install(throughLsn: number): void {
    const newestFirst = this.#links.map(({ image }) => image).toReversed();
    if (this.#tail) newestFirst.unshift(this.#tail);
    this.#space.setImages(newestFirst, throughLsn);
  }
}
