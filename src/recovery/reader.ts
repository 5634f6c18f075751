/*
 * A store read without opening it for writing: the newest committed moment of a directory that
 * another process may have open. No lock, no write, nothing created. The moment is fixed when the
 * reader is made (reader-moment.ts); what is above the proved LSN is marked `unproved` (F3).
 * The state is held in memory until `close`.
 */
import { registerCodecs, type CodecModule } from '../codec/compression-modules.ts';
import { decodeKey, mapKeyOf, type Key } from '../codec/key.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import type { TypeDefinition } from '../codec/value.ts';
import { pinsOf, type PinSet } from '../checkpoint/retention/retention-pins.ts';
import { ClosedError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import type { Entry } from '../snapshot/entry.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import type { MergeIterator } from '../snapshot/merge-iterator.ts';
import { systemClock, type Clock } from '../std/clock.ts';
import { knownOnly, wholeNumber } from '../std/option-checks.ts';
import type { StateKind, TableDefinition } from '../state/table-definition.ts';
import { shownVersion } from '../state/value-versions.ts';
import { resolveLimits, type RunLimits, type RunProgress } from './limited-run.ts';
import { OpeningRun, type OpeningPhase } from './opening-run.ts';
import { checkKeyOf, readHistory, type HistoryVersion } from './history.ts';
import {
  decodeStored,
  mergeTable,
  readDefinitions,
  readPositions,
  selectTables,
} from './moment-tables.ts';
import { readStoredBlob } from './reader-blobs.ts';
import {
  decodeCommit,
  readLoggedRecords,
  type CommitRange,
  type LoggedCommit,
} from './reader-commits.ts';
import { locationNames, sourceOf, type ReaderSource, type StoreLocation } from './reader-moment.ts';
import type { SkippedFault } from './recovery-path.ts';
import { withLosingPaths } from './reader-losses.ts';
import { readStateMoment, releaseMoment, type StateMoment } from './state-moment.ts';
import { createReaderDecoder } from '../codec/value-reader.ts';
import { checkTarget, latest, type CheckedTarget, type Target } from './target.ts';

export type { HistoryVersion } from './history.ts';
export type { CommitRange, LoggedChange, LoggedCommit, LoggedOp } from './reader-commits.ts';
export { PatchReplacement } from '../snapshot/patch-decode.ts';
export { UnknownTypeValue } from '../codec/value-reader.ts';

/** Options of {@link openReader}. */
export interface ReaderOptions extends StoreLocation {
  /** The moment to look at. @defaultValue 'latest' */
  readonly at?: Target;
  /** Classes whose instances are values; others are given as `UnknownTypeValue`. @defaultValue none */
  readonly types?: readonly TypeDefinition[];
  /** Codecs of your own that the store was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
  /** Milliseconds after which the reading ends with TIMEOUT. @defaultValue 300000 (5 min) */
  readonly timeoutMs?: number;
  /** Ends the reading with ABORTED; an open reader is not touched. @defaultValue none */
  readonly signal?: AbortSignal;
  /** Is told how far the reading is. @defaultValue none */
  readonly onProgress?: (progress: RunProgress<OpeningPhase>) => void;
}

/** Names of the options of {@link openReader}. */
export const readerOptionNames: readonly (keyof ReaderOptions)[] = [
  ...locationNames,
  'at',
  'types',
  'codecs',
  'timeoutMs',
  'signal',
  'onProgress',
];

/** What a reader runs on. */
export interface ReaderComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
}

/** What a key holds. */
export interface FoundEntry {
  /**
   * The value; of a counter a number, of an aggregating state what it keeps, of a blob its bytes, of a list its items in order, of a map
   * that was asked for without a sub-key a `Map`.
   */
  readonly value: unknown;
  /** LSN of the newest commit that it is made of. */
  readonly lsn: number;
  /** Time of that commit, microseconds. */
  readonly timestamp: number;
  /** Microseconds; undefined when it never expires, and for lists and whole maps. */
  readonly expiresAt: number | undefined;
  /** As the write, or its commit, gave it; microseconds. Undefined for lists and whole maps. */
  readonly eventTime: number | undefined;
  /** Above the LSN that is proved to be durable: a crash of the machine can still undo it. */
  readonly unproved: boolean;
  /**
   * Version that the value was written with, and that it is shown in; left out: 1, and for lists and
   * whole maps.
   */
  readonly version?: number;
}

