/*
 * `tune`: what other settings would come to for this store. The workload is a recording (option
 * `record`), or else the log that is kept; rates of restores are those that the store has measured;
 * what codecs do is measured here on blocks of its own snapshots. Reads like a reader: no lock, no
 * write.
 */
import type { ChainPolicy, CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { CheckpointTriggers } from '../checkpoint/checkpoint-triggers.ts';
import { assumedRates } from '../checkpoint/restore-estimate.ts';
import type { RetentionSettings } from '../checkpoint/retention/retention-settings.ts';
import { planTuning, type TuningPlan } from '../checkpoint/tuning/tuning-plan.ts';
import { workloadOf } from '../checkpoint/tuning/tuning-source.ts';
import type { PaperWorkload } from '../checkpoint/tuning/tuning-workload.ts';
import { builtInCodecs } from '../codec/compression.ts';
import { IncompatibleError, InvalidArgumentError, NotFoundError } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { toHex } from '../std/bytes.ts';
import { isOf } from '../wal/ancestry.ts';
import { systemClock } from '../std/clock.ts';
import { amount, filePath, knownOnly, wholeNumber } from '../std/option-checks.ts';
import { readFileRange } from '../wal/segment-scan.ts';
import { limitNames, withinLimits, type CallLimits } from './limited-call.ts';
import {
  listRecordIds,
  locationNames,
  objectsOf,
  readInAgreement,
  readLogMoment,
  readRecord,
  readStoreIdentity,
  sourceOf,
  type LogMoment,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import type { ReaderComponents } from './reader.ts';
import {
  codecModel,
  measureCodec,
  sampleBlocks,
  type MeasuredCodec,
  type SampledSnapshot,
} from './tune-codecs.ts';
import { readLogWorkload } from './tune-log.ts';

/** What to tune, and what for. */
export interface TuneOptions extends StoreLocation, CallLimits {
  /** A recording that `openEngine({ record })` made. @defaultValue the log that is kept */
  readonly recording?: string;
  /** Seconds that the worst restore may take. @defaultValue no wish */
  readonly restoreSecondsMax?: number;
  /** Bytes that snapshots and log may take at their most. @defaultValue no wish */
  readonly storageBytesMax?: number;
  /** Milliseconds of the past of which every moment is to be restorable. @defaultValue no wish */
  readonly windowMs?: number;
}

/** What was seen of a codec on blocks of the store. */
export interface TunedCodec {
  readonly codec: string;
  readonly level: number | undefined;
  /** Bytes that it leaves of a byte of entries. */
  readonly baseShare: number;
  readonly deltaShare: number;
  /** On one core. */
  readonly packBytesPerSecond: number;
  readonly unpackBytesPerSecond: number;
}

/** What `tune` found. */
export interface TuneReport extends TuningPlan {
  /** Absolute. */
  readonly dir: string;
  readonly source: {
    readonly kind: 'recording' | 'log';
    readonly commits: number;
    readonly entries: number;
    readonly logBytes: number;
    /** From the first commit to the last. */
    readonly milliseconds: number;
    /** Keys that are followed. */
    readonly keys: number;
  };
  readonly codecs: readonly TunedCodec[];
  /** False: rates of restores are careful assumptions. */
  readonly measuredRates: boolean;
  /** Options for `openEngine`. */
  readonly options: TunedOptions;
  /** What the figures do not say, in sentences. */
  readonly notes: readonly string[];
}

/** What is recommended, as `openEngine` takes it. */
export interface TunedOptions {
  readonly checkpointing:
    | false
    | {
        readonly entries?: number;
        readonly commits?: number;
        readonly logBytes?: number;
        readonly intervalMs?: number;
      };
  readonly maxChainLength: number;
  readonly mergeBytesPerLogByteMax: number;
  readonly logBytesPerBaseByteMax: number;
  readonly merge: { readonly strategy: ChainPolicy['strategy'] };
  readonly compression: string | { readonly codec: string; readonly level: number };
  readonly restoreSecondsMax?: number;
  readonly restoreBytesMax?: number;
  readonly retention: false | { readonly checkpoints: number; readonly windowMs?: number };
}

export const tuneOptionNames: readonly (keyof TuneOptions)[] = [
  ...locationNames,
  ...limitNames,
  'recording',
  'restoreSecondsMax',
  'storageBytesMax',
  'windowMs',
];

const SEGMENT_BYTES = 64 * 1024 * 1024;
/** Newest snapshots of each kind that blocks are taken from. */
const SAMPLED_MAX = 4;

/**
 * Works out on paper what other settings would come to, and recommends some.
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws NotFoundError CHECKPOINT_NOT_FOUND: there is nothing yet to learn from
 * @throws CorruptionError CORRUPT_RECORDING, and what reading a store throws
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function tuneStore(options: TuneOptions): Promise<TuneReport> {
  return tuneStoreWith(options, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link tuneStore}, over given components. */
export async function tuneStoreWith(
  options: TuneOptions,
  on: ReaderComponents,
): Promise<TuneReport> {
  knownOnly(options, tuneOptionNames);
  const { recording, restoreSecondsMax, storageBytesMax, windowMs } = options;
  if (recording !== undefined) filePath('recording', recording);
  if (restoreSecondsMax !== undefined) amount('restoreSecondsMax', restoreSecondsMax);
  if (storageBytesMax !== undefined) wholeNumber('storageBytesMax', storageBytesMax, 1);
  if (windowMs !== undefined) wholeNumber('windowMs', windowMs, 1);
  return withinLimits('tuning', options, on.clock, (run) =>
    tune(sourceOf(on, options, run), options),
  );
}

async function tune(source: ReaderSource, options: TuneOptions): Promise<TuneReport> {
  const { recording, restoreSecondsMax, storageBytesMax, windowMs } = options;
  const identity = await readStoreIdentity(source);
  const moment = await readInAgreement(source, () => readLogMoment(source, source.fs, identity));
  const records = await readRecords(source, moment);
  const newest = records.at(-1);
  if (!newest) {
    const message = `there is no checkpoint yet to learn from: ${source.dir}`;
    throw new NotFoundError('CHECKPOINT_NOT_FOUND', message, { path: source.dir });
  }
  const notes: string[] = [];
  const workload = await findWorkload(source, moment, { records, recording, notes });
  const { models, measured } = await measureAll(source, records, notes);
  const { replayBytesPerSecond, overheadSeconds } = newest.rates ?? assumedRates;
  const plan = planTuning(
    workload,
    {
      triggers: undefined,
      policy: newest.policy,
      retention: newest.retention,
      segmentBytesMax: SEGMENT_BYTES,
      codecs: models,
      rates: { replayBytesPerSecond, overheadSeconds },
    },
    { restoreSecondsMax, storageBytesMax, windowMs },
  );
  const seen = sourceFigures(workload, recording === undefined ? 'log' : 'recording');
  addNotes(notes, { plan, newest, milliseconds: seen.milliseconds, windowMs });
  return {
    ...plan,
    dir: source.dir,
    source: seen,
    codecs: measured.map(codecFigures),
    measuredRates: newest.rates !== undefined,
    options: optionsOf(plan),
    notes,
  };
}

async function readRecords(
  source: ReaderSource,
  { identity, ancestry }: LogMoment,
): Promise<CheckpointRecord[]> {
  const objects = objectsOf(source, source.fs);
  const records: CheckpointRecord[] = [];
  for (const id of await listRecordIds(objects)) {
    const record = await readRecord(objects, id, toHex(identity.storeId));
    if (isOf(ancestry, record)) records.push(record);
  }
  return records;
}

interface WorkloadQuestion {
  readonly records: readonly CheckpointRecord[];
  readonly recording: string | undefined;
  readonly notes: string[];
}

async function findWorkload(
  source: ReaderSource,
  moment: LogMoment,
  { records, recording, notes }: WorkloadQuestion,
): Promise<PaperWorkload> {
  if (recording === undefined) return readLogWorkload(source, moment, { records, notes });
  const bytes = await readFileRange(source.fs, recording, 0);
  const found = workloadOf(bytes, recording);
  if (!found) {
    throw new InvalidArgumentError(
      'INVALID_OPTION',
      `no commit is in the recording: ${recording}`,
      {
        option: 'recording',
      },
    );
  }
  if (found.storeId !== toHex(moment.identity.storeId)) {
    const message = `the recording is of another store: ${recording}`;
    throw new InvalidArgumentError('INVALID_OPTION', message, { option: 'recording' });
  }
  if (found.leftOut > 0) {
    notes.push(
      `The recording has a gap: ${found.leftOut} commits before or behind it do not count.`,
    );
  }
  return found.workload;
}

async function measureAll(
  source: ReaderSource,
  records: readonly CheckpointRecord[],
  notes: string[],
): Promise<{ models: ReturnType<typeof codecModel>[]; measured: MeasuredCodec[] }> {
  const newest = records.at(-1)!;
  const sample = await sampleBlocks(await newestSnapshots(source, records));
  const { codec, level } = newest.compression;
  const own = measureCodec(sample, newest.compression, source.clock);
  if (typeof own === 'string') {
    throw new IncompatibleError('CODEC_UNAVAILABLE', own, { codec });
  }
  const measured = [own];
  for (const name of builtInCodecs) {
    if (name === codec && level === undefined) continue;
    const other = measureCodec(sample, { codec: name }, source.clock);
    if (typeof other === 'string') notes.push(`${name} was not measured: ${other}`);
    else measured.push(other);
  }
  const { loadBytesPerSecond } = newest.rates ?? assumedRates;
  const bytes = newest.chain.reduce((sum, link) => sum + link.bytes, 0);
  const raw = newest.chain.reduce((sum, link) => sum + link.dataBytes + 9 * link.entryCount, 0);
  const ownSeconds = bytes / Math.max(1, raw) / loadBytesPerSecond;
  return { models: measured.map((each) => codecModel(each, own, ownSeconds)), measured };
}

/** The newest snapshots of each kind. */
async function newestSnapshots(
  source: ReaderSource,
  records: readonly CheckpointRecord[],
): Promise<SampledSnapshot[]> {
  const objects = objectsOf(source, source.fs);
  const found = new Map<string, SampledSnapshot>();
  const counts = { base: 0, delta: 0 };
  for (const { chain } of records.toReversed()) {
    for (const link of chain.toReversed()) {
      if (found.has(link.name) || counts[link.kind] >= SAMPLED_MAX) continue;
      const file = await objects.file(link.name);
      if (!file) continue;
      counts[link.kind]++;
      found.set(link.name, { link, file });
    }
  }
  return [...found.values()];
}

function sourceFigures(
  { commits, keys, logBytesPerRecordByte }: PaperWorkload,
  kind: TuneReport['source']['kind'],
): TuneReport['source'] {
  const sum = (values: Float64Array): number => values.reduce((all, value) => all + value, 0);
  const { timestamps } = commits;
  return {
    kind,
    commits: timestamps.length,
    entries: sum(commits.entryCounts),
    logBytes: Math.round(sum(commits.recordBytes) * logBytesPerRecordByte),
    milliseconds: ((timestamps.at(-1) ?? 0) - (timestamps[0] ?? 0)) / 1000,
    keys: keys.tables.length,
  };
}

function codecFigures(measured: MeasuredCodec): TunedCodec {
  const { setting, base, delta, packSecondsPerByte, unpackSecondsPerByte } = measured;
  return {
    codec: setting.codec,
    level: setting.level,
    baseShare: base.data,
    deltaShare: delta.data,
    packBytesPerSecond: 1 / Math.max(1e-12, packSecondsPerByte),
    unpackBytesPerSecond: 1 / Math.max(1e-12, unpackSecondsPerByte),
  };
}

function addNotes(
  notes: string[],
  seen: {
    readonly plan: TuningPlan;
    readonly newest: CheckpointRecord;
    readonly milliseconds: number;
    readonly windowMs: number | undefined;
  },
): void {
  const { plan, newest, milliseconds, windowMs } = seen;
  if (newest.rates === undefined) {
    notes.push('No restore was measured yet: its seconds come from careful assumptions.');
  }
  if (windowMs !== undefined && windowMs > milliseconds) {
    notes.push(
      'The window is longer than the workload: the log behind it is taken at the rate seen.',
    );
  }
  if (!plan.reachable) {
    notes.push('No setting that was tried meets all wishes; the one that comes nearest is shown.');
  }
}

/** The recommended settings as options. */
export function optionsOf({ recommended }: Pick<TuningPlan, 'recommended'>): TunedOptions {
  const { triggers, policy, codec, retention } = recommended.settings;
  const { restoreSecondsMax, restoreBytesMax, maxChainLength, strategy } = policy;
  const { mergeBytesPerLogByteMax, logBytesPerBaseByteMax } = policy;
  return {
    checkpointing: givenTriggers(triggers),
    maxChainLength,
    mergeBytesPerLogByteMax,
    logBytesPerBaseByteMax,
    merge: { strategy },
    compression:
      codec.level === undefined ? codec.codec : { codec: codec.codec, level: codec.level },
    ...(restoreSecondsMax === undefined ? {} : { restoreSecondsMax }),
    ...(restoreBytesMax === undefined ? {} : { restoreBytesMax }),
    retention: retention ? givenRetention(retention) : false,
  };
}

function givenTriggers(
  triggers: CheckpointTriggers,
): Exclude<TunedOptions['checkpointing'], false> {
  const { entries, commits, logBytes, intervalMs } = triggers;
  return {
    ...(entries === undefined ? {} : { entries }),
    ...(commits === undefined ? {} : { commits }),
    ...(logBytes === undefined ? {} : { logBytes }),
    ...(intervalMs === undefined ? {} : { intervalMs }),
  };
}

function givenRetention({ checkpoints, windowMs }: RetentionSettings): {
  checkpoints: number;
  windowMs?: number;
} {
  return { checkpoints, ...(windowMs === 0 ? {} : { windowMs }) };
}
