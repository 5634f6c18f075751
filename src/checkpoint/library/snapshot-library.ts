/*
 * `tidemark/snapshot`: the snapshot format as a library of its own. Files that an engine made and
 * files that are made here are the same format, read by the same code.
 */
import { nodeFileSystem } from '../../fs/node-file-system.ts';
import { systemClock } from '../../std/clock.ts';
import { systemRandom } from '../../std/random.ts';
import {
  createSnapshotWith,
  type CreateSnapshotOptions,
  type SnapshotBuilder,
  type SnapshotRef,
} from './snapshot-create.ts';
import {
  mergeLineagesWith,
  type JoinedSnapshot,
  type MergeLineagesOptions,
} from './snapshot-lineages.ts';
import {
  mergeSnapshotsWith,
  type MergedSnapshotFile,
  type MergeSnapshotsOptions,
} from './snapshot-merge.ts';
import { openSnapshotWith, type OpenSnapshotOptions, type Snapshot } from './snapshot-open.ts';
import type { LibraryComponents } from './snapshot-options.ts';

export type {
  CreatedSnapshot,
  CreateSnapshotOptions,
  EntryOptions,
  SnapshotBuilder,
  SnapshotRef,
} from './snapshot-create.ts';
export type {
  ConflictCandidate,
  ConflictPolicy,
  ConflictReport,
  LineageConflict,
  ListedConflict,
  ResolveConflict,
} from './snapshot-conflicts.ts';
export type { BuiltInPolicy, ConflictReason } from '../../snapshot/conflicts.ts';
export type { DeadlineOptions } from './snapshot-deadline.ts';
export type { MergedSnapshotFile, MergeSnapshotsOptions } from './snapshot-merge.ts';
export type { JoinedSnapshot, MergeLineagesOptions } from './snapshot-lineages.ts';
export type { SnapshotEntry, SnapshotOp, StoredBlob } from './snapshot-entries.ts';
export type {
  EntriesOptions,
  OpenSnapshotOptions,
  Snapshot,
  SnapshotVerification,
} from './snapshot-open.ts';
export { PatchReplacement } from '../../snapshot/patch-decode.ts';
export { registerCodecs, type CodecModule } from '../../codec/compression-modules.ts';
export type { CompressionOption, CompressionSetting } from '../../codec/compression-setting.ts';
export { UnknownTypeValue } from '../../codec/value-reader.ts';
export type { SnapshotFault } from '../../snapshot/tasks.ts';
export type { EntryTotals, SnapshotMetadata, SnapshotTable } from './snapshot-metadata.ts';
export type { Time } from './snapshot-options.ts';
export type { TableName } from './snapshot-tables.ts';
export { TidemarkError } from '../../errors.ts';

const components: LibraryComponents = {
  fs: nodeFileSystem,
  clock: systemClock,
  random: systemRandom,
  threads: true,
};

/**
 * Starts a snapshot file: a base, or with `base` a delta. Entries come in any order; memory is
 * bounded by `memoryBytesMax`, beyond it they are sorted on disk beside the file.
 *
 * @throws InvalidArgumentError INVALID_OPTION; INVALID_CALL when there is a file of that name
 * @throws CorruptionError BROKEN_CHAIN, CORRUPT_SNAPSHOT of `base`
 *
 * @example
 * const file = await createSnapshot('prices.snapshot');
 * await file.write('prices', 'apple', 3);
 * const { entryCount, ratio } = await file.finish();
 */
export function createSnapshot(
  path: string,
  options: CreateSnapshotOptions = {},
): Promise<SnapshotBuilder> {
  return createSnapshotWith(path, options, components);
}

/**
 * Opens a snapshot file for reading.
 *
 * @throws CorruptionError CORRUPT_SNAPSHOT; BROKEN_CHAIN when `older` is not what it continues
 * @throws IncompatibleError UNSUPPORTED_FORMAT
 *
 * @example
 * const snapshot = await openSnapshot('prices.snapshot');
 * const found = await snapshot.get('prices', 'apple');
 * for await (const { key, value } of snapshot.entries({ skipExpired: true })) console.log(key, value);
 * await snapshot.close();
 */
export function openSnapshot(path: string, options: OpenSnapshotOptions = {}): Promise<Snapshot> {
  return openSnapshotWith(path, options, components);
}

/**
 * Merges a chain of snapshot files into one: a base and the deltas that continue it into a base, or
 * deltas that continue each other into a delta. Each strategy gives the same entries.
 *
 * Runs in worker threads; memory is bounded by the slices that are merged at once, whatever the size
 * of the files. The file is durable under its name when this resolves, and not there when it rejects.
 *
 * @throws InvalidArgumentError INVALID_OPTION; INVALID_CALL when there is a file of that name
 * @throws CorruptionError BROKEN_CHAIN with both ends in `details`; CORRUPT_SNAPSHOT
 * @throws StorageError IO, NO_SPACE
 * @throws AbortedError ABORTED, TIMEOUT
 *
 * @example
 * await mergeSnapshots('base.snapshot', ['monday.snapshot', 'tuesday.snapshot'], {
 *   output: 'wednesday.snapshot',
 * });
 */
export function mergeSnapshots(
  base: SnapshotRef,
  deltas: readonly SnapshotRef[],
  options: MergeSnapshotsOptions,
): Promise<MergedSnapshotFile> {
  return mergeSnapshotsWith(base, deltas, options, components);
}

/**
 * Joins the deltas of several writers on one base into a new base, a store of its own. Each lineage
 * is a list of deltas, oldest first, of which the first starts where `base` ends; seeds and key groups
 * are the same. What the lineages disagree about is decided by `conflicts`, counted, and listed.
 *
 * Runs in this thread and yields; memory is bounded by a slice of each file. The file is durable
 * under its name when this resolves, and not there when it rejects.
 *
 * @throws InvalidArgumentError INVALID_OPTION; INVALID_CALL when there is a file of that name, or
 * `conflicts` answers what it cannot; INVALID_VALUE
 * @throws CorruptionError BROKEN_CHAIN with both ends in `details`; CORRUPT_SNAPSHOT
 * @throws IncompatibleError SCHEMA_CHANGED when lineages keep one state in different ways
 * @throws AbortedError ABORTED, TIMEOUT
 *
 * @example
 * const { conflicts } = await mergeLineages('base.snapshot', [['a.delta'], ['b.delta']], {
 *   output: 'joined.snapshot',
 *   conflicts: 'last-write-wins',
 * });
 */
export function mergeLineages(
  base: SnapshotRef,
  lineages: readonly (readonly SnapshotRef[])[],
  options: MergeLineagesOptions,
): Promise<JoinedSnapshot> {
  return mergeLineagesWith(base, lineages, options, components);
}