/** One entry of an iteration; each item of a list is one. */
export interface ReaderEntry extends FoundEntry {
  readonly operator: string;
  readonly state: string;
  readonly kind: StateKind;
  readonly key: Key;
  /** Sub-key of a map; of other kinds undefined. */
  readonly subKey: Key | undefined;
  /** Place in a list, from 0; of other kinds undefined. */
  readonly index: number | undefined;
}

/** How much there is. */
export interface Measure {
  readonly entryCount: number;
  /** Bytes of keys, sub-keys and values as they are stored; of blobs without their chunks. */
  readonly bytes: number;
}

/** A read-only view of one committed moment. */
export interface Reader {
  /** Last LSN of the moment. */
  readonly lsn: number;
  /** LSN up to which the moment is proved to be durable. */
  readonly provedLsn: number;
  /** Time of the last commit, microseconds; 0 when there is none. */
  readonly timestamp: number;
  /** Damage of newer checkpoints that this view does without; the state is whole all the same. */
  readonly damage: readonly SkippedFault[];
  /** States of the store, in the order in which they were first used. */
  definitions(): readonly TableDefinition[];
  /** Positions of the sources as of the moment. */
  positions(): Readonly<Record<string, unknown>>;
  /**
   * What a key holds, or undefined when there is nothing.
   * @throws NotFoundError STATE_NOT_FOUND
   * @throws InvalidArgumentError INVALID_KEY; INVALID_CALL for a sub-key where the state is no map
   */
  get(operator: string, state: string, key: Key, subKey?: Key): FoundEntry | undefined;
  /**
   * Entries of all states, of an operator, or of one state; states in the order of their first use,
   * keys in the order of their hash, sub-keys and items in order.
   * @throws NotFoundError STATE_NOT_FOUND when nothing of that name is there
   */
  entries(operator?: string, state?: string): IterableIterator<ReaderEntry>;
  /** Measures the live entries of a state, without decoding them: takes time as they are many. */
  measure(operator: string, state: string): Measure;
  /** Measures the chunks that the blobs of all states are made of. */
  measureChunks(): Measure;
  /**
   * Commits of the log through the moment, in order, with their changes.
   * @throws NotFoundError OUT_OF_RETENTION when `from` is below what the log keeps
   * @throws CorruptionError CORRUPT_FRAME, CORRUPT_SEGMENT, LOG_HOLE
   */
  commits(range?: CommitRange): AsyncGenerator<LoggedCommit>;
  /**
   * Every version of a key that is known up to the moment, oldest first: one for each commit that
   * touched it, as far back as the log is kept and a checkpoint is there to start from; before that
   * what older checkpoints hold. Each of those is loaded on the way. What expires is a step of its own.
   * @throws NotFoundError STATE_NOT_FOUND
   * @throws InvalidArgumentError INVALID_KEY; INVALID_CALL for a sub-key where the state is no map
   */
  history(operator: string, state: string, key: Key, subKey?: Key): AsyncGenerator<HistoryVersion>;
  /** Gives up the memory and the files. Calls and iterations after it throw CLOSED. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens a read-only view of a committed moment of a directory, by default the newest. Another process
 * may have the directory open: nothing is locked, written or created, and what that process does afterwards does
 * not change the view.
 *
 * @example
 * const reader = await openReader({ dir: './state' });
 * console.log(reader.get('words', 'counts', 'tide')?.value);
 * await reader.close();
 *
 * @throws InvalidArgumentError NOT_A_STORE, INVALID_OPTION
 * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND for `at`
 * @throws CorruptionError when two readings agree on damage; nothing was changed. Of the newest moment
 *   `details.paths` lists the ways that there are, and what each would lose
 * @throws IncompatibleError UNSUPPORTED_FORMAT, CODEC_UNAVAILABLE, STORE_MISMATCH
 * @throws StorageError OVERLOADED when the store changed under a hundred readings
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function openReader(options: ReaderOptions): Promise<Reader> {
  return openReaderWith(options, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link openReader}, over given components. */
export async function openReaderWith(
  options: ReaderOptions,
  components: ReaderComponents,
): Promise<Reader> {
  knownOnly(options, readerOptionNames);
  await registerCodecs(options.codecs ?? []);
  const source = sourceOf(components, options);
  const decoder = createReaderDecoder(options.types);
  const target = options.at === undefined ? latest : checkTarget(options.at, 'at');
  const moment = await readWithin(resolveLimits(options), source, target);
  try {
    return new StateReader(source, moment, decoder, pinsOf(components.fs, source.dir));
  } catch (error) {
    await releaseMoment(moment);
    throw error;
  }
}

/**
 * Reads the moment, unless it takes too long or the caller gives up. Where no way leads to the newest, its
 * error lists the ways that lose, as that of an opening.
 */
async function readWithin(
  limits: RunLimits<OpeningPhase>,
  source: ReaderSource,
  target: CheckedTarget,
): Promise<StateMoment> {
  const run = new OpeningRun('reading', limits, source.clock);
  try {
    return await readStateMoment(source, target, run);
  } catch (error) {
    const listing = target.kind === 'latest' && !run.signal.aborted;
    const reason = listing ? await withLosingPaths(error, source, { target, run }) : error;
    throw run.failure(reason);
  } finally {
    run.end();
  }
}

class StateReader implements Reader {
  readonly #source: ReaderSource;
  readonly #moment: StateMoment;
  readonly #decoder: ValueDecoder;
  readonly #definitions: readonly TableDefinition[];
  readonly #positions: Readonly<Record<string, unknown>>;
  readonly #pins: PinSet;
  readonly #unpin: () => void;
  #closing: Promise<void> | undefined;

