/*
 * A blob as it is stored: the length and the digests of its chunks, whose contents are entries of a
 * reserved table (blob-state.ts). Put together from images alone.
 */
import { mapKeyOf } from '../codec/key.ts';
import { CorruptionError } from '../errors.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import { toHex } from '../std/bytes.ts';
import { chunkDigestBytes, manifestLength, manifestLengthBytes } from '../state/blob-manifest.ts';
import type { ImageLayers } from '../state/image-layers.ts';

const COUNT_BYTES = 8;

/** The bytes of a blob, as a copy. */
export function readStoredBlob(layers: ImageLayers, manifest: Uint8Array): Uint8Array {
  const length = manifestLength(manifest, 0, manifest.length);
  const pieces: Uint8Array[] = [];
  let total = 0;
  for (let at = manifestLengthBytes; at < manifest.length; at += chunkDigestBytes) {
    const digest = manifest.subarray(at, at + chunkDigestBytes);
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
