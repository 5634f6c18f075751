/*
 * Where the blocks of a slice stand in its file and in memory, and what is checked of one before it
 * is used. Shared by those who read whole slices and those who read single blocks.
 */
import { checksum } from '../codec/checksum.ts';
import { CorruptionError } from '../errors.ts';
import { blockCodec } from './block-packer.ts';
import { sliceLayout } from './slice.ts';
import { sliceEnd, sliceIndexBytes, type SliceRecord } from './snapshot-footer.ts';
import {
  blockSizes,
  corruptSnapshot,
  decodeBlockTable,
  type BlockRecord,
} from './snapshot-format.ts';

/** One block: where it is in the file, and where its bytes belong in the slab. */
export interface BlockPlace extends BlockRecord {
  readonly offset: number;
  readonly rawBytes: number;
  readonly slabAt: number;
}

/** One block in the file. */
export type StoredBlock = Omit<BlockPlace, 'slabAt'>;

/** The places of the blocks of a slice in little memory: they are kept for slices that stay in files. */
export class BlockTable {
  readonly count: number;
  /** Of memory. */
  readonly bytes: number;
  readonly #from: number;
  /** Offsets from the first block at which blocks end; those of a slice fit into 32 bits. */
  readonly #ends: Uint32Array;
  readonly #rawBytes: Uint32Array;
  readonly #crcs: Uint32Array;
  readonly #codecs: Uint8Array;

  constructor(places: readonly BlockPlace[], from: number) {
    this.count = places.length;
    this.#from = from;
    this.#ends = Uint32Array.from(places, ({ offset, storedBytes }) => offset + storedBytes - from);
    this.#rawBytes = Uint32Array.from(places, ({ rawBytes }) => rawBytes);
    this.#crcs = Uint32Array.from(places, ({ crc }) => crc);
    this.#codecs = Uint8Array.from(places, ({ codec }) => codec);
    const arrays = [this.#ends, this.#rawBytes, this.#crcs, this.#codecs];
    this.bytes = arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Undefined: there is no such block. */
  at(index: number): StoredBlock | undefined {
    if (index >= this.count) return undefined;
    const start = index === 0 ? 0 : this.#ends[index - 1]!;
    return {
      offset: this.#from + start,
      storedBytes: this.#ends[index]! - start,
      rawBytes: this.#rawBytes[index]!,
      crc: this.#crcs[index]!,
      codec: this.#codecs[index]!,
    };
  }
}

/** Bytes of the file that hold the block table of a slice, half-open. */
export function blockTableRange(slice: SliceRecord): {
  readonly from: number;
  readonly to: number;
} {
  return { from: slice.offset + slice.storedBytes, to: sliceEnd(slice) };
}

/** Where the blocks of a slice are, from the bytes of its table. */
export function decodeBlockPlaces(
  table: Uint8Array,
  slice: SliceRecord,
  path: string,
): BlockPlace[] {
  const place = { path, offset: blockTableRange(slice).from };
  const actual = checksum(table);
  if (actual !== slice.tableCrc) {
    const details = { table: slice.table, expected: slice.tableCrc, actual };
    throw corruptSnapshot(place, 'block table fails its checksum', details);
  }
  const sizes = blockSizes(slice.dataBytes, sliceIndexBytes(slice));
  const records = decodeBlockTable(table, sizes, slice.storedBytes, place);
  const { hashesAt } = sliceLayout(slice.dataBytes, slice.entryCount, slice.bucketCount);
  let next = slice.offset;
  let slabAt = 0;
  const places: BlockPlace[] = [];
  for (const [i, record] of records.entries()) {
    if (slabAt === slice.dataBytes) slabAt = hashesAt;
    const rawBytes = sizes[i]!;
    places.push({ ...record, offset: next, rawBytes, slabAt });
    next += record.storedBytes;
    slabAt += rawBytes;
  }
  return places;
}

/** Throws unless the stored bytes of a block have its CRC. */
export function checkBlock(block: StoredBlock, stored: Uint8Array, path: string): void {
  const actual = checksum(stored);
  if (actual === block.crc) return;
  const details = { expected: block.crc, actual };
  throw corruptSnapshot({ path, offset: block.offset }, 'block fails its checksum', details);
}

/** Decompresses a block into a target of exactly its size. */
export function unpackBlock(
  block: StoredBlock,
  stored: Uint8Array,
  target: Uint8Array,
  file: { readonly path: string; readonly ownCodecs: readonly string[] },
): void {
  try {
    blockCodec(block.codec, file.ownCodecs).decompressInto(stored, target);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const place = { path: file.path, offset: block.offset };
    throw corruptSnapshot(place, 'block cannot be decompressed', error.details, error);
  }
}
