/*
 * A snapshot file whose slices are read where they are, a block at a time, in the turn of the call:
 * what a lookup does with slices that are not in memory. The file stays open, so that it can be read
 * when nothing names it any more (F1). Whatever does not hold is a CorruptionError, and is told, so
 * that somebody can rebuild the slice.
 */
import { toStorageError, type TidemarkError } from '../errors.ts';
import type { FileHandle } from '../fs/file-system.ts';
import type { BlockCache } from './block-cache.ts';
import {
  BlockTable,
  blockTableRange,
  checkBlock,
  decodeBlockPlaces,
  unpackBlock,
  type StoredBlock,
} from './block-places.ts';
import { ColdSlice } from './cold-slice.ts';
import type { SnapshotFooter } from './snapshot-footer.ts';
import { blockBytes, corruptSnapshot } from './snapshot-format.ts';

/** Hears what is done with the slices of a file. */
export interface ColdFileWatcher {
  /** A slice was looked into. */
  used(file: ColdFile, index: number): void;
  /** A part of a slice cannot be read. */
  failed(file: ColdFile, index: number, error: TidemarkError): void;
  /** Nobody reads the file any more: its handle is to be closed. */
  closed(file: ColdFile): void;
}

/** What a file is read with. */
export interface ColdFileInput {
  /** The watcher's to close. */
  readonly handle: Pick<FileHandle, 'readNow'>;
  readonly path: string;
  readonly footer: SnapshotFooter;
  readonly cache: BlockCache;
  /** Whether the CRC of a block is compared. */
  readonly checks: boolean;
  readonly watcher: ColdFileWatcher;
}

/** Stored bytes of the block that is being read; compressed ones are never larger than plain ones. */
const stored = new Uint8Array(blockBytes);

export class ColdFile {
  readonly path: string;
  readonly slices: readonly ColdSlice[];
  readonly #in: ColdFileInput;
  #closed = false;

  constructor(input: ColdFileInput) {
    this.#in = input;
    this.path = input.path;
    this.slices = input.footer.slices.map((record, i) => new ColdSlice(this, record, i));
  }

  get cache(): BlockCache {
    return this.#in.cache;
  }

  /** Nobody reads the file any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const slice of this.slices) slice.drop();
    this.#in.watcher.closed(this);
  }

  used(index: number): void {
    this.#in.watcher.used(this, index);
  }

  /** Where the blocks of a slice are. */
  readPlaces(index: number): BlockTable {
    const { record } = this.slices[index]!;
    const { from, to } = blockTableRange(record);
    return this.#guard(index, () => {
      const table = new Uint8Array(to - from);
      this.#read(table, from);
      return new BlockTable(decodeBlockPlaces(table, record, this.path), record.offset);
    });
  }

  /** Reads a block of a slice into a target that has at least its size. */
  readBlock(index: number, block: StoredBlock, into: Uint8Array): void {
    const { checks, footer } = this.#in;
    this.#guard(index, () => {
      const target = into.subarray(0, block.rawBytes);
      const isRaw = block.codec === 0;
      const source = isRaw ? target : stored.subarray(0, block.storedBytes);
      this.#read(source, block.offset);
      if (checks) checkBlock(block, source, this.path);
      if (isRaw) return;
      unpackBlock(block, source, target, { path: this.path, ownCodecs: footer.ownCodecs });
    });
  }

  /** Bytes of a slice, whose checksums hold or were not compared, make no sense. */
  malformed(index: number, what: string): TidemarkError {
    const { offset } = this.slices[index]!.record;
    const error = corruptSnapshot({ path: this.path, offset }, `slice ${what}`);
    this.#in.watcher.failed(this, index, error);
    return error;
  }

  #guard<T>(index: number, read: () => T): T {
    try {
      return read();
    } catch (error) {
      const told = toStorageError(error, 'read', this.path);
      this.#in.watcher.failed(this, index, told);
      throw told;
    }
  }

  #read(target: Uint8Array, offset: number): void {
    const actual = this.#in.handle.readNow(target, offset);
    if (actual === target.length) return;
    const details = { expected: target.length, actual };
    throw corruptSnapshot({ path: this.path, offset }, 'is cut short', details);
  }
}
