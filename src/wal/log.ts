/*
 * `tidemark/log`: the log alone, records of bytes. The engine uses the same writer; this adds the
 * directory (lock, identity), reading and trimming.
 *
 * Durability: a record is durable when the promise of its append resolves (level `disk`). Reading
 * gives out nothing above the durable LSN (C2). Trimming puts the low-water record first (R2).
 */
import {
  ClosedError,
  InvalidArgumentError,
  LockedError,
  NotFoundError,
  OutcomeUnknownError,
  toStorageError,
} from '../errors.ts';
import type { FileLock, FileSystem } from '../fs/file-system.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { systemClock, type Clock } from '../std/clock.ts';
import { directoryPath, knownOnly, wholeNumber } from '../std/option-checks.ts';
import { systemRandom, type Random } from '../std/random.ts';
import {
  createIdentity,
  directoryError,
  holdIdentity,
  lockName,
  readIdentity,
} from './identity.ts';
import { planOpening, type TornTail } from './log-opening.ts';
import {
  logOptionNames,
  resolveDurability,
  resolveLogOptions,
  type Durability,
  type LogOptions,
  type ResolvedLogOptions,
} from './log-options.ts';
import { readRecords, type LogRecord } from './log-records.ts';
import type { LogSegment } from './log-output.ts';
import {
  LogCleaner,
  resolveLogRetention,
  type LogRetain,
  type LogRetentionStats,
  type ResolvedLogRetention,
} from './log-retention.ts';
import { LogSegments } from './log-segments.ts';
import { LogWriter, type LogWriterStats } from './log-writer.ts';
import { LogTrimmer } from './log-trimmer.ts';
import { readLowWater } from './low-water.ts';
import { applyOpening, openingRoomBytes } from './opening-segment.ts';
import type { KeptFrom } from './trim-segments.ts';

export type { Durability, LogOptions } from './log-options.ts';
export type { LogRecord } from './log-records.ts';
export type { LogRetain, LogRetentionStats } from './log-retention.ts';
export type { LogWriterStats } from './log-writer.ts';
export type { TornTail } from './log-opening.ts';
export { TidemarkError } from '../errors.ts';

/** Options of {@link openLog}. */
export interface OpenLogOptions extends LogOptions {
  /** Directory of the log; made if it is not there. One writer a directory. */
  readonly dir: string;
  /** Default level of an append. @defaultValue 'disk' */
  readonly durability?: Durability;
  /** What is kept: the rest goes by itself, whole segments at a time. @defaultValue everything */
  readonly retain?: LogRetain;
  /**
   * Milliseconds between two cleanups, beside those after an opening and after a new segment; false:
   * only those. @defaultValue 3600000 (1 h), with `retain`
   */
  readonly cleanupMs?: number | false;
}

/** Names of the options of {@link openLog}. */
export const openLogOptionNames: readonly (keyof OpenLogOptions)[] = [
  'dir',
  'durability',
  'retain',
  'cleanupMs',
  ...logOptionNames,
];

/** What the log runs on, beside its settings. */
export interface LogComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
}

/** Range of records to read. */
export interface ReadOptions {
  /** First LSN wanted; 0 is the same as 1. @defaultValue the first kept */
  readonly from?: number;
  /** At most so many records. @defaultValue all */
  readonly limit?: number;
}

/** Level of one append. */
export interface AppendOptions {
  readonly durability?: Durability;
}

/** Figures of a log. */
export interface LogStats extends LogWriterStats {
  readonly firstLsn: number;
  readonly segments: number;
  /** Undefined without `retain`. */
  readonly retention: LogRetentionStats | undefined;
}

