/*
 * Recovery to the latest commit: which records, snapshots and bytes of the log make the state, and
 * their images. Reads only; the caller opens the log for writing afterwards (O3), and serves nothing
 * before that.
 *
 * | newest record        | its chain      | log behind it                     | outcome                 |
 * |----------------------|----------------|-----------------------------------|-------------------------|
 * | none                 | –              | none, and never was               | an empty store          |
 * | none                 | –              | none, but the mark says it was    | LOG_HOLE                |
 * | none                 | –              | whole, from LSN 1 (O2)            | replay of the log       |
 * | sound                | sound          | whole                             | images, then replay     |
 * | sound                | sound          | torn above the proof (L7)         | the same, cut, reported |
 * | sound                | sound          | ends before the record (L7)       | images, damaged history |
 * | sound                | sound          | damaged below the record (L8)     | images, then replay     |
 * | sound                | sound          | damaged at or below the proof (L7)| CORRUPT_FRAME           |
 * | sound                | sound          | a segment is missing (L7)         | LOG_HOLE                |
 * | damaged, or          | damaged, gone  | whole from an older record whose  | images of that record, then a longer replay; what was |
 * |                      |                | chain is sound, or from LSN 1     | passed over is reported |
 * | damaged, or          | damaged, gone  | anything else                     | the error of the newest, with the ways that are left |
 *
 * Newer checkpoints are tried first, so the way is the newest that loses nothing. What was passed
 * over still counts for what is proved: a log that ends below it is refused. An LSN that stands in
 * a record that cannot be read is not known; by L12 what was durable when the record was put stands
 * in the log, whatever a torn write left behind it.
 */
