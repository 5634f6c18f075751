/*
 * A blob as it is stored: the length and the digests of its chunks, whose contents are entries of a
 * reserved table (blob-state.ts). Put together from images alone.
 */
import { mapKeyOf } from '../codec/key.ts';
import { CorruptionError } from '../errors.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import { readU64, toHex } from '../std/bytes.ts';
import type { ImageLayers } from '../state/image-layers.ts';

const DIGEST_BYTES = 32;
const LENGTH_BYTES = 8;
const COUNT_BYTES = 8;

/** A blob without its bytes: its length, then the digests of its chunks. */
export function describeStoredBlob(
  bytes: Uint8Array,
  start: number,
  end: number,
): { bytes: number; chunks: string[] } {
  const chunks: string[] = [];
  for (let at = start + LENGTH_BYTES; at < end; at += DIGEST_BYTES) {
    chunks.push(toHex(bytes.subarray(at, at + DIGEST_BYTES)));
  }
  return { bytes: readU64(bytes, start), chunks };
}

/** The bytes of a blob, as a copy. */
export function readStoredBlob(layers: ImageLayers, manifest: Uint8Array): Uint8Array {
  const length = manifest.length < LENGTH_BYTES ? -1 : readU64(manifest, 0);
  const pieces: Uint8Array[] = [];
  let total = 0;
  for (let at = LENGTH_BYTES; at + DIGEST_BYTES <= manifest.length; at += DIGEST_BYTES) {
    const digest = manifest.subarray(at, at + DIGEST_BYTES);
    const entry = layers.find(reservedTables.chunks, mapKeyOf(digest), undefined, 0);
    if (!entry) {
      throw new CorruptionError(
        'CORRUPT_SNAPSHOT',
        `chunk of a blob is missing: ${toHex(digest)}`,
        {
          chunk: toHex(digest),
        },
      );
    }
    const piece = entry.bytes.slice(entry.subKeyEnd + COUNT_BYTES, entry.valueEnd);
    pieces.push(piece);
    total += piece.length;
  }
  if (total !== length) {
    throw new CorruptionError('CORRUPT_SNAPSHOT', 'chunks of a blob do not add up to its length', {
      expected: length,
      actual: total,
    });
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
