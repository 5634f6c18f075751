/*
 * The tasks that workers run: each an async function of (file system, plain input, context), with
 * plain output, so that it runs in a thread over the real file system or inline over any other.
 * Inputs and outputs can be posted between threads; slabs are shared, never copied.
 *
 * Durability: a task that names a staged path leaves a complete, synced file there, or none and an
 * error. Publishing it under its name is the caller's (C4). Memory: the input slices are only read,
 * and have to be retained by the caller until the task ends.
 */
import { toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { assert } from '../std/assert.ts';
import type { SnapshotCompression } from './block-packer.ts';
import { foldLog, type LogInput } from './log-fold.ts';
import { MergeIterator } from './merge-iterator.ts';
import { collectSlices, writeMerge, type WrittenMerge } from './merge-sink.ts';
import type { SliceDescriptor } from './slice.ts';
import { sliceEnd, type SliceRecord, type TableTotals } from './snapshot-footer.ts';
import { corruptSnapshot, type SnapshotHeader } from './snapshot-format.ts';
import { SnapshotReader, type Verification } from './snapshot-reader.ts';
import {
  findSnapshotFaults,
  hashFile,
  type SnapshotChecks,
  type SnapshotFault,
} from './snapshot-verify.ts';
import type { TaskContext } from './task-context.ts';
import { startTask, type SparedMemory, type TaskMemory } from './task-memory.ts';

export type { TaskContext } from './task-context.ts';
export type { RunLogRange } from './log-run.ts';
export type { SnapshotFault } from './snapshot-verify.ts';
export type { Verification } from './snapshot-reader.ts';

/** How a task writes a snapshot. */
export interface SnapshotTarget extends TaskMemory {
  /** Where the file is made; nothing is there yet. */
  readonly stagedPath: string;
  readonly storeId: Uint8Array;
  readonly timeline: number;
  readonly epoch: number;
  readonly compression: SnapshotCompression;
  /** @defaultValue 64 MiB */
  readonly sliceBytesMax?: number;
  /** SHA-256 of the snapshots that a delta is valid on. @defaultValue none: any chain */
  readonly parents?: readonly string[];
}

/** Input of `buildDelta`. */
export interface BuildDeltaInput extends LogInput, SnapshotTarget {
  /** Makes a base: only for a log that is read from its beginning. @defaultValue false */
  readonly base?: boolean;
}

/** Output of `buildDelta`. */
export interface BuildDeltaOutput extends WrittenMerge, SparedMemory {
  readonly lastLsn: number;
  readonly lastTimestamp: number;
  readonly commitCount: number;
  /** Bytes of the ranges that were read. */
  readonly logBytes: number;
}

/** Folds a part of the log into a delta, or into the first base. */
export async function buildDelta(
  fs: FileSystem,
  input: BuildDeltaInput,
  context: TaskContext,
): Promise<BuildDeltaOutput> {
  const { base = false, groupBits, rules } = input;
  const tools = startTask(input, context);
  const log = await foldLog(fs, input, tools);
  const { fromLsn, lastLsn, lastTimestamp, commitCount, logBytes } = log;
  assert(!base || fromLsn === 0, 'a base is built from a whole log');
  const merge = new MergeIterator(log.inputs, { base, lastTimestamp, rules, groupBits });
  const drain = { merge, inputBytes: log.inputBytes };
  const header = { kind: base ? 'base' : 'delta', fromLsn, lastLsn, lastTimestamp } as const;
  const written = await writeMerge(fs, drain, writerOptions(input, { ...input, ...header }), tools);
  for (const slab of log.slabs) tools.slabs.release(slab);
  const spareSlabs = tools.slabs.drain();
  return { ...written, lastLsn, lastTimestamp, commitCount, logBytes, spareSlabs };
}

/** Input of `buildTail`. */
export interface BuildTailInput extends LogInput, TaskMemory {
  /** @defaultValue 64 MiB */
  readonly sliceBytesMax?: number;
}

/** Output of `buildTail`. */
export interface BuildTailOutput extends SparedMemory {
  readonly slices: SliceDescriptor[];
  readonly lastLsn: number;
  readonly lastTimestamp: number;
  readonly commitCount: number;
  readonly logBytes: number;
}

/** Folds a part of the log into an image: `buildDelta` without a file. */
export async function buildTail(
  fs: FileSystem,
  input: BuildTailInput,
  context: TaskContext,
): Promise<BuildTailOutput> {
  const { rules, groupBits } = input;
  const tools = startTask(input, context);
  const log = await foldLog(fs, input, tools);
  const { lastLsn, lastTimestamp, commitCount, logBytes } = log;
  const merge = new MergeIterator(log.inputs, { base: false, lastTimestamp, rules, groupBits });
  const slices = await collectSlices({ merge, inputBytes: log.inputBytes }, tools);
  for (const slab of log.slabs) tools.slabs.release(slab);
  return { slices, lastLsn, lastTimestamp, commitCount, logBytes, spareSlabs: tools.slabs.drain() };
}

/** Input of `loadSnapshot`. */
export interface LoadSnapshotInput extends TaskMemory {
  readonly path: string;
  /** SHA-256 that the file must have; only compared when `verification` is `full`. */
  readonly sha256?: string | undefined;
  /** Bytes that the file must have. */
  readonly bytes?: number;
  /** Slices to load, in this order. @defaultValue all */
  readonly sliceIndexes?: readonly number[];
  /** @defaultValue `standard` */
  readonly verification?: Verification;
}

/** Output of `loadSnapshot`. */
export interface LoadSnapshotOutput extends SparedMemory {
  readonly header: SnapshotHeader;
  readonly tables: readonly TableTotals[];
  readonly parents: readonly string[];
  /** Slices of the file, whether they were loaded or not. */
  readonly sliceCount: number;
  /** Where those slices stand. */
  readonly records: readonly SliceRecord[];
  /** Of the file. */
  readonly bytes: number;
  readonly slices: SliceDescriptor[];
}

/** Loads slices of a snapshot; damage is a CorruptionError (CORRUPT_SNAPSHOT). */
export async function loadSnapshot(
  fs: FileSystem,
  input: LoadSnapshotInput,
  context: TaskContext,
): Promise<LoadSnapshotOutput> {
  const { path, sha256, verification = 'standard' } = input;
  const { slabs, turns } = startTask(input, context);
  return withFile(fs, path, async (handle) => {
    const reader = await SnapshotReader.open(handle, path);
    const { footer, bytes, sliceCount } = reader;
    // What is served stands in the footer; a front that differs is damage all the same.
    if (verification !== 'none') await reader.checkFrontHeader();
    if (input.bytes !== undefined && input.bytes !== bytes) {
      const details = { expected: input.bytes, actual: bytes };
      throw corruptSnapshot({ path, offset: bytes }, 'has another size than is due', details);
    }
    if (verification === 'full' && sha256 !== undefined) {
      const actual = await hashFile(handle, path, turns);
      const details = { expected: sha256, actual };
      if (actual !== sha256) {
        throw corruptSnapshot({ path, offset: 0 }, 'has another digest than is due', details);
      }
    }
    const slices: SliceDescriptor[] = [];
    for (const index of input.sliceIndexes ?? footer.slices.keys()) {
      slices.push(await reader.loadSlice(index, slabs, { verification, turns }));
    }
    const { header, tables, parents } = footer;
    const records = footer.slices;
    const facts = { header, tables, parents, sliceCount, records, bytes };
    return { ...facts, slices, spareSlabs: slabs.drain() };
  });
}

/** Input of `verifySnapshot`. */
export interface VerifySnapshotInput extends TaskMemory, SnapshotChecks {
  readonly path: string;
}

/** Output of `verifySnapshot`. */
export interface VerifySnapshotOutput extends SparedMemory {
  readonly faults: SnapshotFault[];
  /** Undefined: the footer cannot be read. */
  readonly found: VerifiedSnapshot | undefined;
}

/** What the footer of a snapshot says. */
export interface VerifiedSnapshot {
  readonly header: SnapshotHeader;
  readonly entryCount: number;
  /** Bytes of the file that each slice takes. */
  readonly sliceBytes: readonly number[];
}

/** Finds all faults of a snapshot, or of some of its slices. */
export async function verifySnapshot(
  fs: FileSystem,
  input: VerifySnapshotInput,
  context: TaskContext,
): Promise<VerifySnapshotOutput> {
  const tools = startTask(input, context);
  const { faults, footer } = await withFile(fs, input.path, (handle) =>
    findSnapshotFaults(handle, input.path, input, tools),
  );
  const found = footer && {
    header: footer.header,
    entryCount: footer.tables.reduce((sum, table) => sum + table.entryCount, 0),
    sliceBytes: footer.slices.map((slice) => sliceEnd(slice) - slice.offset),
  };
  return { faults, found, spareSlabs: tools.slabs.drain() };
}

function writerOptions(
  target: SnapshotTarget,
  header: SnapshotHeader,
): Parameters<typeof writeMerge>[2] {
  const { stagedPath: path, compression, parents = [] } = target;
  return { path, header, compression, parents };
}

async function withFile<T>(
  fs: FileSystem,
  path: string,
  read: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  let handle;
  try {
    handle = await fs.open(path, 'read');
  } catch (error) {
    throw toStorageError(error, 'open', path);
  }
  try {
    return await read(handle);
  } finally {
    await handle.close();
  }
}
