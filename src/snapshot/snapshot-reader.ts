/*
 * Reads snapshots: opening reads trailer and footer only, a slice is read block by block straight
 * into its slab. Every length is checked before it is used; whatever does not hold is a
 * CorruptionError (CORRUPT_SNAPSHOT) with path and offset.
 */
import { checksum } from '../codec/checksum.ts';
import { toStorageError } from '../errors.ts';
import type { FileHandle } from '../fs/file-system.ts';
import { must } from '../std/assert.ts';
import {
  blockTableRange,
  checkBlock,
  decodeBlockPlaces,
  unpackBlock,
  type BlockPlace,
} from './block-places.ts';
import type { SlabPool } from './slab-pool.ts';
import { findSliceFault } from './slice-check.ts';
import { describeSlice, sliceLayout, type SliceDescriptor } from './slice.ts';
import { decodeSnapshotFooter, type SliceRecord, type SnapshotFooter } from './snapshot-footer.ts';
import {
  corruptSnapshot,
  decodeSnapshotHeader,
  decodeSnapshotTrailer,
  encodeSnapshotHeader,
  snapshotHeaderBytes,
  snapshotTrailerBytes,
  type SnapshotHeader,
} from './snapshot-format.ts';
import type { Turns } from './task-context.ts';

export type { BlockPlace } from './block-places.ts';

/**
 * How much of what is read is checked: `none` and `basic` headers, footers, sizes and the tables of
 * blocks; `standard` also the CRC of every block; `full` also order, hashes and index against data.
 */
export type Verification = 'none' | 'basic' | 'standard' | 'full';

/** Of one read; what was read is still in the cache of the core when it is checked. */
const READ_BYTES = 1024 * 1024;

/** How slices are loaded. */
export interface LoadOptions {
  readonly verification: Verification;
  readonly turns: Turns;
}

/** What opening found out. */
export interface OpenedSnapshot {
  readonly footer: SnapshotFooter;
  /** Of the file. */
  readonly bytes: number;
}

/** An open snapshot. The handle stays the caller's. */
export class SnapshotReader {
  readonly path: string;
  readonly footer: SnapshotFooter;
  /** Of the file. */
  readonly bytes: number;
  readonly #handle: FileHandle;
  /** Stored bytes of one read: fresh memory for each would cost as much as reading does. */
  #scratch = new Uint8Array(0);

  /** Made by `open`. */
  constructor(handle: FileHandle, path: string, opened: OpenedSnapshot) {
    this.#handle = handle;
    this.path = path;
    this.footer = opened.footer;
    this.bytes = opened.bytes;
  }

  static async open(handle: FileHandle, path: string): Promise<SnapshotReader> {
    const bytes = await io(path, handle.size());
    const trailerAt = Math.max(0, bytes - snapshotTrailerBytes);
    const trailerBytes = await readExactly(handle, path, trailerAt, bytes - trailerAt);
    const trailer = decodeSnapshotTrailer(trailerBytes, bytes, path);
    const place = { path, offset: trailerAt - trailer.footerBytes };
    const footerBytes = await readExactly(handle, path, place.offset, trailer.footerBytes);
    const actual = checksum(footerBytes);
    if (actual !== trailer.footerCrc) {
      const details = { expected: trailer.footerCrc, actual };
      throw corruptSnapshot(place, 'footer fails its checksum', details);
    }
    return new SnapshotReader(handle, path, {
      footer: decodeSnapshotFooter(footerBytes, place),
      bytes,
    });
  }

  get header(): SnapshotHeader {
    return this.footer.header;
  }

  get sliceCount(): number {
    return this.footer.slices.length;
  }

