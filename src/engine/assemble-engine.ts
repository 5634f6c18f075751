/*
 * Puts an engine together from what an opening found: log writer, checkpointer, retention, views,
 * time travel, recording. Nothing here reads or writes; the opening (open-engine.ts) has made the
 * new segment durable before, and serves nothing before this is done.
 */
import { Checkpointer } from '../checkpoint/checkpointer.ts';
import type {
  CheckpointerInput,
  CheckpointLog,
  MergeLimits,
} from '../checkpoint/checkpointer-input.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { ChainImages } from '../checkpoint/chain-images.ts';
import { pinsOf } from '../checkpoint/retention/retention-pins.ts';
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import { createReaderDecoder } from '../codec/value-reader.ts';
import type { Residency } from '../checkpoint/residency/residency.ts';
import type { HashSeed } from '../codec/hash.ts';
import { errnoOf, StorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { sourceOf } from '../recovery/reader-moment.ts';
import type { Recovered, RecoveryReport } from '../recovery/recover.ts';
import { readU32, toHex } from '../std/bytes.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import type { StateSpace } from '../state/state-space.ts';
import { UpgradingDecoder } from '../state/upgrading-decoder.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { LogSegments } from '../wal/log-segments.ts';
import { LogWriter } from '../wal/log-writer.ts';
import type { OpenedSegment } from '../wal/opening-segment.ts';
import { BackgroundFailures } from './background-failures.ts';
import { Engine } from './engine.ts';
import type { EngineLife } from './engine-life.ts';
import { EventHub } from './events.ts';
import { coldLinks, startLoading } from './loading.ts';
import type { ResolvedEngineOptions } from './options.ts';
import { keepWarnings } from './opening-warnings.ts';
import type { PositionTable } from './positions.ts';
import { Rebuild } from './rebuild.ts';
import { newRecording, type Recording } from './recording.ts';
import type { EngineParts } from './engine-parts.ts';
import { forkOpen } from './fork-store.ts';
import { Retention } from './retention.ts';
import { TimeTravel } from './time-travel.ts';
import { MissingOperators } from './missing-operators.ts';
import { Verifier } from './verifier.ts';
import { Views, type ViewsInput } from './views.ts';
import { checkpointEvents, Watch } from './watch.ts';

/** The state in memory, as an opening made it. */
export interface OpenedState {
  readonly space: StateSpace;
  readonly images: ChainImages;
  readonly positions: PositionTable;
}

/** What an engine is put together from. */
export interface AssemblyInput
  extends
    OpenedState,
    Pick<CheckpointerInput, 'meter' | 'checkpoints' | 'transfer' | 'pool' | 'slabs'> {
  readonly options: ResolvedEngineOptions;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly life: EngineLife;
  readonly residency: Residency;
  /** Threads that work beside the open engine. */
  readonly backgroundThreads: number;
  readonly identity: StoreIdentity;
  readonly timelines: Timelines;
  readonly recovered: Recovered;
  readonly opened: OpenedSegment;
  readonly recovery: RecoveryReport;
  /** Ends threads, store and lock, in this order. */
  readonly release: () => Promise<void>;
}

/** An engine, and what the opening still has to do with its parts. */
export interface Assembled {
  readonly engine: Engine;
  readonly checkpointer: Checkpointer;
  readonly recording: Recording | undefined;
  readonly rebuild: Rebuild;
}

export function assembleEngine(input: AssemblyInput): Assembled {
  const { options, fs, clock, life, identity, recovered, opened, recovery } = input;
  const { space, images, positions, checkpoints, transfer, meter } = input;
  const segments = new LogSegments(recovered.plan.segments, opened);
  const writer = newWriter(input, segments);
  const hub = new EventHub();
  keepWarnings(hub, recovery);
  const failures = new BackgroundFailures(hub);
  const watch = new Watch(hub, () => leastFreeBytes(fs, options.dir, transfer));
  const checkpointer = new Checkpointer({
    ...checkpointerFacts(input),
    log: checkpointLog(writer, segments),
    soundness: {
      ready: () => rebuild.ready(),
      assertSound: (chain) => rebuild.assertSound(chain),
    },
    events: checkpointEvents(hub, watch, {
      collect: () => retention.collectSoon(),
      fail: (error) => failures.report(error),
    }),
  });
  checkpointer.recovered(recovery.replayedCommits, recovery.replayedBytes);
  const on = { checkpoints, checkpointer, segments, hub, failures };
  const path = options.record;
  const recording = newRecording(path, { fs, identity, space, recovery, hub, writer });
  const damaged = new Set(recovered.damaged);
  const retention = newRetention(input, { ...on, damaged });
  const rebuild = newRebuild(input, { ...on, retention, writer, damaged });
  const known = space.loggedDefinitions().map(({ operator }) => operator);
  const missing = new MissingOperators(recovered.record?.missing ?? [], known);
  const engine = new Engine(
    {
      views: newViews(input, { ...on, retention, writer, missing, damaged }),
      options,
      space,
      writer,
      positions,
      checkpointer,
      checkpoints,
      ancestry: input.timelines.ancestry(),
      retention,
      images,
      residency: input.residency,
      hub,
      failures,
      watch,
      meter,
      clock,
      recovery,
      recording,
      travel: newTravel(input, writer),
      missing,
      verifier: newVerifier(input, { ...on, retention }),
      fork: newFork(input, writer),
      release: input.release,
    },
    life,
  );
  startLoading({
    residency: input.residency,
    options: options.residency,
    space,
    loadsMax: input.backgroundThreads,
    events: {
      damaged: (damage) => rebuild.damaged(damage),
      failed: (error) => failures.report(error),
    },
  });
  return { engine, checkpointer, recording, rebuild };
}

/** Free bytes where the store writes; undefined where the system does not tell. */
function leastFreeBytes(
  fs: FileSystem,
  dir: string,
  transfer: AssemblyInput['transfer'],
): number | undefined {
  try {
    return Math.min(fs.freeBytes(dir), transfer.freeBytes);
  } catch (error) {
    if (errnoOf(error) === undefined && !(error instanceof StorageError)) throw error;
    return undefined;
  }
}

function newWriter(input: AssemblyInput, segments: LogSegments): LogWriter {
  const { fs, clock, random, options, opened } = input;
  const writer = new LogWriter({
    fs,
    directory: `${options.dir}/wal`,
    options: options.log,
    clock,
    random,
    opened,
    numberMax: opened.header.number,
  });
  writer.onRotate((sealed, next) => segments.rotated(sealed, next));
  return writer;
}

function checkpointerFacts(
  input: AssemblyInput,
): Omit<CheckpointerInput, 'log' | 'events' | 'soundness'> {
  const { identity, options, opened, recovered, transfer } = input;
  const { keyGroups } = identity;
  return {
    storeId: toHex(identity.storeId),
    seed: seedOf(identity),
    keyGroups,
    groupBits: Math.log2(keyGroups),
    timeline: input.timelines.current,
    epoch: opened.header.epoch,
    compression: options.compression,
    clock: input.clock,
    space: input.space,
    pool: input.pool,
    slabs: input.slabs,
    residency: input.residency,
    checkpoints: input.checkpoints,
    transfer,
    newest: recovered.record,
    replaces: recovered.report.skipped.length > 0,
    images: input.images,
    policy: options.chain.policy,
    retention: options.retention.settings,
    mergeLimits: mergeLimits(input),
    meter: input.meter,
    freeBytes: () => transfer.freeBytes,
  };
}

function mergeLimits({ options, backgroundThreads: most }: AssemblyInput): MergeLimits {
  const { limits } = options.chain;
  return { ...limits, threadsMax: Math.min(limits.threadsMax ?? most, most) };
}

function newTravel(
  { fs, clock, options, space, life }: AssemblyInput,
  writer: LogWriter,
): TimeTravel {
  const { dir, store, types } = options;
  return new TimeTravel({
    source: sourceOf({ fs, clock }, store === undefined ? { dir } : { dir, store }),
    decoder: new UpgradingDecoder(createReaderDecoder(types), space),
    pins: pinsOf(fs, dir),
    durableLsn: () => writer.durableLsn,
    definitions: () => space.loggedDefinitions(),
    assertWritable: () => life.assertWritable(),
  });
}

function newFork(
  { fs, clock, random, options: { dir, store } }: AssemblyInput,
  writer: LogWriter,
): EngineParts['fork'] {
  const from = store === undefined ? { dir } : { dir, store };
  // Nothing of it is done in workers.
  const on = { fs, clock, random, threads: false };
  return (to, options) => forkOpen(from, { to, options, writer }, on);
}

function newViews(
  input: AssemblyInput,
  on: Collecting & Pick<ViewsInput, 'retention' | 'writer' | 'missing' | 'damaged'>,
): Views {
  const { fs, clock, options, identity } = input;
  const { dir, store } = options;
  const logDirectory = `${dir}/wal`;
  const pins = pinsOf(fs, dir);
  const storeId = toHex(identity.storeId);
  const source = sourceOf({ fs, clock }, store === undefined ? { dir } : { dir, store });
  const cold = coldLinks(options.residency.prefetch, input.residency);
  return new Views({ ...input, ...on, source, logDirectory, pins, storeId, cold });
}

function newVerifier(
  input: AssemblyInput,
  on: Pick<Collecting, 'checkpoints' | 'hub' | 'failures'> & { readonly retention: Retention },
): Verifier {
  const { fs, clock, options } = input;
  const { dir, store, scrub } = options;
  const source = sourceOf({ fs, clock }, store === undefined ? { dir } : { dir, store });
  return new Verifier({ ...input, ...on, options: scrub, source, pins: pinsOf(fs, dir) });
}

/** What collections stand on. */
interface Collecting {
  readonly checkpoints: CheckpointStore;
  readonly checkpointer: Checkpointer;
  readonly segments: LogSegments;
  readonly hub: EventHub;
  readonly failures: BackgroundFailures;
}

function newRebuild(
  input: AssemblyInput,
  on: Collecting & {
    readonly retention: Retention;
    readonly writer: LogWriter;
    readonly damaged: Set<string>;
  },
): Rebuild {
  const { fs, options } = input;
  const pins = pinsOf(fs, options.dir);
  return new Rebuild({ ...input, ...on, logDirectory: `${options.dir}/wal`, pins });
}

function newRetention(
  input: AssemblyInput,
  on: Collecting & { readonly damaged: ReadonlySet<string> },
): Retention {
  const { fs, clock, recovered, options } = input;
  const { checkpoints, checkpointer, segments, hub, failures, damaged } = on;
  return new Retention({
    options: options.retention,
    fs,
    logDirectory: `${options.dir}/wal`,
    clock,
    checkpoints,
    checkpointer,
    segments,
    pins: pinsOf(fs, options.dir),
    newestFound: recovered.record?.id,
    damaged,
    events: {
      collect: (report) => hub.emit('collect', report),
      fail: (error) => failures.report(error),
    },
  });
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

/** The seed of a store's key hash, as its identity holds it. */
export function seedOf(identity: StoreIdentity): HashSeed {
  return { low: readU32(identity.seed, 0), high: readU32(identity.seed, 4) };
}
