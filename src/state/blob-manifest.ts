/*
 * What the entry of a blob holds in place of its bytes: the length, u64, then the SHA-256 of each chunk
 * in order. Chunks are entries of a reserved table. Everybody who reads one comes here, so that a
 * manifest of another form is damage wherever it is met.
 */
import { storedShape } from '../codec/chunking.ts';
import { CorruptionError } from '../errors.ts';
import { readU64, toHex } from '../std/bytes.ts';

export const manifestLengthBytes = 8;
export const chunkDigestBytes = 32;

/** A blob without its bytes: its length, then the digests of its chunks. */
export interface BlobManifest {
  readonly bytes: number;
  readonly chunks: string[];
}

/**
 * The manifest that fills a range.
 * @throws CorruptionError CORRUPT_SNAPSHOT
 */
export function readManifest(bytes: Uint8Array, start: number, end: number): BlobManifest {
  const length = manifestLength(bytes, start, end);
  const chunks: string[] = [];
  for (let at = start + manifestLengthBytes; at < end; at += chunkDigestBytes) {
    chunks.push(toHex(bytes.subarray(at, at + chunkDigestBytes)));
  }
  return { bytes: length, chunks };
}

/**
 * The length of the blob whose manifest fills a range; the rest of it are whole digests then.
 * @throws CorruptionError CORRUPT_SNAPSHOT
 */
export function manifestLength(bytes: Uint8Array, start: number, end: number): number {
  const digestBytes = end - start - manifestLengthBytes;
  const length = digestBytes < 0 ? -1 : readU64(bytes, start);
  const chunkCount = digestBytes / chunkDigestBytes;
  // No chunk is empty or longer than the greatest.
  const possible = length >= chunkCount && length <= chunkCount * storedShape.bytesMax;
  if (Number.isInteger(chunkCount) && possible) return length;
  const details = { start, end, actual: end - start };
  throw new CorruptionError('CORRUPT_SNAPSHOT', 'a stored blob is no list of chunks', details);
}