  constructor(source: ReaderSource, moment: StateMoment, decoder: ValueDecoder, pins: PinSet) {
    this.#source = source;
    this.#moment = moment;
    this.#pins = pins;
    this.#decoder = decoder;
    this.#definitions = readDefinitions(moment, decoder);
    this.#positions = readPositions(moment, decoder);
    const { record } = moment;
    const reason = 'a reader of this process';
    this.#unpin = record ? pins.add({ recordId: record.id, reason }) : () => {};
  }

  get lsn(): number {
    return this.#moment.lsn;
  }

  get provedLsn(): number {
    return this.#moment.provedLsn;
  }

  get timestamp(): number {
    return this.#moment.lastTimestamp;
  }

  get damage(): readonly SkippedFault[] {
    return this.#moment.damage;
  }

  definitions(): readonly TableDefinition[] {
    return this.#definitions;
  }

  positions(): Readonly<Record<string, unknown>> {
    return this.#positions;
  }

  get(operator: string, state: string, key: Key, subKey?: Key): FoundEntry | undefined {
    this.#assertOpen();
    const definition = this.#definition(operator, state);
    const { kind } = definition;
    checkKeyOf(definition, key, subKey);
    if (kind === 'list' || (kind === 'map' && subKey === undefined)) {
      return this.#collect(definition, key);
    }
    const { layers, now } = this.#moment;
    const mapSubKey = subKey === undefined ? undefined : mapKeyOf(subKey);
    const entry = layers.find(definition.id, mapKeyOf(key), mapSubKey, now);
    return entry && this.#found(definition, entry);
  }

