/*
 * Writes a snapshot from finished slices, front to back, and computes its SHA-256 on the way. The
 * slices stay as they are: after the write they are the image of what was written.
 * Durability: synced every 8 MiB, so that a commit that syncs the log meanwhile does not queue
 * behind one large write-back, and at the end. Publishing under the name is the caller's.
 */
import { createHash } from 'node:crypto';
import { checksum } from '../codec/checksum.ts';
import { toStorageError } from '../errors.ts';
import type { FileHandle } from '../fs/file-system.ts';
import { BlockPacker, type SnapshotCompression } from './block-packer.ts';
import { packSlice } from './slice-encoder.ts';
import type { SliceDescriptor } from './slice.ts';
import {
  encodeSnapshotHeader,
  encodeSnapshotTrailer,
  snapshotTrailerBytes,
  type SnapshotHeader,
} from './snapshot-format.ts';
import {
  encodeSnapshotFooter,
  tableTotals,
  type SliceRecord,
  type TableTotals,
} from './snapshot-footer.ts';
import type { Turns } from './task-context.ts';

const SYNC_BYTES = 8 * 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;

/** What a snapshot is written with. */
export interface SnapshotWriterOptions {
  /** Of the file, for errors. */
  readonly path: string;
  readonly header: SnapshotHeader;
  readonly compression: SnapshotCompression;
  /** SHA-256 of the snapshots that a delta is valid on; none where it is valid on any chain. */
  readonly parents: readonly string[];
}

/** What was written. */
export interface SnapshotSummary {
  readonly sha256: string;
  /** Of the file. */
  readonly bytes: number;
  readonly entryCount: number;
  /** Of the entries, before compression. */
  readonly dataBytes: number;
  readonly tables: readonly TableTotals[];
}

/** Writes one snapshot into an empty file. */
export class SnapshotWriter {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #header: SnapshotHeader;
  readonly #parents: readonly string[];
  readonly #packer: BlockPacker;
  readonly #turns: Turns;
  readonly #hash = createHash('sha256');
  readonly #slices: SliceRecord[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Offset behind what is pending. */
  #end = 0;
  #synced = 0;

  constructor(handle: FileHandle, options: SnapshotWriterOptions, turns: Turns) {
    this.#handle = handle;
    this.#path = options.path;
    this.#header = options.header;
    this.#parents = options.parents;
    this.#packer = new BlockPacker(options.compression);
    this.#turns = turns;
    this.#push(encodeSnapshotHeader(options.header));
  }

  /** Writes the next slice; slices come in order of table and hash. */
  async writeSlice(descriptor: SliceDescriptor): Promise<void> {
    const offset = this.#end;
    const record = await packSlice(descriptor, this.#packer, this.#turns, async (piece) => {
      this.#push(piece);
      if (this.#pendingBytes >= WRITE_BYTES) await this.#flush();
    });
    this.#slices.push({ ...record, offset });
    await this.#flush();
  }

  /** Writes the footer and makes the file durable. */
  async finish(): Promise<SnapshotSummary> {
    const slices = this.#slices;
    const tables = tableTotals(slices);
    const footer = encodeSnapshotFooter({
      header: this.#header,
      slices,
      tables,
      parents: this.#parents,
      ownCodecs: this.#packer.ownCodecs,
    });
    this.#push(footer);
    const bytes = this.#end + snapshotTrailerBytes;
    this.#push(
      encodeSnapshotTrailer({
        footerBytes: footer.length,
        footerCrc: checksum(footer),
        fileBytes: bytes,
      }),
    );
    await this.#flush();
    await this.#sync();
    return {
      sha256: this.#hash.digest('hex'),
      bytes,
      entryCount: tables.reduce((sum, totals) => sum + totals.entryCount, 0),
      dataBytes: tables.reduce((sum, totals) => sum + totals.dataBytes, 0),
      tables,
    };
  }

  #push(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#end += bytes.length;
  }

  async #flush(): Promise<void> {
    const pending = this.#pending;
    const at = this.#end - this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      await this.#handle.write(pending, at);
    } catch (error) {
      throw toStorageError(error, 'write', this.#path);
    }
    if (this.#end - this.#synced >= SYNC_BYTES) await this.#sync();
  }

  async #sync(): Promise<void> {
    this.#synced = this.#end;
    try {
      await this.#handle.sync();
    } catch (error) {
      throw toStorageError(error, 'sync', this.#path);
    }
  }
}
