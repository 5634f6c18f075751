/*
 * Opening an engine: lock, identity, recovery, the log's new segment, then leftovers. Everything is
 * read before anything is written (but lock and, in a new directory, identity), so a refused opening
 * changes nothing. Nothing is served before the new segment is durable (O3).
 */
import { ChainImages } from '../checkpoint/chain-images.ts';
import { Residency } from '../checkpoint/residency/residency.ts';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import { RestoreMeter } from '../checkpoint/restore-estimate.ts';
import { SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import { storeCall } from '../checkpoint/store-call.ts';
import {
  readTimelines,
  timelineSource,
  type Timelines,
} from '../checkpoint/timelines/timelines.ts';
import { createValueCodec, type ValueCodec } from '../codec/value.ts';
import { registerCodecs } from '../codec/compression-modules.ts';
import { BlockPacker } from '../snapshot/block-packer.ts';
import { ConflictError, systemFailure, toStorageError } from '../errors.ts';
import type { FileLock, FileSystem } from '../fs/file-system.ts';
import { MemoryFileSystem } from '../fs/memory-file-system.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { recoverAccepting, type LossComponents } from '../recovery/accept-loss.ts';
import { OpeningRun } from '../recovery/opening-run.ts';
import { isDamage } from '../recovery/recovery-path.ts';
import { recover, type Recovered, type RecoveryInput } from '../recovery/recover.ts';
import { idleSlabBytes, idleSlabBytesMost, SlabPool } from '../snapshot/slab-pool.ts';
import { toHex } from '../std/bytes.ts';
import { systemClock, type Timer } from '../std/clock.ts';
import { systemRandom } from '../std/random.ts';
import { BlobCounter } from '../state/blob-totals.ts';
import { StateSpace } from '../state/state-space.ts';
import { checkPlace, placeOf } from '../store/store-place.ts';
import { FileObjectStore } from '../store/file-store.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { OpeningPool } from '../threads/opening-pool.ts';
import { InlinePool, ThreadPool, type TaskPool } from '../threads/task-pool.ts';
import {
  assertEngine,
  createIdentity,
  holdIdentity,
  readIdentity,
  type StoreIdentity,
} from '../wal/identity.ts';
import { lockDirectory } from '../wal/log.ts';
import { readLowWater, type LowWater } from '../wal/low-water.ts';
import { applyOpening, openingRoomBytes, type OpenedSegment } from '../wal/opening-segment.ts';
import { assembleEngine, seedOf, type OpenedState } from './assemble-engine.ts';
import { backgroundThreadsMax } from './chain-options.ts';
import type { Engine } from './engine.ts';
import { checkComponents, type EngineComponents } from './engine-components.ts';
import { EngineLife } from './engine-life.ts';
import { coldLinks } from './loading.ts';
import {
  badOption,
  keyGroupsDefault,
  resolveOptions,
  type EngineOptions,
  type ResolvedEngineOptions,
} from './options.ts';
import { PositionTable } from './positions.ts';
import {
  nothingToGoBackIn,
  prepareRewind,
  recoverWhole,
  refuseNothing,
  type PreparedRewind,
} from './rewind.ts';
import type { Rebuild } from './rebuild.ts';
import { loadReserved } from './reserved-tables.ts';

export type { EngineComponents } from './engine-components.ts';

/** For how long threads that only the opening needed are kept. */
const surplusThreadsMs = 5000;

/**
 * Opens the engine of a directory: creates it, or recovers it to its latest commit.
 *
 * @example
 * const engine = await openEngine({ dir: './state' });
 * const counts = engine.operator('words').value<number>('counts');
 * counts.set('tide', (counts.get('tide') ?? 0) + 1);
 * await engine.commit({ positions: { words: 1 } });
 * await engine.close();
 *
 * @throws LockedError LOCKED: another engine or process has the directory
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws ConflictError STATE_EXISTS with `recover: false`
 * @throws CorruptionError CORRUPT_FRAME, CORRUPT_SEGMENT, CORRUPT_SNAPSHOT, CORRUPT_RECORD,
 *   CORRUPT_STORE, BROKEN_CHAIN, LOG_HOLE: nothing was changed
 * @throws IncompatibleError UNSUPPORTED_FORMAT, CODEC_UNAVAILABLE, STORE_MISMATCH
 * @throws AbortedError ABORTED, TIMEOUT: nothing was changed
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const resolved = resolveOptions(options);
  const memory = resolved.inMemory;
  return openWith(resolved, {
    fs: memory ? new MemoryFileSystem() : nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    threads: !memory,
  });
}

/**
 * As {@link openEngine}, over given components.
 * @throws InvalidArgumentError INVALID_OPTION also for components that are missing
 */
export async function openEngineWith(
  options: EngineOptions,
  components: EngineComponents,
): Promise<Engine> {
  return openWith(resolveOptions(options), checkComponents(components));
}

/**
 * Holds the lock of a store and looks at it as an opening does, without opening it; everything is given
 * back. There has to be a store.
 */
export function examineStoreWith<T>(
  options: EngineOptions,
  components: EngineComponents,
  act: (input: RecoveryInput, on: LossComponents) => Promise<T>,
): Promise<T> {
  return withOpening(resolveOptions(options), components, async (opening) => {
    const found = await opening.examine(act);
    await opening.release();
    return found;
  });
}

function openWith(options: ResolvedEngineOptions, on: EngineComponents): Promise<Engine> {
  return withOpening(options, on, (opening) => opening.open());
}

/** Whatever is not given back when it fails is given back here. */
async function withOpening<T>(
  options: ResolvedEngineOptions,
  on: EngineComponents,
  act: (opening: Opening) => Promise<T>,
): Promise<T> {
  // A codec that is not installed is told now, not at the first checkpoint.
  await registerCodecs(options.codecs);
  void new BlockPacker(options.compression);
  const codec = createValueCodec(options.types);
  const run = new OpeningRun('opening', options.opening, on.clock);
  try {
    run.check();
    const { dir, recoverTo } = options;
    if (recoverTo) await refuseNothing(on.fs, dir);
    const lock = await lockDirectory(on.fs, dir);
    const opening = new Opening(options, { ...on, run }, codec, lock);
    try {
      return await act(opening);
    } catch (error) {
      await opening.release();
      throw run.failure(error);
    }
  } catch (error) {
    // What the file system said about a path; everything else says itself what it is.
    throw systemFailure(error, `opening ${options.dir}`);
  } finally {
    run.end();
  }
}

class Opening {
  readonly #options: ResolvedEngineOptions;
  readonly #on: EngineComponents & { readonly run: OpeningRun };
  readonly #codec: ValueCodec;
  readonly #lock: FileLock;
  readonly #life = new EngineLife();
  #store: ObjectStore | undefined;
  #pool: TaskPool | undefined;
  #residency: Residency | undefined;
  #checkpointer: Checkpointer | undefined;
  #surplus: Timer | undefined;
  #rebuild: Rebuild | undefined;

  constructor(
    options: ResolvedEngineOptions,
    on: EngineComponents & { readonly run: OpeningRun },
    codec: ValueCodec,
    lock: FileLock,
  ) {
    this.#options = options;
    this.#on = on;
    this.#codec = codec;
    this.#lock = lock;
  }

  /** Ends what the engine stands on; the lock goes last. */
  async release(): Promise<void> {
    this.#surplus?.cancel();
    try {
      this.#rebuild?.close();
      await this.#pool?.close();
      await this.#rebuild?.settled();
      await this.#residency?.close();
      await this.#checkpointer?.settled();
      await this.#store?.close();
    } finally {
      await this.#lock.release();
    }
  }

  async open(): Promise<Engine> {
    const found = await this.#find();
    const { recovered, state } = await this.#recover(found);
    this.#limit(found.threads);
    return this.#serve(found, recovered, state);
  }

  async examine<T>(act: (input: RecoveryInput, on: LossComponents) => Promise<T>): Promise<T> {
    const found = await this.#find();
    return act({ ...this.#recoveryInput(found), cold: undefined }, this.#lossComponents(found));
  }

  /** Fewer threads work beside the open engine; the others end when they have come to rest. */
  #limit(threads: ThreadPool): void {
    const { clock } = this.#on;
    threads.limit(this.#backgroundThreads);
    this.#surplus = clock.setTimer(surplusThreadsMs, () => {
      // A thread that has ended by itself meanwhile is no matter.
      threads.endSurplus().catch(() => {});
    });
  }

  /** Damage that is met before anything is served is passed over as that which loading finds. */
  async #recover(found: Found): Promise<{ recovered: Recovered; state: OpenedState }> {
    const cold = coldLinks(this.#options.residency.prefetch, found.residency);
    const input = { ...this.#recoveryInput(found), cold };
    const recovered = await this.#way(found, input);
    try {
      return { recovered, state: this.#state(recovered, found) };
    } catch (error) {
      if (cold.now || !isDamage(error, found.transfer.isLocal)) throw error;
    }
    const again = await recover({ ...input, cold: { ...cold, now: true } });
    return { recovered: again, state: this.#state(again, found) };
  }

  /** Everything that recovery reads from, and works with. */
  async #find(): Promise<Found> {
    const { fs, random } = this.#on;
    const { dir } = this.#options;
    const identity = await this.#identity();
    const store = this.#options.store ?? new FileObjectStore(fs, dir, random);
    await storeCall('open', store.kind, () => store.open());
    this.#store = store;
    await makeDirectory(fs, `${dir}/wal`);
    const rewind = await this.#rewind(identity, store);
    const transfer = new SnapshotTransfer(fs, store, `${dir}/staging`);
    await transfer.prepare();
    const threads = new ThreadPool(this.#options.opening.threadsMax, this.#on.threadLimits);
    this.#pool = this.#on.threads ? threads : new InlinePool(fs, this.#on.yieldNow);
    const slabs = new SlabPool(idleSlabBytesMost);
    const { verification, residency } = this.#options;
    this.#residency = new Residency({
      fs,
      transfer,
      pool: this.#pool,
      slabs,
      groupBits: Math.log2(identity.keyGroups),
      verification,
      cacheBytesMax: residency.cacheBytesMax,
    });
    return {
      identity,
      rewind,
      objects: store,
      checkpoints: new CheckpointStore(store, toHex(identity.storeId)),
      transfer,
      slabs,
      residency: this.#residency,
      threads,
      pool: this.#pool,
      // Before the log is looked at, and the records of checkpoints.
      timelines:
        rewind?.timelines ?? (await readTimelines(timelineSource(store), toHex(identity.storeId))),
      lowWater: await readLowWater(fs, `${dir}/wal`),
    };
  }

  /** A timeline at the target, which is recovered as the current one, and then begins. */
  async #rewind(
    identity: StoreIdentity,
    objects: ObjectStore,
  ): Promise<PreparedRewind | undefined> {
    const { dir, log, store, recoverTo: target } = this.#options;
    if (!target) return undefined;
    this.#on.run.check();
    const roomBytes = Math.min(openingRoomBytes, log.segmentBytesMax);
    const isElsewhere = store !== undefined;
    return prepareRewind({ ...this.#on, dir, identity, objects, isElsewhere, roomBytes, target });
  }

  #recoveryInput(found: Found): RecoveryInput {
    const { fs, clock, run } = this.#on;
    const { dir, log, verification } = this.#options;
    const { identity } = found;
    const { pool } = found;
    return {
      ...found,
      pool: this.#on.threads ? new OpeningPool(fs, pool) : pool,
      fs,
      clock,
      run,
      dir,
      logDirectory: `${dir}/wal`,
      roomBytes: Math.min(openingRoomBytes, log.segmentBytesMax),
      seed: seedOf(identity),
      groupBits: Math.log2(identity.keyGroups),
      ancestry: found.timelines.ancestry(),
      verification,
    };
  }

  /** What loses commits is decided with everything read. */
  #way(found: Found, input: RecoveryInput): Promise<Recovered> {
    const { acceptLoss, optimistic } = this.#options;
    if (!acceptLoss && !optimistic) return found.rewind ? recoverWhole(input) : recover(input);
    return recoverAccepting({ ...input, cold: undefined }, this.#lossComponents(found));
  }

  #lossComponents({ objects, rewind }: Found): LossComponents {
    const { acceptLoss, optimistic, chain, retention, compression, opening } = this.#options;
    const settings = { policy: chain.policy, retention: retention.settings, compression };
    const { threadsMax } = opening;
    const begin = rewind?.begin;
    return { acceptLoss, optimistic, objects, settings, threadsMax, begin };
  }

  /** Makes the new segment durable, then puts the engine together. */
  async #serve(found: Found, recovered: Recovered, state: OpenedState): Promise<Engine> {
    const { fs, clock } = this.#on;
    const { plan, opening } = recovered;
    this.#writes();
    await found.rewind?.begin();
    this.#on.run.progress('openLog');
    const startedAt = clock.monotonicMs();
    const logDirectory = `${this.#options.dir}/wal`;
    const opened = await applyOpening(fs, logDirectory, plan, opening, this.#on);
    const leftoversRemoved = await this.#clearLeftovers(found.checkpoints, recovered, opened);
    const openLog = clock.monotonicMs() - startedAt;
    const { report } = recovered;
    const total = report.phasesMs.total + openLog;
    const phasesMs = { ...report.phasesMs, openLog, total };
    const meter = new RestoreMeter(recovered.record?.rates);
    // What was left in files says nothing of how fast it is loaded.
    const isLoaded = recovered.links.every(({ image }) => image.isResident);
    const sampledMs =
      (isLoaded ? meter.loaded(report.chainBytes, phasesMs.load) : 0) +
      meter.replayed(report.replayedBytes, phasesMs.replay);
    meter.opened(total - sampledMs);
    const { engine, checkpointer, recording, rebuild } = assembleEngine({
      ...this.#on,
      ...found,
      ...state,
      options: this.#options,
      life: this.#life,
      backgroundThreads: this.#backgroundThreads,
      meter,
      recovered,
      opened,
      recovery: { ...report, phasesMs, leftoversRemoved, rewound: found.rewind?.rewound },
      release: () => this.release(),
    });
    this.#checkpointer = checkpointer;
    this.#rebuild = rebuild;
    await recording?.open();
    return engine;
  }

  async #identity(): Promise<StoreIdentity> {
    const { fs, random } = this.#on;
    const { dir, keyGroups } = this.#options;
    const found = await readIdentity(fs, dir);
    if (found) assertEngine(found, dir);
    if (found && keyGroups !== undefined && keyGroups !== found.keyGroups) {
      throw badOption('keyGroups', `is fixed at ${found.keyGroups} for this store`, keyGroups);
    }
    const place = placeOf(this.#options.store, dir);
    if (found) {
      checkPlace(found.place, place, dir);
      await holdIdentity(fs, dir);
      return found;
    }
    if (this.#options.recoverTo) throw nothingToGoBackIn(dir);
    this.#writes();
    return createIdentity(fs, dir, 'engine', keyGroups ?? keyGroupsDefault, random, place);
  }

  /** What has begun to write is finished: the last moment at which the opening can be ended. */
  #writes(): void {
    const { run } = this.#on;
    run.check();
    run.end();
  }

  /** An opening that fails here leaves no handle behind. */
  async #clearLeftovers(
    checkpoints: CheckpointStore,
    recovered: Recovered,
    opened: OpenedSegment,
  ): Promise<number> {
    try {
      return await checkpoints.removeLeftovers(recovered.record);
    } catch (error) {
      await opened.handle.close();
      throw error;
    }
  }

  #refuseUnwanted(recovered: Recovered): void {
    if (this.#options.recover || (recovered.plan.lastLsn === 0 && !recovered.record)) return;
    const { dir } = this.#options;
    throw new ConflictError('STATE_EXISTS', `directory holds state, and recover is false: ${dir}`, {
      path: dir,
      lsn: recovered.plan.lastLsn,
    });
  }

  /** The state in memory; what cannot be served is refused before anything is written. */
  #state(recovered: Recovered, { identity, slabs }: Found): OpenedState {
    const options = this.#options;
    const life = this.#life;
    const { plan, links, tail } = recovered;
    const space = new StateSpace({
      codec: this.#codec,
      clock: this.#on.clock,
      seed: seedOf(identity),
      groupBits: Math.log2(identity.keyGroups),
      checks: options.checks,
      recordBytesMax: options.log.recordBytesMax,
      assertOpen: () => life.assertOpen(),
      assertWritable: () => life.assertWritable(),
      whileCalling: (call) => life.whileCalling(call),
    });
    space.lastTimestamp = recovered.lastTimestamp;
    const images = new ChainImages(space, links, tail, plan.lastLsn);
    slabs.idleBytesMax = (): number => idleSlabBytes(images.slabBytes);
    space.blobs = new BlobCounter(recovered.record?.blobs);
    const positions = new PositionTable(this.#codec);
    try {
      if (tail) {
        const older = links.map(({ image }) => image).toReversed();
        space.blobs.replay(tail, older, space.images);
      }
      this.#refuseUnwanted(recovered);
      loadReserved(space, this.#codec, positions);
    } catch (error) {
      images.release();
      throw error;
    }
    return { space, images, positions };
  }

  get #backgroundThreads(): number {
    const most = this.#options.opening.threadsMax;
    return Math.min(this.#on.backgroundThreads ?? backgroundThreadsMax(), most);
  }
}

/** What an opening works with. */
interface Found {
  readonly identity: StoreIdentity;
  readonly objects: ObjectStore;
  readonly checkpoints: CheckpointStore;
  readonly transfer: SnapshotTransfer;
  readonly slabs: SlabPool;
  readonly residency: Residency;
  readonly threads: ThreadPool;
  readonly pool: TaskPool;
  readonly timelines: Timelines;
  readonly rewind: PreparedRewind | undefined;
  readonly lowWater: LowWater | undefined;
}

async function makeDirectory(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.makeDirectory(path);
  } catch (error) {
    throw toStorageError(error, 'make the directory', path);
  }
}