/** A durable log of byte records, numbered from 1 without gaps. */
export interface Log {
  /**
   * Appends one record; resolves with its LSN when the level is reached (default: durable).
   * @throws InvalidArgumentError RECORD_TOO_LARGE, INVALID_VALUE
   * @throws StorageError NO_SPACE, OVERLOADED: not sealed, safe to try again
   * @throws OutcomeUnknownError OUTCOME_UNKNOWN: sealed, then a write failed; open again
   */
  append(record: Uint8Array, options?: AppendOptions): Promise<number>;
  /** Appends records atomically: all of them are there after a crash, or none. First LSN. */
  appendBatch(records: readonly Uint8Array[], options?: AppendOptions): Promise<number>;
  /**
   * Durable records in LSN order, as copies: those that are durable when the first is asked for.
   * @throws NotFoundError OUT_OF_RETENTION: `from` was trimmed, or was while it was read
   */
  read(options?: ReadOptions): AsyncGenerator<LogRecord>;
  /** Greatest durable LSN; 0 when there is none. */
  readonly tail: number;
  /** What the opening cut, if anything. */
  readonly tornTail: TornTail | undefined;
  /**
   * Gives up records below an LSN, whole segments at a time; the newest segment always stays.
   * @throws ClosedError POISONED: after an error in writing nothing is removed
   */
  trim(lsn: number): Promise<void>;
  stats(): LogStats;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens a log for writing, or makes one.
 *
 * @example
 * const log = await openLog({ dir: './events' });
 * const lsn = await log.append(new TextEncoder().encode('first'));
 * for await (const record of log.read({ from: lsn })) console.log(record.lsn, record.bytes);
 * await log.close();
 *
 * @throws LockedError LOCKED: another writer has the directory
 * @throws CorruptionError CORRUPT_FRAME, CORRUPT_SEGMENT, LOG_HOLE: nothing was changed
 */
export function openLog(options: OpenLogOptions): Promise<Log> {
  return openLogWith(options, { fs: nodeFileSystem, clock: systemClock, random: systemRandom });
}

/** As {@link openLog}, over given components. */
export async function openLogWith(options: OpenLogOptions, on: LogComponents): Promise<Log> {
  knownOnly(options, openLogOptionNames);
  const { durability, retain, cleanupMs, ...rest } = options;
  const dir = directoryPath('dir', options.dir);
  const level = resolveDurability(durability, 'disk');
  const settings = resolveLogOptions(rest);
  const retention = resolveLogRetention(retain, cleanupMs);
  const lock = await lockDirectory(on.fs, dir);
  try {
    return await FileLog.open(dir, { settings, level, retention }, on, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Makes the directory and takes its lock, or throws LOCKED. */
export async function lockDirectory(fs: FileSystem, directory: string): Promise<FileLock> {
  let lock: FileLock | undefined;
  try {
    await fs.makeDirectory(directory);
    lock = await fs.lock(`${directory}/${lockName}`);
  } catch (error) {
    throw directoryError(error, 'lock', directory);
  }
  if (lock) return lock;
  throw new LockedError(`directory is open in another engine or process: ${directory}`, {
    path: directory,
  });
}

/** Options in force. */
interface ResolvedOptions {
  readonly settings: ResolvedLogOptions;
  readonly level: Durability;
  readonly retention: ResolvedLogRetention | undefined;
}

class FileLog implements Log {
  readonly #options: ResolvedOptions;
  readonly #on: LogComponents;
  readonly #lock: FileLock;
  readonly #writer: LogWriter;
  readonly #segments: LogSegments;
  readonly tornTail: TornTail | undefined;
  readonly #trimmer: LogTrimmer;
  readonly #cleaner: LogCleaner | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    directory: string,
    options: ResolvedOptions,
    on: LogComponents,
    lock: FileLock,
    opened: { writer: LogWriter; segments: LogSegments; tornTail: TornTail | undefined },
  ) {
    this.#options = options;
    this.#on = on;
    this.#lock = lock;
    this.#writer = opened.writer;
    this.#segments = opened.segments;
    this.tornTail = opened.tornTail;
    const { fs, clock } = on;
    const { writer, segments } = opened;
    const trimmer = new LogTrimmer({ fs, directory: `${directory}/wal`, writer, segments });
    this.#trimmer = trimmer;
    const { retention } = options;
    const all = (): readonly LogSegment[] => segments.all;
    this.#cleaner = retention && new LogCleaner({ retention, clock, trimmer, segments: all });
    writer.onRotate((sealed, next) => {
      segments.rotated(sealed, next);
      // Not awaited: the writer goes on, `run` never rejects, and `close` waits for the trim.
      void this.#cleaner?.run();
    });
  }

  static async open(
    dir: string,
    resolved: ResolvedOptions,
    on: LogComponents,
    lock: FileLock,
  ): Promise<FileLog> {
    const { fs, clock, random } = on;
    const found = await readIdentity(fs, dir);
    if (found && found.kind !== 'log') {
      throw new InvalidArgumentError('NOT_A_STORE', `directory holds an engine, no log: ${dir}`, {
        path: dir,
      });
    }
    if (found) await holdIdentity(fs, dir);
    const identity = found ?? (await createIdentity(fs, dir, 'log', 1, random));
    const directory = `${dir}/wal`;
    try {
      await fs.makeDirectory(directory);
    } catch (error) {
      throw toStorageError(error, 'make', directory);
    }
    const lowWater = await readLowWater(fs, directory);
    const { storeId } = identity;
    // A small segment size bounds the opening's segment as well.
    const roomBytes = Math.min(openingRoomBytes, resolved.settings.segmentBytesMax);
    const storeDirectory = dir;
    const checkpoint = undefined;
    const input = { storeDirectory, storeId, checkpoint, lowWater, roomBytes };
    const plan = await planOpening(fs, directory, input);
    const opened = await applyOpening(fs, directory, plan, input, on);
    const segments = new LogSegments(plan.segments, opened);
    const numberMax = opened.header.number;
    const options = resolved.settings;
    const writer = new LogWriter({ fs, directory, options, clock, random, opened, numberMax });
    const { tornTail } = plan;
    const log = new FileLog(dir, resolved, on, lock, { writer, segments, tornTail });
    await log.#cleaner?.run();
    return log;
  }

  get tail(): number {
    return this.#writer.durableLsn;
  }

  async append(record: Uint8Array, options?: AppendOptions): Promise<number> {
    return this.appendBatch([record], options);
  }

  // Not an async function: it seals at the call, and a refusal is a rejection all the same.
  appendBatch(records: readonly Uint8Array[], options?: AppendOptions): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#assertOpen();
      this.#checkRecords(records);
      if (options !== undefined) knownOnly(options, ['durability']);
      const level = resolveDurability(options?.durability, this.#options.level);
      const firstLsn = this.#writer.seal(records, level, {
        // A waiter may be settled before `seal` returns; the value is read a turn later.
        resolve: () => resolve(Promise.resolve().then(() => firstLsn)),
        reject: (cause) => reject(outcomeUnknown(firstLsn, cause)),
      });
    });
  }

  async *read(options: ReadOptions = {}): AsyncGenerator<LogRecord> {
    this.#assertOpen();
    knownOnly(options, ['from', 'limit']);
    const from = readBound('from', options.from, this.#firstLsn);
    const limit = readBound('limit', options.limit, Number.MAX_SAFE_INTEGER);
    const through = this.tail;
    const { offset, lsn, chain } = this.#writer.segment.end;
    const { number: segment, timeline } = this.#writer.segment.header;
    const end = { offset, lsn, chain, segment, timeline };
    const older = this.#segments.all.findLast((s) => s.header.firstLsn <= from);
    const start = older && {
      ...older.start,
      segment: older.header.number,
      timeline: older.header.timeline,
    };
    if (limit === 0) return;
    this.#checkKept(from);
    let next = from;
    let count = 0;
    try {
      const ranges = this.#segments.ranges(start, end);
      for await (const record of readRecords(this.#on.fs, ranges, from)) {
        if (record.lsn > through) return;
        next = record.lsn + 1;
        yield record;
        if (++count >= limit) return;
      }
    } catch (error) {
      // A trim may have taken the file away.
      if (next <= through) this.#checkKept(next);
      throw error;
    }
  }

  #checkKept(from: number): void {
    const firstLsn = this.#firstLsn;
    if (firstLsn === 1 || from >= firstLsn) return;
    throw new NotFoundError(
      'OUT_OF_RETENTION',
      `record ${from} was trimmed; kept from ${firstLsn}`,
      {
        from,
        firstLsn,
        tail: this.tail,
      },
    );
  }

  async trim(lsn: number): Promise<void> {
    this.#assertOpen();
    const bound = readBound('lsn', lsn, lsn);
    await this.#trimmer.trim(() => {
      // The oldest segment that holds an LSN which stays; the newest at most.
      const { all } = this.#segments;
      const kept = all.findLastIndex(({ header }) => header.firstLsn <= bound);
      return kept <= 0 ? undefined : keptFrom(all[kept]!);
    });
  }

  get #firstLsn(): number {
    return this.#segments.all[0]!.header.firstLsn;
  }

  stats(): LogStats {
    const segments = this.#segments.all.length;
    const retention = this.#cleaner?.stats();
    return { ...this.#writer.stats(), firstLsn: this.#firstLsn, segments, retention };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      this.#cleaner?.stop();
      await this.#trimmer.settled();
      await this.#writer.close();
    } finally {
      await this.#lock.release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (this.#closing) throw new ClosedError('CLOSED', 'the log is closed');
  }

  #checkRecords(records: readonly Uint8Array[]): void {
    const { recordBytesMax } = this.#options.settings;
    if (!Array.isArray(records) || records.length === 0) {
      throw new InvalidArgumentError('INVALID_VALUE', 'a batch must hold at least one record');
    }
    for (const record of records) {
      if (!(record instanceof Uint8Array)) {
        throw new InvalidArgumentError('INVALID_VALUE', 'a record must be a Uint8Array');
      }
      if (record.length > recordBytesMax) {
        throw new InvalidArgumentError(
          'RECORD_TOO_LARGE',
          `record is larger than recordBytesMax: ${record.length} > ${recordBytesMax} bytes`,
          { bytes: record.length, bytesMax: recordBytesMax },
        );
      }
    }
  }
}

function keptFrom({ header }: LogSegment): KeptFrom {
  return { segment: header.number, timeline: header.timeline };
}

function outcomeUnknown(lsn: number, cause: unknown): OutcomeUnknownError {
  return new OutcomeUnknownError(
    `record ${lsn} was sealed, but writing it failed: open the log again and read its tail`,
    { lsn },
    cause,
  );
}

function readBound(name: string, value: unknown, otherwise: number): number {
  return value === undefined ? otherwise : wholeNumber(name, value, 0);
}
