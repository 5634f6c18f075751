/*
 * The state of a store at a moment, read without a lock and without a write: snapshots and log as
 * images in memory.
 *
 * F1: the record is read first, then every file that it names is opened and stays open, then the
 * record is looked for again; a miss is an error that another reading cures.
 */
import {
  recordName,
  type ChainLink,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import { CorruptionError, NotFoundError, type TidemarkError } from '../errors.ts';
import { Image } from '../snapshot/image.ts';
import { SlabPool } from '../snapshot/slab-pool.ts';
import { buildTail, loadSnapshot, type TaskContext } from '../snapshot/tasks.ts';
import { pieceOf } from '../threads/tail-build.ts';
import { readU32 } from '../std/bytes.ts';
import { ImageLayers } from '../state/image-layers.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import type { OpeningPlan } from '../wal/log-opening.ts';
import { aroundDamage, readingChain } from './around-damage.ts';
import { findChainFault } from './chain-fault.ts';
import { planMoment } from './moment-at.ts';
import type { OpeningRun } from './opening-run.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  objectsOf,
  readerContext,
  readInAgreement,
  readLogMoment,
  readEngineIdentity,
  type LogMoment,
  type ReaderSource,
} from './reader-moment.ts';
import type { ObjectFile } from './reader-objects.ts';
import { skippedFault, type SkippedFault } from './recovery-path.ts';
import type { RestorePlan } from './restore-plan.ts';
import { latest, type CheckedTarget } from './target.ts';

/** The moment with its state. */
export interface StateMoment extends LogMoment {
  /** Damage that this reading does without. */
  readonly damage: readonly SkippedFault[];
  readonly layers: ImageLayers;
  readonly images: readonly Image[];
  /** Timestamp of the last commit, microseconds. */
  readonly lastTimestamp: number;
  /** Time by which expiry is judged, microseconds. */
  readonly now: number;
  readonly files: ReadOnlyFiles;
}

/** A committed moment with its state; the caller releases images and files. */
export async function readStateMoment(
  source: ReaderSource,
  target: CheckedTarget = latest,
  run?: OpeningRun,
): Promise<StateMoment> {
  run?.check();
  const identity = await readEngineIdentity(source);
  return readInAgreement(source, () =>
    aroundDamage(async (without) => {
      const files = new ReadOnlyFiles(source.fs, true);
      const images: Image[] = [];
      const reading = { files, identity, images, target, without: without.of(source.dir), run };
      try {
        run?.progress('plan');
        const moment = await readState(source, reading);
        run?.check();
        return moment;
      } catch (error) {
        for (const image of images) image.release();
        await files.close();
        throw error;
      }
    }),
  );
}

/** Gives up the memory and the files of a moment. */
export async function releaseMoment({ layers, images, files }: StateMoment): Promise<void> {
  layers.set([]);
  for (const image of images) image.release();
  await files.close();
}

interface Reading {
  readonly files: ReadOnlyFiles;
  readonly identity: StoreIdentity;
  /** Filled while it is read, so that a failure can release what there is. */
  readonly images: Image[];
  readonly target: CheckedTarget;
  /** Checkpoints whose chains were found damaged. */
  readonly without: ReadonlyMap<number, TidemarkError>;
  /** Ends it when it takes too long, and hears how far it is. */
  readonly run: OpeningRun | undefined;
}

async function readState(source: ReaderSource, reading: Reading): Promise<StateMoment> {
  const { files, identity, images, run } = reading;
  const { moment, way } = await findWay(source, reading);
  const { record, lsn, ranges } = way;
  const groupBits = Math.log2(identity.keyGroups);
  const options = { slabs: new SlabPool(0), groupBits };
  run?.check();
  if (record) await loadChain(source, reading, { record, options });
  files.stopPinning();
  const seed = { low: readU32(identity.seed, 0), high: readU32(identity.seed, 4) };
  const onPiece = run?.replays(ranges.reduce((sum, { start, end }) => sum + end - start, 0));
  const tail = await buildTail(
    files,
    {
      ranges,
      fromLsn: record?.lsn ?? 0,
      fromTimestamp: record?.timestamp ?? 0,
      ...(ranges.length === 0 ? {} : { lastLsn: lsn }),
      seed,
      groupBits,
      // Nothing is trimmed before the catalogue says how much of a list is kept.
      rules: [],
    },
    contextOf(run),
  );
  onPiece?.(pieceOf(tail));
  images.push(new Image(tail.slices, options));
  if (tail.lastLsn !== lsn) throw endsElsewhere(moment.plan, tail.lastLsn, lsn);
  const layers = new ImageLayers(seed, groupBits);
  layers.set(images.toReversed());
  const { lastTimestamp } = tail;
  const now = way.time ?? lastTimestamp;
  const done = new Set([...moment.skipped, ...reading.without.values()]);
  const damage = [...done].map((error) => skippedFault(error, source.dir));
  return { ...moment, record, lsn, layers, images, lastTimestamp, now, files, damage };
}

