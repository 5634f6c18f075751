/*
 * `tidemark/snapshot`: the snapshot format as a library of its own. Files that an engine made and
 * files that are made here are the same format, read by the same code.
 */
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { systemClock } from '../std/clock.ts';
import { systemRandom } from '../std/random.ts';
import {
  createSnapshotWith,
  type CreateSnapshotOptions,
  type SnapshotBuilder,
} from './snapshot-create.ts';
import { openSnapshotWith, type OpenSnapshotOptions, type Snapshot } from './snapshot-open.ts';
import type { LibraryComponents } from './snapshot-options.ts';

export type {
  CreatedSnapshot,
  CreateSnapshotOptions,
  EntryOptions,
  SnapshotBuilder,
  SnapshotRef,
} from './snapshot-create.ts';
export type { SnapshotEntry, SnapshotOp, StoredBlob } from './snapshot-entries.ts';
export type {
  EntriesOptions,
  OpenSnapshotOptions,
  Snapshot,
  SnapshotVerification,
} from './snapshot-open.ts';
export { PatchReplacement } from '../snapshot/patch-decode.ts';
export { registerCodecs, type CodecModule } from '../codec/compression-modules.ts';
export type { CompressionOption, CompressionSetting } from '../codec/compression-setting.ts';
export { UnknownTypeValue } from '../codec/value-reader.ts';
export type { SnapshotFault } from '../snapshot/tasks.ts';
export type { EntryTotals, SnapshotMetadata, SnapshotTable } from './snapshot-metadata.ts';
export type { Time } from './snapshot-options.ts';
export type { TableName } from './snapshot-tables.ts';
export { TidemarkError } from '../errors.ts';

const components: LibraryComponents = {
  fs: nodeFileSystem,
  clock: systemClock,
  random: systemRandom,
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
