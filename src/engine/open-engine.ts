/*
 * Opening an engine: lock, identity, recovery, the log's new segment, then leftovers. Everything is
 * read before anything is written (but lock and, in a new directory, identity), so a refused opening
 * changes nothing. Nothing is served before the new segment is durable (O3).
 */
import { availableParallelism } from 'node:os';
import { ChainImages } from '../checkpoint/chain-images.ts';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { Checkpointer } from '../checkpoint/checkpointer.ts';
import type {
  CheckpointerInput,
  CheckpointLog,
  MergeLimits,
} from '../checkpoint/checkpointer-input.ts';
import { pinsOf } from '../checkpoint/retention/retention-pins.ts';
import { RestoreMeter } from '../checkpoint/restore-estimate.ts';
import { SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import { storeCall } from '../checkpoint/store-call.ts';
import { createValueCodec, type ValueCodec } from '../codec/value.ts';
import { createReaderDecoder } from '../codec/value-reader.ts';
import type { HashSeed } from '../codec/hash.ts';
import { registerCodecs } from '../codec/compression-modules.ts';
import { BlockPacker } from '../snapshot/block-packer.ts';
import { ConflictError, InvalidArgumentError, errnoOf, toStorageError } from '../errors.ts';
import type { FileLock, FileSystem } from '../fs/file-system.ts';
import { MemoryFileSystem } from '../fs/memory-file-system.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { sourceOf } from '../recovery/reader-moment.ts';
import { recover, type Recovered, type RecoveryReport } from '../recovery/recover.ts';
import { SlabPool } from '../snapshot/slab-pool.ts';
import { readU32, toHex } from '../std/bytes.ts';
import { systemClock, type Clock } from '../std/clock.ts';
import { systemRandom, type Random } from '../std/random.ts';
import { BlobCounter } from '../state/blob-totals.ts';
import { StateSpace } from '../state/state-space.ts';
import { checkPlace, placeOf } from '../store/store-place.ts';
import { FileObjectStore } from '../store/file-store.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { InlinePool, ThreadPool, type TaskPool } from '../threads/task-pool.ts';
import { createIdentity, readIdentity, type StoreIdentity } from '../wal/identity.ts';
import { lockDirectory } from '../wal/log.ts';
import { LogSegments } from '../wal/log-segments.ts';
import { LogWriter } from '../wal/log-writer.ts';
import { readLowWater } from '../wal/low-water.ts';
import { BackgroundFailures } from './background-failures.ts';
import { applyOpening, openingRoomBytes, type OpenedSegment } from '../wal/opening-segment.ts';
import { backgroundThreadsMax } from './chain-options.ts';
import { Engine } from './engine.ts';
import type { EngineParts } from './engine-parts.ts';
import { EngineLife } from './engine-life.ts';
import { EventHub } from './events.ts';
import {
  badOption,
  keyGroupsDefault,
  resolveOptions,
  type EngineOptions,
  type ResolvedEngineOptions,
} from './options.ts';
import { keepWarnings } from './opening-warnings.ts';
import { PositionTable } from './positions.ts';
import { newRecording, type Recording } from './recording.ts';
import { loadReserved } from './reserved-tables.ts';
import { Retention } from './retention.ts';
import { TimeTravel } from './time-travel.ts';
import { Views } from './views.ts';
import { checkpointEvents, Watch } from './watch.ts';

/** Only one timeline is written so far; its number is in every header and record. */
const timeline = 1;
/** Slabs kept for the next images. */
const idleSlabBytesMax = 256 * 1024 * 1024;

/** What an engine runs on, beside its settings. */
export interface EngineComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether workers are threads; else tasks run inline over `fs`. */
  readonly threads: boolean;
  /** Threads that work beside the open engine. @defaultValue the machine's parallelism less one */
  readonly backgroundThreads?: number;
}

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

/** As {@link openEngine}, over given components. */
export async function openEngineWith(
  options: EngineOptions,
  components: EngineComponents,
): Promise<Engine> {
  return openWith(resolveOptions(options), components);
}

async function openWith(options: ResolvedEngineOptions, on: EngineComponents): Promise<Engine> {
  // A codec that is not installed is told now, not at the first checkpoint.
  await registerCodecs(options.codecs);
  void new BlockPacker(options.compression);
  const codec = createValueCodec(options.types);
  const lock = await lockDirectory(on.fs, options.dir);
  const opening = new Opening(options, on, codec, lock);
  try {
    return await opening.open();
  } catch (error) {
    await opening.release();
    // What the file system said about a path; everything else says itself what it is.
    throw errnoOf(error) === undefined ? error : toStorageError(error, 'open', options.dir);
  }
}

class Opening {
  readonly #options: ResolvedEngineOptions;
  readonly #on: EngineComponents;
  readonly #codec: ValueCodec;
  readonly #lock: FileLock;
  readonly #life = new EngineLife();
  #store: ObjectStore | undefined;
  #pool: TaskPool | undefined;
  #checkpointer: Checkpointer | undefined;
  #recording: Recording | undefined;