import type { HashSeed } from '../codec/hash.ts';
import { CorruptionError, type TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { recordName, type CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { LoadedLink } from '../checkpoint/chain-images.ts';
import { estimateRestore } from '../checkpoint/restore-estimate.ts';
import type { SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import type { OpeningRun } from './opening-run.ts';
import { ChainLoader, checkRecord, type ColdLinks } from './chain-loader.ts';
import type { Rewound } from './timeline-fork.ts';
import { checkBeginning } from './log-beginning.ts';
import { examinePaths, isWhole, plainPath, type ExaminedPaths } from './losing-paths.ts';
import { copiedBytes, rateOf, ThreadMeter, type RecoveryWork } from './recovery-work.ts';
import {
  isDamage,
  lossError,
  skippedFault,
  type AcceptedLoss,
  type RecoveryPath,
  type SkippedCheckpoint,
  type SkippedFault,
} from './recovery-path.ts';
import { Image } from '../snapshot/image.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { Verification } from '../snapshot/tasks.ts';
import type { Clock } from '../std/clock.ts';
import { buildTailInParts } from '../threads/tail-build.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import { assertKnown, isOf, type Ancestry } from '../wal/ancestry.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import {
  planOpening,
  type OpeningInput,
  type OpeningPlan,
  type TornTail,
} from '../wal/log-opening.ts';
import { readLogMark } from '../wal/log-mark.ts';
import type { LowWater } from '../wal/low-water.ts';

export interface RecoveryInput {
  readonly fs: FileSystem;
  readonly clock: Clock;
  /** Directory of the store. */
  readonly dir: string;
  /** Directory of the log. */
  readonly logDirectory: string;
  /** Room of the segment that the opening makes. */
  readonly roomBytes: number;
  readonly identity: StoreIdentity;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly lowWater: LowWater | undefined;
  /** Of the timeline that is opened: only records of it count (T2). */
  readonly ancestry: Ancestry;
  readonly checkpoints: CheckpointStore;
  readonly transfer: SnapshotTransfer;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  /** How much of each snapshot is checked. */
  readonly verification: Verification;
  /** Ends it when it takes too long, and hears how far it is. */
  readonly run: OpeningRun;
  /** Leaves slices in their files; what is damaged there is found later. */
  readonly cold?: ColdLinks | undefined;
}

/** What a recovery did, for people and for `engine.recovery`. */
export interface RecoveryReport extends RecoveryWork {
  /** From what the state was made. */
  readonly path: RecoveryPath;
  /** Checkpoints that were passed over because they are damaged, newest first, and why. */
  readonly skipped: readonly SkippedCheckpoint[];
  /** Id of the checkpoint that it started from; undefined: from the log alone, or empty. */
  readonly checkpoint: number | undefined;
  /** LSN of that checkpoint; 0 when there is none. */
  readonly checkpointLsn: number;
  /** Last LSN of the state. */
  readonly lsn: number;
  readonly chainLength: number;
  /** Entries in the snapshots of the chain. */
  readonly chainEntries: number;
  readonly chainBytes: number;
  readonly replayedCommits: number;
  readonly replayedBytes: number;
  /**
   * What the rates in that checkpoint's record would have this opening take, to be compared with
   * `phasesMs.total`; undefined when the record has none.
   */
  readonly estimatedMs: number | undefined;
  readonly tornTail: TornTail | undefined;
  /** The log ended before the newest checkpoint: commits behind that checkpoint may be lost. */
  readonly damagedHistory: boolean;
  /** With `acceptLoss`: what this opening gave up; undefined: nothing. */
  readonly loss: AcceptedLoss | undefined;
  /** The timeline that is written on. */
  readonly timeline: number;
  /** With `recoverTo`: what was left, and where it went back to; undefined: nothing was left. */
  readonly rewound: Rewound | undefined;
  /** Files of unfinished checkpoints that were removed. */
  readonly leftoversRemoved: number;
  /** Milliseconds of each phase. */
  readonly phasesMs: {
    readonly plan: number;
    readonly load: number;
    readonly replay: number;
    readonly openLog: number;
    readonly total: number;
  };
}

/** The state as it was found. */
export interface Recovered {
  readonly record: CheckpointRecord | undefined;
  readonly opening: OpeningInput;
  readonly plan: OpeningPlan;
  readonly links: readonly LoadedLink[];
  readonly tail: Image | undefined;
  readonly lastTimestamp: number;
  /** Names of snapshots that were found damaged. */
  readonly damaged: ReadonlySet<string>;
  readonly report: Omit<RecoveryReport, 'leftoversRemoved' | 'rewound'>;
}

/** What the search for a way found: the state, or, where every way loses commits, the ways. */
export type SearchOutcome =
  | { readonly recovered: Recovered }
  | { readonly refused: TidemarkError; readonly ways: Ways };

/** The ways that are left. */
export interface Ways extends ExaminedPaths {
  /** Greatest epoch that any of the log and the records has. */
  readonly epochMax: number;
  /** Greatest number of a segment that is there or that a record names. */
  readonly segmentMax: number;
  /** Ids of the records that cannot be read. */
  readonly unreadable: readonly number[];
  /** Records that can be read, newest first. */
  readonly records: readonly CheckpointRecord[];
  /** Gives the chain of a way; its images are given back with `release`. */
  readonly loader: ChainLoader;
}

/** @throws what the newest way failed with, and the ways that are left, where every way loses */
export async function recover(input: RecoveryInput): Promise<Recovered> {
  const found = await searchWays(input);
  if ('recovered' in found) return found.recovered;
  found.ways.loader.release();
  throw found.refused;
}

/** As {@link recover}, where the caller may go one of the ways that lose. */
export async function searchWays(input: RecoveryInput): Promise<SearchOutcome> {
  const search = new Search(input);
  try {
    return await search.run();
  } catch (error) {
    search.loader.release();
    throw error;
  }
}

/** Looks for the newest way that loses nothing, from the newest record on. */
class Search {
  readonly #in: RecoveryInput;
  readonly loader: ChainLoader;
  readonly #threads: ThreadMeter;
  readonly #records: CheckpointRecord[] = [];
  readonly #skipped: SkippedCheckpoint[] = [];
  readonly #phases = { plan: 0, load: 0, replay: 0 };
  /** What was wrong with the newest record or its chain. */
  #first: TidemarkError | undefined;

  constructor(input: RecoveryInput) {
    this.#in = input;
    this.loader = new ChainLoader({ ...input, signal: input.run.signal });
    this.#threads = new ThreadMeter(input.pool);
  }

  async run(): Promise<SearchOutcome> {
    const { run } = this.#in;
    run.progress('plan');
    const ids = await this.#timed('plan', () => this.#in.checkpoints.ids());
    for (const id of ids.toReversed()) {
      run.check();
      const record = await this.#timed('plan', () => this.#read(id));
      if (!record) continue;
      const onPart = run.loads(record.chain.reduce((sum, { bytes }) => sum + bytes, 0));
      const loaded = await this.#timed('load', () => this.loader.load(record, onPart));
      if (isWhole(loaded)) return this.#take(record, loaded);
      const faults = loaded.map(({ name, error }) => skippedFault(error, name));
      this.#skip(record, faults, loaded[0]!.error);
    }
    // What was whole of the last chain is of no use without the rest.
    this.loader.release();
    return this.#take(undefined, []);
  }

  /** A record that can be read and fits; undefined: it was passed over. */
  async #read(id: number): Promise<CheckpointRecord | undefined> {
    const { checkpoints, identity, transfer, ancestry } = this.#in;
    let record: CheckpointRecord | undefined;
    try {
      record = await checkpoints.read(id);
      const isKnown = record.timeline <= ancestry.newest;
      // Of another future: no way to this one (T2).
      if (isKnown && !isOf(ancestry, record)) return undefined;
      checkRecord(record, identity);
      if (isKnown) this.#records.push(record);
    } catch (error) {
      if (!isDamage(error, transfer.isLocal)) throw error;
      const path = recordName(id);
      this.#skip({ id, lsn: record?.lsn }, [skippedFault(error, path)], error);
      return undefined;
    }
    assertKnown(ancestry, record.timeline, recordName(id));
    return record;
  }

  #skip(
    { id, lsn }: { readonly id: number; readonly lsn: number | undefined },
    faults: readonly SkippedFault[],
    error: TidemarkError,
  ): void {
    this.#first ??= error;
    this.#skipped.push({ checkpoint: id, lsn, faults });
  }

  /** The way from a record whose chain is whole, or from the log alone. */
  async #take(
    record: CheckpointRecord | undefined,
    links: readonly LoadedLink[],
  ): Promise<SearchOutcome> {
    const opening = this.#opening(record);
    try {
      this.#in.run.check();
      const plan = await this.#timed('plan', () => this.#plan(record, opening));
      this.#in.run.check();
      const replayed = await this.#timed('replay', () => replay(this.#in, record, plan));
      const lastTimestamp = Math.max(replayed.lastTimestamp, record?.timestamp ?? 0);
      const { tail } = replayed;
      const report = this.#report(record, plan, links, replayed);
      const damaged = new Set(this.loader.damaged.keys());
      return {
        recovered: { record, opening, plan, links, tail, lastTimestamp, damaged, report },
      };
    } catch (error) {
      if (!isDamage(error, true)) throw error;
      return this.#refuse(this.#first ?? error);
    }
  }

  #opening(record: CheckpointRecord | undefined): OpeningInput {
    const { dir, identity, ancestry, lowWater, roomBytes } = this.#in;
    return {
      storeDirectory: dir,
      storeId: identity.storeId,
      ancestry,
      checkpoint: record?.position,
      logGivenUp: record?.loss !== undefined,
      provedKnown: this.#provedLsn,
      lowWater,
      epochKnown: Math.max(0, ...this.#records.map(({ epoch }) => epoch)),
      roomBytes,
    };
  }

  /** A damaged chain does not make its record's LSN less proved. */
  get #provedLsn(): number {
    return Math.max(0, ...this.#records.map(({ lsn }) => lsn));
  }

  /** A record that is newer than all that can be read: its LSN is not known. */
  get #hasUnreadable(): boolean {
    const newest = this.#records[0]?.id ?? 0;
    return this.#skipped.some(({ lsn, checkpoint }) => lsn === undefined && checkpoint > newest);
  }

  /** Plans the opening; a log that cannot make up for what was passed over is refused. */
  async #plan(record: CheckpointRecord | undefined, opening: OpeningInput): Promise<OpeningPlan> {
    const { fs, logDirectory, lowWater } = this.#in;
    checkBeginning(logDirectory, lowWater, record);
    const plan = await planOpening(fs, logDirectory, opening);
    if (plan.lastLsn < this.#provedLsn) throw this.#endsEarly(plan.lastLsn);
    const isGone = plan.damagedHistory || plan.segments.length === 0;
    // What the record that cannot be read held may be nowhere else.
    if (this.#hasUnreadable && isGone) throw this.#endsEarly(plan.lastLsn);
    return plan;
  }

  #endsEarly(lsn: number): CorruptionError {
    const path = this.#in.logDirectory;
    return new CorruptionError(
      'LOG_HOLE',
      `log ends at LSN ${lsn}, before a checkpoint that cannot be used: ${path}`,
      { path, lsn: lsn + 1, proved: this.#provedLsn },
    );
  }

  async #refuse(first: TidemarkError): Promise<SearchOutcome> {
    const { fs, logDirectory, ancestry } = this.#in;
    const { loader } = this;
    const records = this.#records;
    const provedLsn = this.#provedLsn;
    const hasUnreadable = this.#hasUnreadable;
    const canLoad = async (record: CheckpointRecord): Promise<boolean> =>
      isWhole(await loader.load(record));
    const store = { fs, logDirectory, ancestry, canLoad, records, provedLsn, hasUnreadable };
    const hadSegments = await hasHadSegments(this.#in);
    const found = await examinePaths({ ...store, lowWater: this.#in.lowWater, hadSegments });
    const refused = lossError(first, found.paths.map(plainPath));
    const { extent } = found;
    const epochMax = Math.max(extent.epochMax, ...records.map(({ epoch }) => epoch));
    const named = records.map(({ position }) => position.segment);
    const segmentMax = Math.max(extent.numberMax, ...named);
    const unreadable = this.#skipped.filter(({ lsn }) => lsn === undefined);
    const ids = unreadable.map(({ checkpoint }) => checkpoint);
    return { refused, ways: { ...found, loader, epochMax, segmentMax, unreadable: ids, records } };
  }

  #report(
    record: CheckpointRecord | undefined,
    plan: OpeningPlan,
    links: readonly LoadedLink[],
    { commits, bytes }: Replayed,
  ): Recovered['report'] {
    const { plan: planMs, load, replay: replayMs } = this.#phases;
    const total = planMs + load + replayMs;
    const chainBytes = links.reduce((sum, { link }) => sum + link.bytes, 0);
    // What was left in files is loaded when it is needed.
    const loadedBytes = links.reduce(
      (sum, { link, image }) => sum + (image.isResident ? link.bytes : 0),
      0,
    );
    const isEmpty = plan.lastLsn === 0 && this.#skipped.length === 0;
    const alone = isEmpty ? 'empty' : 'log';
    const withRecord = this.#skipped.length === 0 ? 'newest' : 'older';
    return {
      path: record ? withRecord : alone,
      skipped: this.#skipped,
      checkpoint: record?.id,
      checkpointLsn: record?.lsn ?? 0,
      lsn: plan.lastLsn,
      chainLength: links.length,
      chainEntries: links.reduce((sum, { link }) => sum + link.entryCount, 0),
      chainBytes,
      replayedCommits: commits,
      replayedBytes: bytes,
      estimatedMs: record?.rates && estimateRestore(chainBytes, bytes, record.rates).seconds * 1000,
      tornTail: plan.tornTail,
      damagedHistory: plan.damagedHistory,
      loss: undefined,
      timeline: this.#in.ancestry.timeline,
      phasesMs: { plan: planMs, load, replay: replayMs, openLog: 0, total },
      phasesBytes: { load: loadedBytes, replay: bytes, openLog: copiedBytes(plan) },
      bytesPerSecond: { load: rateOf(loadedBytes, load), replay: rateOf(bytes, replayMs) },
      ...this.#threads.over(load + replayMs),
    };
  }

  async #timed<T>(phase: 'plan' | 'load' | 'replay', act: () => Promise<T>): Promise<T> {
    const { clock } = this.#in;
    const startedAt = clock.monotonicMs();
    try {
      return await act();
    } finally {
      this.#phases[phase] += clock.monotonicMs() - startedAt;
    }
  }
}