  /** The header at the front of the file, which no other reading needs. */
  async readFrontHeader(): Promise<SnapshotHeader> {
    const bytes = await readExactly(this.#handle, this.path, 0, snapshotHeaderBytes);
    return decodeSnapshotHeader(bytes, { path: this.path, offset: 0 });
  }

  /** Throws unless the header at the front is the one that the footer repeats (N2). */
  async checkFrontHeader(): Promise<void> {
    const front = encodeSnapshotHeader(await this.readFrontHeader());
    if (Buffer.compare(front, encodeSnapshotHeader(this.header)) === 0) return;
    throw corruptSnapshot({ path: this.path, offset: 0 }, 'header and footer differ');
  }

  /** Where the blocks of a slice are. */
  async readBlockTable(index: number): Promise<BlockPlace[]> {
    const slice = this.slice(index);
    const { from, to } = blockTableRange(slice);
    const table = await readExactly(this.#handle, this.path, from, to - from);
    return decodeBlockPlaces(table, slice, this.path);
  }

  /** Reads the stored bytes of blocks that are neighbours in the file. */
  readBlocks(blocks: readonly BlockPlace[]): Promise<Uint8Array> {
    const bytes = blocks.reduce((sum, block) => sum + block.storedBytes, 0);
    return readExactly(this.#handle, this.path, blocks[0]!.offset, bytes);
  }

  /** Reads one block; its bytes are checked and decompressed. */
  async readBlock(block: BlockPlace): Promise<Uint8Array> {
    const stored = await this.readBlocks([block]);
    this.checkBlock(block, stored);
    if (block.codec === 0) return stored;
    const raw = new Uint8Array(block.rawBytes);
    this.#unpack({ ...block, slabAt: 0 }, stored, raw);
    return raw;
  }

  /** Reads a slice into a slab of the pool, which gets it back when the slice is damaged. */
  async loadSlice(
    index: number,
    slabs: SlabPool,
    { verification, turns }: LoadOptions,
  ): Promise<SliceDescriptor> {
    const record = this.slice(index);
    const places = await this.readBlockTable(index);
    const layout = sliceLayout(record.dataBytes, record.entryCount, record.bucketCount);
    const descriptor = describeSlice(record, slabs.acquire(layout.totalBytes));
    try {
      const slab = new Uint8Array(descriptor.buffer);
      slab.fill(0, record.dataBytes, layout.hashesAt);
      await this.#fill(slab, places, { verification, turns });
      if (verification === 'full') await this.#checkSlice(descriptor, record, turns);
      return descriptor;
    } catch (error) {
      slabs.release(descriptor.buffer);
      throw error;
    }
  }

  slice(index: number): SliceRecord {
    return must(this.footer.slices[index], 'a snapshot has no such slice');
  }

  async #fill(
    slab: Uint8Array,
    places: readonly BlockPlace[],
    { verification, turns }: LoadOptions,
  ): Promise<void> {
    const checks = verification === 'standard' || verification === 'full';
    for (const batch of batches(places)) {
      const first = batch[0]!;
      const { target, direct } = await this.#readBatch(slab, batch);
      for (const block of batch) {
        const from = block.offset - first.offset;
        const stored = target.subarray(from, from + block.storedBytes);
        if (checks) this.checkBlock(block, stored);
        if (!direct) this.#unpack(block, stored, slab);
        if (turns.spend(block.rawBytes)) await turns.pause();
      }
    }
  }

  /** Blocks that are stored raw go straight to the slab. */
  async #readBatch(
    slab: Uint8Array,
    batch: readonly BlockPlace[],
  ): Promise<{ target: Uint8Array; direct: boolean }> {
    const first = batch[0]!;
    const direct = first.codec === 0;
    const bytes = batch.reduce((sum, block) => sum + block.storedBytes, 0);
    const target = direct
      ? slab.subarray(first.slabAt, first.slabAt + bytes)
      : this.#scratchOf(bytes);
    await readInto(this.#handle, this.path, first.offset, target);
    return { target, direct };
  }

  /** Good until the next batch; slices of one reader are loaded one after the other. */
  #scratchOf(bytes: number): Uint8Array {
    if (this.#scratch.length < bytes) this.#scratch = new Uint8Array(Math.max(bytes, READ_BYTES));
    return this.#scratch.subarray(0, bytes);
  }

  #unpack(block: BlockPlace, stored: Uint8Array, slab: Uint8Array): void {
    const target = slab.subarray(block.slabAt, block.slabAt + block.rawBytes);
    unpackBlock(block, stored, target, { path: this.path, ownCodecs: this.footer.ownCodecs });
  }

  /** Throws unless the stored bytes of a block have its CRC. */
  checkBlock(block: BlockPlace, stored: Uint8Array): void {
    checkBlock(block, stored, this.path);
  }

  async #checkSlice(descriptor: SliceDescriptor, record: SliceRecord, turns: Turns): Promise<void> {
    const fault = await findSliceFault(descriptor, this.header.seed, turns);
    if (fault === undefined) return;
    const place = this.#place(record.offset);
    throw corruptSnapshot(place, `slice ${fault.what}`, { table: record.table, at: fault.offset });
  }

  #place(offset: number): { path: string; offset: number } {
    return { path: this.path, offset };
  }
}

/** Blocks that one read takes: neighbours in the file and in the slab, all raw or all compressed. */
function batches(places: readonly BlockPlace[]): BlockPlace[][] {
  const all: BlockPlace[][] = [];
  let batch: BlockPlace[] = [];
  let bytes = 0;
  for (const block of places) {
    const last = batch.at(-1);
    const joins =
      last !== undefined &&
      (last.codec === 0) === (block.codec === 0) &&
      last.slabAt + last.rawBytes === block.slabAt &&
      bytes + block.storedBytes <= READ_BYTES;
    if (!joins) {
      batch = [];
      bytes = 0;
      all.push(batch);
    }
    batch.push(block);
    bytes += block.storedBytes;
  }
  return all;
}

async function readExactly(
  handle: FileHandle,
  path: string,
  offset: number,
  bytes: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(bytes);
  await readInto(handle, path, offset, target);
  return target;
}

async function readInto(
  handle: FileHandle,
  path: string,
  offset: number,
  target: Uint8Array,
): Promise<void> {
  if (target.length === 0) return;
  const actual = await io(path, handle.read(target, offset));
  if (actual === target.length) return;
  const details = { expected: target.length, actual };
  throw corruptSnapshot({ path, offset }, 'is cut short', details);
}

async function io<T>(path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    throw toStorageError(error, 'read', path);
  }
}