  constructor(
    options: ResolvedEngineOptions,
    on: EngineComponents,
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
    try {
      await this.#pool?.close();
      await this.#checkpointer?.settled();
      await this.#store?.close();
    } finally {
      await this.#lock.release();
    }
  }

  async open(): Promise<Engine> {
    const { fs, clock, random } = this.#on;
    const { dir } = this.#options;
    const identity = await this.#identity();
    const storeId = toHex(identity.storeId);
    const groupBits = Math.log2(identity.keyGroups);
    const store = this.#options.store ?? new FileObjectStore(fs, dir, random);
    await storeCall('open', store.kind, () => store.open());
    this.#store = store;
    const logDirectory = `${dir}/wal`;
    await makeDirectory(fs, logDirectory);
    const checkpoints = new CheckpointStore(store, storeId);
    const transfer = new SnapshotTransfer(fs, store, `${dir}/staging`);
    await transfer.prepare();
    const slabs = new SlabPool(idleSlabBytesMax);
    const threads = new ThreadPool(availableParallelism());
    const pool = this.#on.threads ? threads : new InlinePool(fs);
    this.#pool = pool;
    const lowWater = await readLowWater(fs, logDirectory);
    const recovered = await recover({
      fs,
      clock,
      dir,
      logDirectory,
      roomBytes: Math.min(openingRoomBytes, this.#options.log.segmentBytesMax),
      identity,
      seed: seedOf(identity),
      groupBits,
      lowWater,
      timeline,
      checkpoints,
      transfer,
      pool,
      slabs,
      verification: this.#options.verification,
    });
    const state = this.#state(recovered, identity);
    await threads.limit(this.#backgroundThreads);
    const { plan, opening } = recovered;
    const startedAt = clock.monotonicMs();
    const opened = await applyOpening(fs, logDirectory, plan, opening, this.#on);
    const leftoversRemoved = await this.#clearLeftovers(checkpoints, recovered, opened);
    const openLog = clock.monotonicMs() - startedAt;
    const { report } = recovered;
    const total = report.phasesMs.total + openLog;
    const phasesMs = { ...report.phasesMs, openLog, total };
    const recovery = { ...report, phasesMs, leftoversRemoved };
    const meter = new RestoreMeter(recovered.record?.rates);
    const sampledMs =
      meter.loaded(report.chainBytes, phasesMs.load) +
      meter.replayed(report.replayedBytes, phasesMs.replay);
    meter.opened(total - sampledMs);
    const built = {
      meter,
      identity,
      checkpoints,
      transfer,
      pool,
      slabs,
      opened,
      recovery,
      ...state,
    };
    const engine = this.#build(recovered, built);
    if (this.#recording) await this.#recording.open();
    return engine;
  }

  async #identity(): Promise<StoreIdentity> {
    const { fs, random } = this.#on;
    const { dir, keyGroups } = this.#options;
    const found = await readIdentity(fs, dir);
    if (found && found.kind !== 'engine') {
      throw new InvalidArgumentError('NOT_A_STORE', `directory holds a log, no engine: ${dir}`, {
        path: dir,
      });
    }
    if (found && keyGroups !== undefined && keyGroups !== found.keyGroups) {
      throw badOption('keyGroups', `is fixed at ${found.keyGroups} for this store`, keyGroups);
    }
    const place = placeOf(this.#options.store, dir);
    if (found) {
      checkPlace(found.place, place, dir);
      return found;
    }
    return createIdentity(fs, dir, 'engine', keyGroups ?? keyGroupsDefault, random, place);
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
  #state(recovered: Recovered, identity: StoreIdentity): OpenedState {
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
    space.blobs = new BlobCounter(recovered.record?.blobs);
    if (tail) {
      const older = links.map(({ image }) => image).toReversed();
      space.blobs.replay(tail, older, space.images);
    }
    const positions = new PositionTable(this.#codec);
    try {
      this.#refuseUnwanted(recovered);
      loadReserved(space, this.#codec, positions);
    } catch (error) {
      images.release();
      throw error;
    }
    return { space, images, positions };
  }

  get #backgroundThreads(): number {
    return this.#on.backgroundThreads ?? backgroundThreadsMax();
  }

  #mergeLimits(): MergeLimits {
    const { limits } = this.#options.chain;
    const most = this.#backgroundThreads;
    return { ...limits, threadsMax: Math.min(limits.threadsMax ?? most, most) };
  }

  #build(recovered: Recovered, built: Built): Engine {
    const options = this.#options;
    const life = this.#life;
    const { fs, clock, random } = this.#on;
    const { identity, checkpoints, opened, recovery, space, images, positions } = built;
    const { plan } = recovered;
    const segments = new LogSegments(plan.segments, opened);
    const directory = `${options.dir}/wal`;
    const numberMax = opened.header.number;
    const settings = { fs, directory, options: options.log, clock, random, opened, numberMax };
    const writer = new LogWriter(settings);
    writer.onRotate((sealed, next) => segments.rotated(sealed, next));
    const hub = new EventHub();
    keepWarnings(hub, recovery);
    const failures = new BackgroundFailures(hub);
    const { pool, slabs, transfer, meter } = built;
    const watch = new Watch(hub, () => Math.min(fs.freeBytes(options.dir), transfer.freeBytes));
    const checkpointer = new Checkpointer({
      ...storeFacts(identity),
      timeline,
      epoch: opened.header.epoch,
      compression: options.compression,
      clock,
      space,
      log: checkpointLog(writer, segments),
      pool,
      slabs,
      checkpoints,
      transfer,
      newest: recovered.record,
      replaces: recovered.report.skipped.length > 0,
      images,
      policy: options.chain.policy,
      retention: options.retention.settings,
      mergeLimits: this.#mergeLimits(),
      meter,
      freeBytes: () => transfer.freeBytes,
      events: checkpointEvents(hub, watch, {
        collect: () => retention.collectSoon(),
        fail: (error) => failures.report(error),
      }),
    });
    checkpointer.recovered(recovery.replayedCommits, recovery.replayedBytes);
    this.#checkpointer = checkpointer;
    const on = { checkpoints, checkpointer, segments, writer, hub, failures };
    this.#recording = newRecording(options.record, { ...built, ...on, fs });
    const retention = this.#retention(recovered, on);
    const parts: EngineParts = {
      views: this.#views({ ...built, ...on, retention, writer }),
      options,
      space,
      writer,
      positions,
      checkpointer,
      checkpoints,
      retention,
      images,
      hub,
      failures,
      watch,
      meter,
      clock,
      recovery,
      recording: this.#recording,
      travel: this.#travel(space, writer),
      release: () => this.release(),
    };
    return new Engine(parts, life);
  }

  #travel(space: StateSpace, writer: LogWriter): TimeTravel {
    const { fs, clock } = this.#on;
    const { dir, store, types } = this.#options;
    const source = sourceOf({ fs, clock }, store === undefined ? { dir } : { dir, store });
    return new TimeTravel({
      source,
      decoder: createReaderDecoder(types),
      pins: pinsOf(fs, dir),
      durableLsn: () => writer.durableLsn,
      definitions: () => space.loggedDefinitions(),
      assertWritable: () => this.#life.assertWritable(),
    });
  }

  #views(on: Built & Collecting & { retention: Retention; writer: LogWriter }): Views {
    const { fs } = this.#on;
    const { dir } = this.#options;
    const place = { logDirectory: `${dir}/wal`, pins: pinsOf(fs, dir) };
    return new Views({
      ...on,
      ...place,
      fs,
      life: this.#life,
      storeId: toHex(on.identity.storeId),
    });
  }

  #retention(recovered: Recovered, on: Collecting): Retention {
    const { fs, clock } = this.#on;
    const { dir, retention: options } = this.#options;
    const { checkpoints, checkpointer, segments, hub, failures } = on;
    return new Retention({
      options,
      fs,
      logDirectory: `${dir}/wal`,
      clock,
      timeline,
      checkpoints,
      checkpointer,
      segments,
      pins: pinsOf(fs, dir),
      newestFound: recovered.record?.id,
      damaged: recovered.damaged,
      events: {
        collect: (report) => hub.emit('collect', report),
        fail: (error) => failures.report(error),
      },
    });
  }
}

