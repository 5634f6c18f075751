/*
 * How many bytes the blobs of a store have, and how many are left when equal chunks count once.
 * Counted where commits are sealed, exactly: each change of a chunk's references says what the count
 * was and what it is now. A checkpoint record holds the totals as of its LSN, taken in the turn of
 * its freeze (C1); an opening goes on from there with what the log tail did to chunks.
 */
import { decodeKey, mapKeyOf } from '../codec/key.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import type { Image } from '../snapshot/image.ts';
import type { MapKey } from './cells.ts';
import { ImageLayers } from './image-layers.ts';
import { chunkInImages, type FoundChunk } from './stored-chunk.ts';

/** Totals of the blobs of all states. */
export interface BlobTotals {
  /** Of all blobs, each in full. */
  readonly bytes: number;
  /** Different chunks that blobs are made of. */
  readonly chunkCount: number;
  /** Of those chunks, each once. */
  readonly chunkBytes: number;
}

export const noBlobs: BlobTotals = Object.freeze({ bytes: 0, chunkCount: 0, chunkBytes: 0 });

/** The totals as of the last commit. */
export class BlobCounter {
  #bytes: number;
  #chunkCount: number;
  #chunkBytes: number;

  constructor({ bytes, chunkCount, chunkBytes }: BlobTotals = noBlobs) {
    this.#bytes = bytes;
    this.#chunkCount = chunkCount;
    this.#chunkBytes = chunkBytes;
  }

  get totals(): BlobTotals {
    return { bytes: this.#bytes, chunkCount: this.#chunkCount, chunkBytes: this.#chunkBytes };
  }

  /** The references of a chunk changed from one number to another. */
  changed(before: number, after: number, chunkBytes: number): void {
    this.#bytes += (after - before) * chunkBytes;
    const appeared = Number(after > 0) - Number(before > 0);
    this.#chunkCount += appeared;
    this.#chunkBytes += appeared * chunkBytes;
  }

  /** Takes in what a log tail did to chunks; takes time as the tail has chunks. */
  replay(tail: Image, older: readonly Image[], all: ImageLayers): void {
    const before = new ImageLayers(all.seed, all.groupBits);
    before.set(older);
    for (const chunk of chunkKeys(tail)) {
      const was = chunkInImages(before, chunk);
      const is = chunkInImages(all, chunk);
      this.changed(was.count, is.count, contentBytes(was, is));
    }
  }
}

/** Content that nothing refers to may be gone: the side that is referred to has it. */
function contentBytes(was: FoundChunk, is: FoundChunk): number {
  return is.count > 0 ? is.contentBytes : was.contentBytes;
}

function* chunkKeys(image: Image): Generator<MapKey> {
  const cursor = image.cursor({ table: reservedTables.chunks });
  while (cursor.next()) yield mapKeyOf(decodeKey(cursor.bytes, cursor.keyStart, cursor.keyEnd));
}
