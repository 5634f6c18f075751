/*
 * The state of a store at a target as inputs of a merge: the snapshots of the chain as files, which are
 * read slice by slice, and the log behind them as an image. Nothing of it is loaded whole but the log.
 *
 * Files are read by their paths, in workers: one that is collected meanwhile makes the reading fail,
 * and the caller reads again (F1, F2). In this process the checkpoint is pinned, and stays.
 */
import type { ChainLink, CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { recordName } from '../checkpoint/checkpoint-record.ts';
import { pinsOf } from '../checkpoint/retention/retention-pins.ts';
import type { HashSeed } from '../codec/hash.ts';
import { CorruptionError, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { MergeRange } from '../snapshot/merge-ranges.ts';
import { cursorIn } from '../snapshot/merge-tasks.ts';
import type { RunCursor } from '../snapshot/run-cursor.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { readU32, toHex } from '../std/bytes.ts';
import { SliceLoans, type MergeSource } from '../threads/slice-loans.ts';
import { buildTailInParts } from '../threads/tail-build.ts';
import type { Ancestry } from '../wal/ancestry.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { readingChain, type Without } from './around-damage.ts';
import { findChainFault } from './chain-fault.ts';
import type { CopyRun } from './copy-run.ts';
import { planMoment } from './moment-at.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import { objectsOf, type ReaderSource } from './reader-moment.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { CheckedTarget } from './target.ts';

/** What is to be read. */
export interface RestoreReading {
  readonly source: ReaderSource;
  /** The file system itself. */
  readonly fs: FileSystem;
  readonly identity: StoreIdentity;
  readonly target: CheckedTarget;
  /** Nothing above it is given out. */
  readonly through: number;
  /** Checkpoints that were found damaged. */
  readonly without: Without;
  /** A new path for a copy of a snapshot that is no file of this machine. */
  readonly stagedPath: () => string;
}

/** A state that can be merged. */
export interface StateSource {
  readonly plan: Pick<RestorePlan, 'lsn' | 'record'>;
  /** Oldest first. */
  readonly inputs: readonly MergeSource[];
  /** Of the log behind the chain. */
  readonly tail: readonly SliceDescriptor[];
  /** Timestamp of the last commit, microseconds; 0 before the first. */
  readonly lastTimestamp: number;
  readonly groupBits: number;
  readonly seed: HashSeed;
}

/** What ranges of a state are read with. */
export type RangeTools = Pick<CopyRun, 'pool' | 'slabs' | 'signal'>;

/** The state of a moment, ready to be merged. */
export interface RestoreSource extends StateSource {
  readonly plan: RestorePlan;
  /** What the timeline of the moment came from. */
  readonly ancestry: Ancestry;
  /** Gives memory and pins back. */
  close(): void;
}

/** Plans the way to the target, finds its files, and reads the log behind them. */
export async function openRestoreSource(
  reading: RestoreReading,
  run: CopyRun,
): Promise<RestoreSource> {
  const { source, fs, identity, target, through, without } = reading;
  const files = new ReadOnlyFiles(source.fs, true);
  try {
    const { plan, moment } = await planMoment(source, files, identity, {
      target,
      through,
      without: without.of(source.dir),
    });
    run.check();
    const { record } = plan;
    const pins = pinsOf(fs, source.dir);
    const reason = 'a restore of this process';
    const unpin = [pins.add({ lsn: plan.lsn, timeline: target.timeline, reason })];
    if (record) unpin.push(pins.add({ recordId: record.id, reason }));
    try {
      const isLocal = source.store === undefined;
      const inputs: MergeSource[] = record
        ? await readingChain([{ store: source.dir, id: record.id, isLocal }], () =>
            findFiles(reading, record, run),
          )
        : [];
      const groupBits = Math.log2(identity.keyGroups);
      const tail = await readTail(plan, identity, groupBits, run);
      const { slices, lastTimestamp } = tail;
      const { ancestry } = moment;
      const seed = { low: readU32(identity.seed, 0), high: readU32(identity.seed, 4) };
      const close = (): void => {
        for (const { buffer } of slices) run.slabs.release(buffer);
        for (const unset of unpin) unset();
      };
      inputs.push({ slices });
      return { plan, inputs, tail: slices, lastTimestamp, groupBits, seed, ancestry, close };
    } catch (error) {
      for (const unset of unpin) unset();
      throw error;
    }
  } finally {
    await files.close();
  }
}

/** The slices of all inputs, range by range; those of files are loaded and given back. */
export async function eachRange(
  { inputs, groupBits }: Pick<StateSource, 'inputs' | 'groupBits'>,
  parts: readonly MergeRange[],
  run: RangeTools,
  use: (cursors: RunCursor[], groupBits: number) => void | Promise<void>,
): Promise<void> {
  const loans = new SliceLoans(run.pool, inputs, run.slabs);
  try {
    await loans.open();
    loans.count(parts);
    for (const range of parts) {
      const taken = await loans.take(range, run.signal);
      await use(
        taken.map((slices) => cursorIn(slices, range)),
        groupBits,
      );
      loans.giveBack(range);
    }
  } finally {
    await loans.close();
  }
}

async function findFiles(
  reading: RestoreReading,
  record: CheckpointRecord,
  run: CopyRun,
): Promise<MergeSource[]> {
  const { source, fs, identity } = reading;
  const objects = objectsOf(source, source.fs);
  const fault = findChainFault(record);
  if (fault) {
    const path = objects.path(recordName(record.id));
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `snapshot ${fault.what}: ${fault.link.name} of ${path}`,
      { path, offset: 0, snapshot: fault.link.name },
    );
  }
  const found: MergeSource[] = [];
  for (const link of record.chain) {
    const file = await objects.file(link.name);
    if (!file) {
      const path = objects.path(link.name);
      throw new CorruptionError(
        'BROKEN_CHAIN',
        `snapshot of checkpoint ${record.id} is missing: ${path}`,
        { path, checkpoint: record.id },
      );
    }
    // Workers read the files of this machine only.
    const path =
      file.fs === source.fs
        ? file.path
        : await copyOut(file.fs, file.path, fs, reading.stagedPath());
    const { sha256, bytes } = link;
    const { header } = await run.pool.run('loadSnapshot', {
      path,
      sha256,
      bytes,
      sliceIndexes: [],
    });
    checkHeader(link, header, identity, path);
    found.push({ path, sha256, bytes });
  }
  return found;
}

async function copyOut(
  from: FileSystem,
  path: string,
  to: FileSystem,
  copy: string,
): Promise<string> {
  try {
    const source = await from.open(path, 'read');
    try {
      const bytes = new Uint8Array(await source.size());
      await source.read(bytes, 0);
      const handle = await to.open(copy, 'create');
      try {
        await handle.write(bytes, 0);
      } finally {
        await handle.close();
      }
    } finally {
      await source.close();
    }
  } catch (error) {
    throw toStorageError(error, 'copy a snapshot to', copy);
  }
  return copy;
}

/** The file has to be the one that the record means. */
function checkHeader(
  link: ChainLink,
  header: SnapshotHeader,
  { storeId, seed }: StoreIdentity,
  path: string,
): void {
  const fits =
    header.kind === link.kind &&
    header.fromLsn === link.fromLsn &&
    header.lastLsn === link.lastLsn &&
    header.seed.low === readU32(seed, 0) &&
    header.seed.high === readU32(seed, 4) &&
    toHex(header.storeId) === (link.storeId ?? toHex(storeId));
  if (fits) return;
  throw new CorruptionError(
    'BROKEN_CHAIN',
    `snapshot is not the one that its record means: ${path}`,
    { path, offset: 0, expected: link.lastLsn, actual: header.lastLsn },
  );
}

async function readTail(
  { record, ranges, lsn }: RestorePlan,
  { seed }: StoreIdentity,
  groupBits: number,
  run: CopyRun,
): Promise<{ slices: readonly SliceDescriptor[]; lastTimestamp: number }> {
  const { slices, lastTimestamp } = await buildTailInParts(
    {
      ranges,
      fromLsn: record?.lsn ?? 0,
      fromTimestamp: record?.timestamp ?? 0,
      ...(ranges.length === 0 ? {} : { lastLsn: lsn }),
      seed: { low: readU32(seed, 0), high: readU32(seed, 4) },
      groupBits,
      // Nothing is trimmed before the catalogue says how much of a list is kept.
      rules: [],
    },
    run,
  );
  return { slices, lastTimestamp };
}