/** What collections stand on. */
interface Collecting {
  readonly checkpoints: CheckpointStore;
  readonly checkpointer: Checkpointer;
  readonly segments: LogSegments;
  readonly hub: EventHub;
  readonly failures: BackgroundFailures;
}

function storeFacts(
  identity: StoreIdentity,
): Pick<CheckpointerInput, 'storeId' | 'seed' | 'keyGroups' | 'groupBits'> {
  const { keyGroups } = identity;
  const storeId = toHex(identity.storeId);
  return { storeId, seed: seedOf(identity), keyGroups, groupBits: Math.log2(keyGroups) };
}

function checkpointLog(writer: LogWriter, segments: LogSegments): CheckpointLog {
  return {
    get sealedLsn() {
      return writer.sealedLsn;
    },
    get failure() {
      return writer.failure;
    },
    cut: () => writer.cut(),
    ranges: (from, to) => segments.ranges(from, to),
  };
}

interface OpenedState {
  readonly space: StateSpace;
  readonly images: ChainImages;
  readonly positions: PositionTable;
}

type Tools = Pick<CheckpointerInput, 'meter' | 'checkpoints' | 'transfer' | 'pool' | 'slabs'>;

interface Built extends OpenedState, Tools {
  readonly identity: StoreIdentity;
  readonly opened: OpenedSegment;
  readonly recovery: RecoveryReport;
}

async function makeDirectory(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.makeDirectory(path);
  } catch (error) {
    throw toStorageError(error, 'make the directory', path);
  }
}

function seedOf(identity: StoreIdentity): HashSeed {
  return { low: readU32(identity.seed, 0), high: readU32(identity.seed, 4) };
}