/** Opens the whole chain first (F1), then loads it. */
async function loadChain(
  source: ReaderSource,
  { files, images, run }: Reading,
  {
    record,
    options,
  }: { record: CheckpointRecord; options: ConstructorParameters<typeof Image>[1] },
): Promise<void> {
  const chain = { store: source.dir, id: record.id, isLocal: source.store === undefined };
  await readingChain([chain], async () => {
    const opened = await openChain(source, files, record);
    files.stopPinning();
    const onPart = run?.loads(record.chain.reduce((sum, { bytes }) => sum + bytes, 0));
    for (const { link, file } of opened) {
      const { sha256, bytes } = link;
      const input = { path: file.path, sha256, bytes, verification: 'standard' } as const;
      const loaded = await loadSnapshot(file.fs, input, contextOf(run));
      images.push(new Image(loaded.slices, options));
      onPart?.({ ...link, storedBytes: bytes });
    }
  });
}

/** Turns of this thread, and word of being ended. */
function contextOf(run: OpeningRun | undefined): TaskContext {
  if (!run) return readerContext;
  return { ...readerContext, cancelled: () => run.signal.aborted };
}

/** From what the state of a moment is made. */
interface Way extends Pick<RestorePlan, 'record' | 'lsn' | 'ranges'> {
  /** Time by which expiry is judged; undefined: that of the last commit. */
  readonly time: number | undefined;
}

async function findWay(
  source: ReaderSource,
  { files, identity, target, without }: Reading,
): Promise<{ readonly moment: LogMoment; readonly way: Way }> {
  if (target.kind !== 'latest') {
    const { moment, plan } = await planMoment(source, files, identity, { target, without });
    return { moment, way: plan };
  }
  const { timeline } = target;
  const moment = await readLogMoment(source, files, identity, { without, timeline });
  const { record, plan } = moment;
  const time = source.clock.nowMicros();
  const way = { record, lsn: plan.lastLsn, ranges: plan.ranges, time };
  return { moment, way };
}

/** Opens every snapshot of a record, then looks for the record again (F1). */
async function openChain(
  source: ReaderSource,
  files: ReadOnlyFiles,
  record: CheckpointRecord,
): Promise<{ link: ChainLink; file: ObjectFile }[]> {
  const objects = objectsOf(source, files);
  const fault = findChainFault(record);
  if (fault) {
    const path = objects.path(recordName(record.id));
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `snapshot ${fault.what}: ${fault.link.name} of ${path}`,
      { path, offset: 0, snapshot: fault.link.name },
    );
  }
  const opened = [];
  for (const link of record.chain) {
    const file = await objects.file(link.name);
    if (!file) throw missingSnapshot(objects.path(link.name), record.id);
    const handle = await file.fs.open(file.path, 'read');
    await handle.close();
    opened.push({ link, file });
  }
  // Not through the pinned files, for which nothing ever goes.
  if (!(await objectsOf(source, source.fs).get(recordName(record.id)))) {
    throw new NotFoundError('CHECKPOINT_NOT_FOUND', `checkpoint ${record.id} has gone`, {
      id: record.id,
    });
  }
  return opened;
}

function missingSnapshot(path: string, id: number): CorruptionError {
  return new CorruptionError('BROKEN_CHAIN', `snapshot of checkpoint ${id} is missing: ${path}`, {
    path,
    checkpoint: id,
  });
}

function endsElsewhere(plan: OpeningPlan, actual: number, expected: number): CorruptionError {
  const path = plan.segments.at(-1)?.path;
  return new CorruptionError(
    'CORRUPT_FRAME',
    `log ends at LSN ${actual} where ${expected} was found: ${path}`,
    { path, lsn: actual + 1, expected, actual },
  );
}