  *entries(operator?: string, state?: string): IterableIterator<ReaderEntry> {
    this.#assertOpen();
    for (const definition of selectTables(this.#definitions, operator, state))
      yield* this.#scan(definition);
  }

  measure(operator: string, state: string): Measure {
    this.#assertOpen();
    return measure(mergeTable(this.#moment, this.#definition(operator, state)));
  }

  measureChunks(): Measure {
    this.#assertOpen();
    return measure(mergeTable(this.#moment, { id: reservedTables.chunks, itemsMax: undefined }));
  }

  async *commits(range: CommitRange = {}): AsyncGenerator<LoggedCommit> {
    this.#assertOpen();
    knownOnly(range, ['from', 'limit']);
    const from = checkBound('from', range.from);
    const limit = checkBound('limit', range.limit) ?? Number.MAX_SAFE_INTEGER;
    const tables = new Map(this.#definitions.map((definition) => [definition.id, definition]));
    const decoding = { tables, decoder: this.#decoder, provedLsn: this.provedLsn };
    let count = 0;
    if (limit === 0) return;
    const unpin = this.#pins.add({
      lsn: from ?? 0,
      timeline: this.#moment.ancestry.timeline,
      reason: 'a reader of this process reads commits',
    });
    try {
      for await (const { lsn, bytes } of readLoggedRecords(this.#source, this.#moment, from)) {
        this.#assertOpen();
        yield decodeCommit(lsn, bytes, decoding);
        if (++count >= limit) return;
      }
    } finally {
      unpin();
    }
  }

  history(operator: string, state: string, key: Key, subKey?: Key): AsyncGenerator<HistoryVersion> {
    this.#assertOpen();
    const definition = this.#definition(operator, state);
    checkKeyOf(definition, key, subKey);
    const { lsn: throughLsn, provedLsn: durableLsn, now } = this.#moment;
    return readHistory({
      source: this.#source,
      decoder: this.#decoder,
      pins: this.#pins,
      definition,
      key,
      subKey,
      timeline: this.#moment.ancestry.timeline,
      throughLsn,
      now,
      durableLsn,
    });
  }

  close(): Promise<void> {
    this.#unpin();
    this.#closing ??= releaseMoment(this.#moment);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (this.#closing) throw new ClosedError('CLOSED', 'the reader is closed');
  }

  /** All items of a list's key, or all sub-keys of a map's key. */
  #collect(definition: TableDefinition, key: Key): FoundEntry | undefined {
    const entries = [...this.#scan(definition, key)];
    const newest = entries.reduce<ReaderEntry | undefined>(
      (best, entry) => (best && best.lsn > entry.lsn ? best : entry),
      undefined,
    );
    if (!newest) return undefined;
    const value =
      definition.kind === 'list'
        ? entries.map((entry) => entry.value)
        : new Map(entries.map((entry) => [entry.subKey, entry.value]));
    const { lsn, timestamp, unproved } = newest;
    return { value, lsn, timestamp, expiresAt: undefined, eventTime: undefined, unproved };
  }

  /** Entries of a table, or of one key of it, in order. */
  *#scan(definition: TableDefinition, onlyKey?: Key): Generator<ReaderEntry> {
    const { operator, state, kind } = definition;
    const merged = mergeTable(this.#moment, definition, onlyKey);
    let index = 0;
    let previous: string | undefined;
    while (merged.next()) {
      const { bytes, keyStart, keyEnd, subKeyEnd } = merged;
      if (kind === 'list') {
        const keyBytes = Buffer.from(bytes.subarray(keyStart, keyEnd)).toString('latin1');
        index = keyBytes === previous ? index + 1 : 0;
        previous = keyBytes;
      }
      yield {
        operator,
        state,
        kind,
        key: decodeKey(bytes, keyStart, keyEnd),
        subKey: kind === 'map' ? decodeKey(bytes, keyEnd, subKeyEnd) : undefined,
        index: kind === 'list' ? index : undefined,
        ...this.#found(definition, merged),
      };
      this.#assertOpen();
    }
  }

  #found(definition: TableDefinition, entry: Entry): FoundEntry {
    const { lsn, timestamp, expiry, eventTime } = entry;
    return {
      value: this.#value(definition, entry),
      lsn,
      timestamp,
      expiresAt: expiry === 0 ? undefined : expiry,
      eventTime: eventTime === 0 ? undefined : eventTime,
      unproved: lsn > this.provedLsn,
      ...shownVersion(definition, entry),
    };
  }

  #value(definition: TableDefinition, entry: Entry): unknown {
    if (definition.kind !== 'blob') return decodeStored(definition, entry, this.#decoder);
    const { bytes, subKeyEnd, valueEnd } = entry;
    return readStoredBlob(this.#moment.layers, bytes.slice(subKeyEnd, valueEnd));
  }

  #definition(operator: string, state: string): TableDefinition {
    return selectTables(this.#definitions, operator, state)[0]!;
  }
}

function measure(merged: MergeIterator): Measure {
  let entryCount = 0;
  let bytes = 0;
  while (merged.next()) {
    entryCount++;
    bytes += merged.valueEnd - merged.keyStart;
  }
  return { entryCount, bytes };
}

function checkBound(name: string, value: unknown): number | undefined {
  return value === undefined ? undefined : wholeNumber(name, value, 0);
}