/** Whether the timeline's log has had a segment; a mark that cannot be read does not deny it. */
async function hasHadSegments({ fs, dir, identity, ancestry }: RecoveryInput): Promise<boolean> {
  try {
    const mark = await readLogMark(fs, dir, identity.storeId);
    return (mark?.timeline ?? 0) >= ancestry.timeline;
  } catch (error) {
    if (!isDamage(error, true)) throw error;
    return true;
  }
}

interface Replayed {
  readonly tail: Image | undefined;
  readonly commits: number;
  readonly bytes: number;
  readonly lastTimestamp: number;
}

/** Turns the log behind the checkpoint into an image; the memtable starts empty. */
async function replay(
  input: RecoveryInput,
  record: CheckpointRecord | undefined,
  plan: OpeningPlan,
): Promise<Replayed> {
  const { ranges } = plan;
  if (ranges.length === 0) return { tail: undefined, commits: 0, bytes: 0, lastTimestamp: 0 };
  const { pool, slabs, groupBits, seed, run } = input;
  const bytes = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
  const output = await buildTailInParts(
    {
      ranges,
      seed,
      groupBits,
      // The log may say that a list keeps more than the record knows: nothing is trimmed here.
      rules: [],
      fromLsn: record?.lsn ?? 0,
      fromTimestamp: record?.timestamp ?? 0,
      // A timeline can begin inside a group of the one before.
      ...(plan.listing.fork && { lastLsn: plan.lastLsn }),
    },
    { pool, slabs, signal: run.signal, onPiece: run.replays(bytes) },
  );
  if (output.lastLsn !== 0 && output.lastLsn !== plan.lastLsn) {
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `log ends at LSN ${output.lastLsn} where ${plan.lastLsn} was found`,
      { lsn: output.lastLsn, expected: plan.lastLsn },
    );
  }
  const tail = new Image(output.slices, { slabs, groupBits });
  return { tail, commits: output.commitCount, bytes, lastTimestamp: output.lastTimestamp };
}
