/*
 * A chunk of blobs as images hold it: its reference count, then its content.
 */
import { reservedTables } from '../snapshot/entry-format.ts';
import type { MapKey } from './cells.ts';
import type { ImageLayers } from './image-layers.ts';
import { decodeInt64 } from './operand-changes.ts';

/** Bytes of the reference count. */
export const chunkCountBytes = 8;

/** How often a chunk is referred to, and how long it is. */
export interface FoundChunk {
  readonly count: number;
  /** 0 where images hold no content any more, which is only so while nothing refers to it. */
  readonly contentBytes: number;
}

const absent: FoundChunk = Object.freeze({ count: 0, contentBytes: 0 });

export function chunkInImages(images: ImageLayers, chunk: MapKey): FoundChunk {
  const entry = images.find(reservedTables.chunks, chunk, undefined, 0);
  if (!entry) return absent;
  const count = Number(decodeInt64(entry.bytes, entry.subKeyEnd, entry.valueEnd));
  return { count, contentBytes: entry.valueEnd - entry.subKeyEnd - chunkCountBytes };
}
