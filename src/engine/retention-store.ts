/*
 * Collections of a store that no engine has open: what `tidemark gc` does. A dry run takes no lock
 * and writes nothing; otherwise the lock of the directory is held until the end. It publishes no
 * checkpoint, so all it does is under O5: what a recovery without the newest record needs, stays.
 */
import { Inventory, type InventorySource } from '../checkpoint/retention/collector-inventory.ts';
import { carryOut } from '../checkpoint/retention/collector.ts';
import { checkpointPrefix } from '../checkpoint/checkpoint-record.ts';
import type { StoreInventory } from '../checkpoint/retention/retention-input.ts';
import { pinsOf } from '../checkpoint/retention/retention-pins.ts';
import { planRetention, type RetentionPlan } from '../checkpoint/retention/retention-plan.ts';
import {
  retentionDefault,
  type RetentionSettings,
} from '../checkpoint/retention/retention-settings.ts';
import { storeCall } from '../checkpoint/store-call.ts';
import { onlyFirst } from '../checkpoint/timelines/timelines.ts';
import { StorageError, withSystemFailures } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import {
  logDirectoryOf,
  objectsOf,
  readRecord,
  readEngineIdentity,
  sourceOf,
  type ReaderSource,
} from '../recovery/reader-moment.ts';
import { readingsMax } from '../recovery/reader-agreement.ts';
import { toHex } from '../std/bytes.ts';
import { systemClock, type Clock } from '../std/clock.ts';
import { FileObjectStore } from '../store/file-store.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { lockDirectory } from '../wal/log.ts';
import { badOption } from '../std/option-checks.ts';
import { resolveRetention, type RetentionOptions } from './retention-options.ts';
import type { CollectionReport } from './retention.ts';

/** Options of {@link collectStore}. */
export interface CollectStoreOptions {
  /** Directory of an engine. */
  readonly dir: string;
  /**
   * Where snapshots and checkpoint records are, when not in the directory. Its owner opens and
   * closes it. @defaultValue files of `dir`
   */
  readonly store?: ObjectStore;
  /** Only works out what would go; takes no lock. @defaultValue false */
  readonly dryRun?: boolean;
  /** How long the past is kept. @defaultValue for each setting, what the newest checkpoint says */
  readonly retention?: RetentionOptions;
}

export interface CollectStoreComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
}

/**
 * Deletes what retention does not keep, of a store that nobody has open; or, as a dry run, only says
 * what would go, also of one that another process has open.
 *
 * @throws LockedError LOCKED: an engine has the directory; it collects by itself
 * @throws InvalidArgumentError NOT_A_STORE, INVALID_OPTION
 * @throws StorageError IO; OVERLOADED: a dry run saw the store change under a hundred readings
 */
export function collectStore(options: CollectStoreOptions): Promise<CollectionReport> {
  const on = { fs: nodeFileSystem, clock: systemClock };
  return withSystemFailures('a collection', () => collectStoreWith(options, on));
}

/** As {@link collectStore}, over given components. */
export async function collectStoreWith(
  options: CollectStoreOptions,
  { fs, clock }: CollectStoreComponents,
): Promise<CollectionReport> {
  const { dir, store, dryRun = false, retention, ...unknown } = options;
  for (const name of Object.keys(unknown)) throw badOption(name, 'is unknown', undefined);
  if (typeof dryRun !== 'boolean') throw badOption('dryRun', 'must be true or false', dryRun);
  if (retention !== undefined) resolveRetention(retention, retentionDefault);
  const source = sourceOf({ fs, clock }, store ? { dir, store } : { dir });
  // Before the lock, whose taking would make a directory.
  const storeId = await engineIdOf(source);
  const settled = (inventory: StoreInventory): RetentionPlan => {
    const settings = settingsOf(inventory, retention);
    return planOf(inventory, { now: clock.nowMicros(), settings, pins: pinsOf(fs, source.dir) });
  };
  if (dryRun) {
    const plan = settled(await takeUnlocked(inventorySource(source, storeId)));
    return { dryRun, plan, deletedObjects: 0, deletedBytes: 0 };
  }
  const lock = await lockDirectory(fs, source.dir);
  try {
    const plan = settled(await new Inventory(inventorySource(source, storeId)).take());
    const objects = store ?? new FileObjectStore(fs, source.dir);
    const counts = await carryOut(plan, {
      fs,
      logDirectory: logDirectoryOf(source),
      deleteObject: (name) => storeCall('delete', name, () => objects.delete(name)),
      assertMayDelete: () => {},
      forgetBelow: () => {},
    });
    return { dryRun, plan, ...counts };
  } finally {
    await lock.release();
  }
}

async function engineIdOf(source: ReaderSource): Promise<string> {
  return toHex((await readEngineIdentity(source)).storeId);
}

function inventorySource(source: ReaderSource, storeId: string): InventorySource {
  const objects = objectsOf(source, source.fs);
  return {
    fs: source.fs,
    logDirectory: logDirectoryOf(source),
    storeId,
    list: (prefix) => objects.list(prefix),
    get: (name) => objects.get(name),
    readRecord: (id) => readRecord(objects, id, storeId),
  };
}

/** An inventory during which no record came or went: a writer may have the store open. */
async function takeUnlocked(source: InventorySource): Promise<StoreInventory> {
  for (let reading = 0; reading < readingsMax; reading++) {
    const before = await source.list(checkpointPrefix);
    const inventory = await new Inventory(source).take();
    const after = await source.list(checkpointPrefix);
    if (JSON.stringify(before) === JSON.stringify(after)) return inventory;
  }
  throw new StorageError('OVERLOADED', 'checkpoints came or went during each reading: try again');
}

function settingsOf(
  { records }: StoreInventory,
  retention: RetentionOptions | undefined,
): RetentionSettings | undefined {
  const stored = records.findLast(({ record }) => record !== undefined)?.record?.retention;
  if (retention === undefined) return stored;
  return resolveRetention(retention, stored ?? retentionDefault);
}

function planOf(
  inventory: StoreInventory,
  {
    now,
    settings,
    pins,
  }: {
    readonly now: number;
    readonly settings: RetentionSettings | undefined;
    readonly pins: ReturnType<typeof pinsOf>;
  },
): RetentionPlan {
  const { records, timelines = onlyFirst } = inventory;
  const newest = records.findLast(({ record }) => !record || timelines.isCurrent(record))?.id;
  return planRetention({
    inventory,
    now,
    settings,
    pins: pins.list(),
    newestFound: newest,
    // Where a writer is at work, its attempts have ids above those of all records.
    unfinished: (id) => id > (records.at(-1)?.id ?? 0),
  });
}
