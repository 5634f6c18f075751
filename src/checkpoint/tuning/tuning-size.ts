/*
 * What a snapshot of so many entries takes as a file (snapshot-format.ts): exact for its parts, with
 * the share that compression leaves as it was measured on snapshots of the store.
 */
import { sliceBytesDefault } from '../../snapshot/task-memory.ts';
import { blockBytes, blockTableEntryBytes } from '../../snapshot/snapshot-format.ts';
import { bucketsOf, sliceLayout } from '../../snapshot/slice.ts';
import type { PaperSnapshot } from './tuning-fold.ts';
import type { PaperTable } from './tuning-workload.ts';

/** Bytes of a codec for each byte before compression. */
export interface PartShares {
  /** Of entries, by table; those that were not seen take `data`. */
  readonly tables: ReadonlyMap<number, number>;
  readonly data: number;
  readonly index: number;
}

/** A codec as it was measured on this store. */
export interface CodecModel {
  readonly codec: string;
  readonly level: number | undefined;
  readonly base: PartShares;
  readonly delta: PartShares;
  /** Seconds to load a byte of slices: read, checked, decompressed. */
  readonly loadSecondsPerByte: number;
}

/** Header, trailer, and footer without its slices and tables. */
const FILE_BYTES = 128 + 32 + 144;
const SLICE_BYTES = 56;
const TABLE_BYTES = 24;

/** A file on paper. */
export interface PaperFile {
  readonly fileBytes: number;
  /** Before compression: what is to be loaded. */
  readonly rawBytes: number;
  readonly entryCount: number;
}

export function fileOf(
  snapshot: Pick<PaperSnapshot, 'kind' | 'totals'>,
  tables: readonly Pick<PaperTable, 'table'>[],
  model: Pick<CodecModel, 'base' | 'delta'>,
): PaperFile {
  const shares = model[snapshot.kind];
  let fileBytes = FILE_BYTES;
  let rawBytes = 0;
  let entryCount = 0;
  for (const [i, { entries, bytes }] of snapshot.totals.entries()) {
    const count = Math.round(entries);
    if (count === 0) continue;
    const slices = Math.max(1, Math.ceil(bytes / sliceBytesDefault));
    const index = slices * indexBytes(Math.max(1, Math.round(count / slices)), slices);
    const share = shares.tables.get(tables[i]!.table) ?? shares.data;
    const blocks = slices * (blocksOf(bytes / slices) + blocksOf(index / slices));
    fileBytes += bytes * share + index * shares.index + blocks * blockTableEntryBytes;
    fileBytes += slices * SLICE_BYTES + TABLE_BYTES;
    rawBytes += bytes + index;
    entryCount += count;
  }
  return { fileBytes: Math.round(fileBytes), rawBytes, entryCount };
}

/** Hashes, pointers and directory of a slice, whose hashes are spread over a part of all. */
function indexBytes(entries: number, slices: number): number {
  const { bucketCount } = bucketsOf(entries, 0, Math.floor(0xffff_ffff / slices));
  const { hashesAt, totalBytes } = sliceLayout(0, entries, bucketCount);
  return totalBytes - hashesAt;
}

function blocksOf(bytes: number): number {
  return Math.ceil(bytes / blockBytes);
}
