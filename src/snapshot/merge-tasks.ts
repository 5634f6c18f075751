/*
 * The tasks of a merge that is done in ranges: each range is merged and packed apart from the others,
 * by `mergeRange`; its bytes are written where they belong by `writeSlices`; `finishSnapshot` makes
 * the file complete and durable. threads/merge-run.ts puts them together.
 *
 * Durability: the file is synced every 8 MiB, so that a commit that syncs the log meanwhile does not
 * queue behind one large write-back, and at the end. Publishing under its name is the caller's (C4).
 */
import { toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { checksum } from '../codec/checksum.ts';
import { assert } from '../std/assert.ts';
import { BlockPacker, type SnapshotCompression } from './block-packer.ts';
import { MergeIterator } from './merge-iterator.ts';
import { overlaps, partOf, type MergeRange } from './merge-ranges.ts';
import { collectSlices, type SinkTools } from './merge-sink.ts';
import type { RunCursor, TableRules } from './run-cursor.ts';
import { SliceCursor } from './slice-cursor.ts';
import { damageBehind } from './slice-damage.ts';
import { packSlice, type PackedRecord } from './slice-encoder.ts';
import { Slice, type SliceDescriptor } from './slice.ts';
import {
  encodeSnapshotFooter,
  tableTotals,
  type SliceRecord,
  type TableTotals,
} from './snapshot-footer.ts';
import {
  encodeSnapshotHeader,
  encodeSnapshotTrailer,
  snapshotTrailerBytes,
  type SnapshotHeader,
} from './snapshot-format.ts';
import { hashFile } from './snapshot-verify.ts';
import { OlderChain } from './unchanged.ts';
import type { TaskContext } from './task-context.ts';
import { startTask, type SparedMemory, type TaskMemory } from './task-memory.ts';

const SYNC_BYTES = 8 * 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;

/** Input of `mergeRange`. */
export interface MergeRangeInput extends TaskMemory {
  /** Slices of each input that overlap the range, oldest input first, in order. */
  readonly inputs: readonly (readonly SliceDescriptor[])[];
  /**
   * Of a delta: the snapshots below it, oldest first, as `inputs`; what changes nothing there is left
   * out. @defaultValue everything stays
   */
  readonly older?: readonly (readonly SliceDescriptor[])[];
  readonly range: MergeRange;
  /** Makes a base, of inputs that start at LSN 0; otherwise a delta. */
  readonly base: boolean;
  /** Of the last LSN of the whole merge. */
  readonly lastTimestamp: number;
  readonly groupBits: number;
  readonly rules: TableRules;
  readonly compression: SnapshotCompression;
  /** Gives the slices back; otherwise only what is to be written. */
  readonly keepSlices: boolean;
  /** Tables whose slices are not given back all the same. @defaultValue none */
  readonly dropTables?: readonly number[];
  readonly sliceBytesMax?: number;
}

/** A slice as it goes into the file. */
export interface PackedSlice {
  readonly record: PackedRecord;
  /** Blocks and their table, from its start; the slab may be longer. */
  readonly buffer: SharedArrayBuffer;
  readonly bytes: number;
}

/** Output of `mergeRange`. */
export interface MergeRangeOutput extends SparedMemory {
  readonly packed: readonly PackedSlice[];
  /** Empty unless they are kept. */
  readonly slices: readonly SliceDescriptor[];
}

/** Merges a range of the inputs, and packs what comes of it. */
export async function mergeRange(
  _fs: FileSystem,
  input: MergeRangeInput,
  context: TaskContext,
): Promise<MergeRangeOutput> {
  const tools = startTask(input, context);
  try {
    return await mergeAndPack(input, tools);
  } catch (error) {
    throw await damageBehind(error, [...input.inputs, ...(input.older ?? [])].flat(), tools.turns);
  }
}

async function mergeAndPack(input: MergeRangeInput, tools: SinkTools): Promise<MergeRangeOutput> {
  const { inputs, range, base, lastTimestamp, groupBits, rules } = input;
  const { keepSlices, dropTables = [] } = input;
  const keeps = ({ table }: SliceDescriptor): boolean => keepSlices && !dropTables.includes(table);
  const packer = new BlockPacker(input.compression);
  assert(!base || input.older === undefined, 'below a base there is nothing');
  const older = input.older && { older: new OlderChain(input.older, groupBits) };
  const merge = new MergeIterator(
    inputs.map((slices) => cursorIn(slices, range)),
    { base, lastTimestamp, groupBits, rules, ...older },
  );
  const packed: PackedSlice[] = [];
  const inputBytes = inputs.flat().reduce((sum, slice) => sum + slice.dataBytes, 0);
  const slices = await collectSlices({ merge, inputBytes }, tools, async (slice) => {
    const pieces: Uint8Array[] = [];
    const record = await packSlice(slice, packer, tools.turns, (piece) => void pieces.push(piece));
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const buffer = tools.slabs.acquire(bytes);
    const target = new Uint8Array(buffer);
    let at = 0;
    for (const piece of pieces) {
      target.set(piece, at);
      at += piece.length;
    }
    packed.push({ record, buffer, bytes });
    if (!keeps(slice)) tools.slabs.release(slice.buffer);
  });
  return { packed, slices: slices.filter(keeps), spareSlabs: tools.slabs.drain() };
}

/** Reads the entries of a range out of the slices of an image, which are in order. */
export function cursorIn(slices: readonly SliceDescriptor[], range: MergeRange): RunCursor {
  const parts = slices.filter((slice) => overlaps(slice, range));
  return new SliceCursor(parts.map((descriptor) => partOf(new Slice(descriptor), range)));
}

/** Input of `startSnapshot`. */
export interface StartSnapshotInput {
  /** Where the file is made; nothing is there yet. */
  readonly stagedPath: string;
  readonly header: SnapshotHeader;
}

/** Makes a file with a header and nothing else; how many bytes it has. */
export async function startSnapshot(fs: FileSystem, input: StartSnapshotInput): Promise<number> {
  const { stagedPath } = input;
  const header = encodeSnapshotHeader(input.header);
  try {
    const handle = await fs.open(stagedPath, 'create');
    try {
      await handle.write(header, 0);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw toStorageError(error, 'create', stagedPath);
  }
  return header.length;
}

/** Input of `writeSlices`. */
export interface WriteSlicesInput {
  readonly stagedPath: string;
  readonly offset: number;
  readonly packed: readonly PackedSlice[];
}

/** Writes packed slices one behind the other; durable when it resolves. */
export async function writeSlices(
  fs: FileSystem,
  input: WriteSlicesInput,
  context: TaskContext,
): Promise<void> {
  const { stagedPath, packed } = input;
  const { turns } = startTask({}, context);
  await withStaged(fs, stagedPath, async (handle) => {
    let { offset } = input;
    let unsynced = 0;
    for (const { buffer, bytes } of packed) {
      for (let at = 0; at < bytes; at += WRITE_BYTES) {
        const piece = new Uint8Array(buffer, at, Math.min(WRITE_BYTES, bytes - at));
        await handle.write(piece, offset);
        offset += piece.length;
        unsynced += piece.length;
        if (unsynced >= SYNC_BYTES) {
          await handle.sync();
          unsynced = 0;
        }
        if (turns.spend(piece.length)) await turns.pause();
      }
    }
    if (unsynced > 0) await handle.sync();
  });
}

/** Input of `finishSnapshot`. */
export interface FinishSnapshotInput {
  readonly stagedPath: string;
  readonly header: SnapshotHeader;
  readonly slices: readonly SliceRecord[];
  /** Where the last slice ends. */
  readonly offset: number;
  readonly compression: SnapshotCompression;
  /** SHA-256 of the snapshots that a delta is valid on. */
  readonly parents: readonly string[];
}

/** What was written. */
export interface FinishedSnapshot {
  readonly sha256: string;
  /** Of the file. */
  readonly bytes: number;
  readonly entryCount: number;
  /** Of the entries, before compression. */
  readonly dataBytes: number;
  readonly tables: readonly TableTotals[];
}

/** Writes the end of a file whose slices are in it, makes it durable, and reads its digest. */
export async function finishSnapshot(
  fs: FileSystem,
  input: FinishSnapshotInput,
  context: TaskContext,
): Promise<FinishedSnapshot> {
  const { stagedPath, header, slices, offset, parents } = input;
  const { turns } = startTask({}, context);
  const tables = tableTotals(slices);
  const { ownCodecs } = new BlockPacker(input.compression);
  const footer = encodeSnapshotFooter({ header, slices, tables, parents, ownCodecs });
  const bytes = offset + footer.length + snapshotTrailerBytes;
  const trailer = encodeSnapshotTrailer({
    footerBytes: footer.length,
    footerCrc: checksum(footer),
    fileBytes: bytes,
  });
  const sha256 = await withStaged(fs, stagedPath, async (handle) => {
    await handle.write([footer, trailer], offset);
    await handle.sync();
    return hashFile(handle, stagedPath, turns);
  });
  const entryCount = tables.reduce((sum, totals) => sum + totals.entryCount, 0);
  const dataBytes = tables.reduce((sum, totals) => sum + totals.dataBytes, 0);
  return { sha256, bytes, entryCount, dataBytes, tables };
}

/** Removes a file that will not be finished, if it is there. */
export async function discardSnapshot(fs: FileSystem, stagedPath: string): Promise<void> {
  try {
    if (await fs.stat(stagedPath)) await fs.unlink(stagedPath);
  } catch (error) {
    throw toStorageError(error, 'remove', stagedPath);
  }
}

async function withStaged<T>(
  fs: FileSystem,
  path: string,
  act: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  try {
    const handle = await fs.open(path, 'write');
    try {
      return await act(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw toStorageError(error, 'write', path);
  }
}
