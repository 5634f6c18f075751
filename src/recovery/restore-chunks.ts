/*
 * Chunks of blobs in a part of a state, or in several stores together. A chunk is keyed by its digest, so
 * its key group is another than that of the blobs made of it: chunks are never taken by key
 * groups. All chunks of all stores are inputs, and one more input, newest of all, sets each count to the
 * references of the blobs that come along; a chunk without any is dropped, as in any base.
 *
 * What the kernel makes of a chunk that several stores hold is some count, and the content, which
 * is the same everywhere: the digest is of it. So the difference from that count to the right one is
 * all that is needed. The walk folds the same inputs in the same order as the merge, and as a delta, so
 * that counts of zero are seen as well.
 *
 * Memory: the counts of the chunks that are referred to; else a range of slices at a time.
 */
import { decodeKey } from '../codec/key.ts';
import { CorruptionError } from '../errors.ts';
import type { Entry } from '../snapshot/entry.ts';
import { operatorIds, ops, reservedTables } from '../snapshot/entry-format.ts';
import { planRangesIn, type MergeRange } from '../snapshot/merge-ranges.ts';
import { chunkDigestBytes, manifestLength, manifestLengthBytes } from '../state/blob-manifest.ts';
import { noBlobs, type BlobTotals } from '../state/blob-totals.ts';
import { decodeInt64 } from '../state/operand-changes.ts';
import { chunkCountBytes } from '../state/stored-chunk.ts';
import type { Amendments } from './restore-amendments.ts';
import { mergedEntries, tableRange } from './restore-join.ts';
import { eachRange, type RangeTools, type StateSource } from './restore-source.ts';

/** Bytes of input that a range of chunks has, about. */
const rangeBytes = 32 * 1024 * 1024;

/** How often blobs refer to each chunk, by digest. */
export type ChunkReferences = Map<string, number>;

/** Counts the references of the blobs in ranges of a source. */
export async function countReferences(
  source: StateSource,
  ranges: readonly MergeRange[],
  references: ChunkReferences,
  run: RangeTools,
): Promise<void> {
  await eachRange(source, ranges, run, (cursors) => {
    for (const { bytes, subKeyEnd, valueEnd } of mergedEntries(cursors, source, true)) {
      manifestLength(bytes, subKeyEnd, valueEnd);
      for (let at = subKeyEnd + manifestLengthBytes; at < valueEnd; at += chunkDigestBytes) {
        const chunk = latin1(bytes.subarray(at, at + chunkDigestBytes));
        references.set(chunk, (references.get(chunk) ?? 0) + 1);
      }
    }
  });
}

/** All inputs of a merge, and how they are folded. */
export type ChunkInputs = Parameters<typeof eachRange>[0] & Pick<StateSource, 'lastTimestamp'>;

/** Sets the counts of all chunks right, and gives the totals of what is left. */
export async function amendChunks(
  inputs: ChunkInputs,
  references: ChunkReferences,
  amendments: Amendments,
  run: RangeTools,
): Promise<BlobTotals> {
  const blobs = await walkChunks(inputs, run, (chunk, entry) => {
    const due = references.get(chunk) ?? 0;
    references.delete(chunk);
    const count = countIn(entry);
    if (due !== count) amendments.addReferences(entry, due - count);
    return due;
  });
  for (const chunk of references.keys()) {
    const hex = Buffer.from(chunk, 'latin1').toString('hex');
    const message = `chunk of a blob is missing: ${hex}`;
    throw new CorruptionError('CORRUPT_SNAPSHOT', message, { chunk: hex });
  }
  return blobs;
}

/** Totals of the blobs of the whole state; read out only where the log has changed them. */
export async function blobTotals(source: StateSource, run: RangeTools): Promise<BlobTotals> {
  const { record } = source.plan;
  if (!source.tail.some(({ table }) => table === reservedTables.chunks)) {
    return record?.blobs ?? noBlobs;
  }
  return walkChunks(source, run, (_, entry) => countIn(entry));
}

/** Walks the chunks of the state; `countOf` says how many references each is left with. */
async function walkChunks(
  inputs: ChunkInputs,
  run: RangeTools,
  countOf: (chunk: string, entry: Entry) => number,
): Promise<BlobTotals> {
  const sum = { bytes: 0, chunkCount: 0, chunkBytes: 0 };
  const parts = await chunkRanges(inputs, run);
  await eachRange(inputs, parts, run, (cursors) => {
    for (const entry of mergedEntries(cursors, inputs, false)) {
      const digest = decodeKey(entry.bytes, entry.keyStart, entry.keyEnd) as Uint8Array;
      const count = countOf(latin1(digest), entry);
      if (count <= 0) continue;
      const contentBytes = entry.valueEnd - entry.subKeyEnd - chunkCountBytes;
      sum.bytes += count * contentBytes;
      sum.chunkCount++;
      sum.chunkBytes += contentBytes;
    }
  });
  return sum;
}

/** The count of an entry, whether it is a put or an operand on nothing; others count nothing. */
function countIn({ op, operator, bytes, subKeyEnd, valueEnd }: Entry): number {
  const counts = op === ops.put || (op === ops.merge && operator === operatorIds.chunk);
  return counts ? Number(decodeInt64(bytes, subKeyEnd, valueEnd)) : 0;
}

async function chunkRanges(
  { inputs, groupBits }: ChunkInputs,
  run: RangeTools,
): Promise<MergeRange[]> {
  const spans = [];
  for (const input of inputs) {
    if ('slices' in input) spans.push(...input.slices);
    else {
      const { path } = input;
      spans.push(...(await run.pool.run('loadSnapshot', { path, sliceIndexes: [] })).records);
    }
  }
  return planRangesIn([tableRange(reservedTables.chunks)], spans, groupBits, rangeBytes);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
