/*
 * The feed of changes: commits of the log in order, each once, none above what is proved to be
 * durable (F3, C2). A reading of the log at a time; between readings whoever drives the feed says
 * when there may be more. What the feed still has to read is pinned for an engine of this process.
 *
 * Names of states come from the newest checkpoint and from the log behind it, so nothing is loaded,
 * unless effects are wanted (before-view.ts).
 */
import { ConflictError } from '../errors.ts';
import type { PinSet } from '../checkpoint/retention/retention-pins.ts';
import { retainedRange } from '../checkpoint/retention/retained-range.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import { badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import { sharedLsn, timelineAt } from '../wal/ancestry.ts';
import { readRecords } from '../wal/log-records.ts';
import { BeforeView } from './before-view.ts';
import { commitEntries, type CommitRecord } from './commit-entries.ts';
import type { StateChange } from './diff.ts';
import { findKeptLog, type KeptLog } from './kept-log.ts';
import { usableRecords } from './moment-at.ts';
import { decodeDefinition, readDefinitions } from './moment-tables.ts';
import { decodeCommit, outOfRetention, type LoggedCommit } from './reader-commits.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  agreementOf,
  logDirectoryOf,
  readInAgreement,
  readLogMoment,
  readStoreIdentity,
  type LogMoment,
  type ReaderSource,
} from './reader-moment.ts';
import { readStateMoment } from './state-moment.ts';

/** A durable commit, with what it changed. */
export interface ChangedCommit extends Omit<LoggedCommit, 'unproved'> {
  /** The timeline on which it was committed: with the LSN its position. */
  readonly timeline: number;
  /**
   * With `before`: what became of each entry that the commit touched, with old and new value. A
   * clear is a delete of everything that it cleared; an item that a bounded list gives up for
   * another one is deleted; a value that was set again to what it was is nothing.
   */
  readonly effects?: readonly StateChange[];
}

/** Options of {@link Engine.changes}. */
export interface ChangeOptions {
  /**
   * First LSN wanted: that of the last commit that was handled, plus one. 0 is the same as 1.
   * @defaultValue the first that is kept; with `before` the first whose state before it can be restored
   */
  readonly from?: number;
  /**
   * In place of `from`: the position of the last commit that was handled. Where the store has been
   * taken back to before it since, or it is above the last commit of its timeline, the feed ends with
   * TIMELINE_LEFT at once. @defaultValue none
   */
  readonly after?: { readonly timeline: number; readonly lsn: number };
  /**
   * The timeline whose past and commits are told; the feed of one that was left ends with it.
   * @defaultValue the current one
   */
  readonly timeline?: number;
  /** Tell `effects`. The state before `from` is held in memory, and all that is touched. @defaultValue false */
  readonly before?: boolean;
  /** Wait for further commits; false: end behind those that are there. @defaultValue true */
  readonly follow?: boolean;
  /** Ends the feed, quietly. @defaultValue none */
  readonly signal?: AbortSignal;
}

export const changeOptionNames: readonly (keyof ChangeOptions)[] = [
  'from',
  'after',
  'timeline',
  'before',
  'follow',
  'signal',
];

/** Options that have been checked. */
export interface CheckedChanges {
  readonly from: number | undefined;
  readonly after: { readonly timeline: number; readonly lsn: number } | undefined;
  readonly timeline: number | undefined;
  readonly before: boolean;
  readonly follow: boolean;
  readonly signal: AbortSignal | undefined;
}

export function checkChangeOptions(
  options: ChangeOptions,
  names: readonly string[] = changeOptionNames,
): CheckedChanges {
  knownOnly(options, names);
  const { from, timeline, signal } = options;
  const after = options.after === undefined ? undefined : checkAfter(options);
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw badOption('signal', 'must be an AbortSignal', signal);
  }
  return {
    from: after
      ? after.lsn + 1
      : from === undefined
        ? undefined
        : Math.max(1, wholeNumber('from', from, 0)),
    after,
    timeline: timeline === undefined ? undefined : wholeNumber('timeline', timeline, 1),
    before: flag('before', options.before ?? false),
    follow: flag('follow', options.follow ?? true),
    signal,
  };
}

function checkAfter({ after, from }: ChangeOptions): { timeline: number; lsn: number } {
  if (from !== undefined) throw badOption('after', 'cannot be with from', undefined);
  if (typeof after !== 'object' || after === null) {
    throw badOption('after', 'must have timeline and lsn', after);
  }
  knownOnly(after, ['timeline', 'lsn'], 'after');
  return {
    timeline: wholeNumber('after.timeline', after.timeline, 1),
    lsn: wholeNumber('after.lsn', after.lsn, 0),
  };
}

function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw badOption(name, 'must be true or false', value);
}

/** Where the log ended when it was read last. */
export interface FeedPlace {
  /** Commits up to here have been given. */
  readonly throughLsn: number;
  readonly log: KeptLog;
  /** Names in the directory of the log from before that reading: another one is news. */
  readonly names: string;
}

/** What a feed is read from, and what drives it. */
export interface FeedInput {
  readonly source: ReaderSource;
  readonly decoder: ValueDecoder;
  readonly pins: PinSet;
  readonly options: CheckedChanges;
  /** What has to be done before the first reading. */
  readonly prepare: () => Promise<void>;
  /** Known to be durable, beside what the log itself proves. */
  readonly durableLsn: () => number;
  /** Resolves when there may be more, or the signal is aborted; throws when there never is. */
  readonly wait: (place: FeedPlace, signal: AbortSignal) => Promise<void>;
}

/** Commits from an LSN on. `return()` ends the feed also while it waits. */
export function readChanges(input: FeedInput): AsyncGenerator<ChangedCommit> {
  const ended = new AbortController();
  const { signal } = input.options;
  const end = (): void => ended.abort();
  if (signal?.aborted) end();
  else signal?.addEventListener('abort', end, { once: true });
  const feed = new ChangeFeed(input, ended.signal).run(() => {
    signal?.removeEventListener('abort', end);
  });
  const finish = feed.return.bind(feed);
  // A generator takes `return` only where it stands at a `yield`.
  feed.return = (value) => {
    end();
    return finish(value);
  };
  return feed;
}

/** The names in the directory of the log, as one. */
export async function logNames(source: ReaderSource): Promise<string> {
  return (await source.fs.list(logDirectoryOf(source))).sort().join('/');
}

interface Reading {
  readonly moment: LogMoment;
  readonly log: KeptLog;
  readonly files: ReadOnlyFiles;
  readonly names: string;
  /** The last commit that may be given out. */
  readonly throughLsn: number;
}

class ChangeFeed {
  readonly #in: FeedInput;
  readonly #ended: AbortSignal;
  readonly #definitions = new Map<number, TableDefinition>();
  #next: number | undefined;
  #view: BeforeView | undefined;
  #unpin: () => void = () => {};
  #namesKnown = false;
  /** Of the last reading. */
  #timeline: number | undefined;

  constructor(input: FeedInput, ended: AbortSignal) {
    this.#in = input;
    this.#ended = ended;
    this.#next = input.options.from;
  }

  async *run(release: () => void): AsyncGenerator<ChangedCommit> {
    const { source, options } = this.#in;
    const agreement = agreementOf(source);
    try {
      await this.#in.prepare();
      while (!this.#ended.aborted) {
        this.#pin();
        const reading = await this.#read();
        const { throughLsn, log, names } = reading;
        try {
          for await (const commit of this.#commits(reading)) {
            yield commit;
            agreement.succeeded();
            if (this.#ended.aborted) return;
          }
        } catch (error) {
          // An opening may have moved what was not proved (F2).
          await agreement.failed(error);
          continue;
        } finally {
          await reading.files.close();
        }
        const { ancestry, timelines } = reading.moment;
        if (!options.follow || ancestry.timeline !== timelines.current) return;
        this.#pin();
        await this.#in.wait({ throughLsn, log, names }, this.#ended);
      }
    } finally {
      release();
      this.#unpin();
      await this.#view?.close();
    }
  }

  #pin(): void {
    const { pins } = this.#in;
    const before = this.#unpin;
    const lsn = (this.#next ?? 1) - 1;
    const { timeline } = this.#in.options;
    const reason = 'a feed of this process reads changes from here';
    this.#unpin = pins.add({ lsn, timeline, reason });
    before();
  }

  /** One reading of the log, whose files stay open until it has been given out (F1). */
  #read(): Promise<Reading> {
    const { source } = this.#in;
    const durableLsn = this.#in.durableLsn();
    return readInAgreement(source, async () => {
      const files = new ReadOnlyFiles(source.fs, true);
      try {
        const names = await logNames(source);
        const identity = await readStoreIdentity(source);
        const { timeline } = this.#in.options;
        const moment = await readLogMoment(source, files, identity, { timeline });
        this.#checkTimeline(moment);
        const log = await findKeptLog(files, logDirectoryOf(source), moment);
        this.#next ??= await this.#firstLsn(moment, log);
        if (this.#next < log.firstLsn) throw outOfRetention(this.#next, log.firstLsn, moment.lsn);
        const throughLsn = Math.min(moment.lsn, Math.max(moment.provedLsn, durableLsn));
        return { moment, log, files, names, throughLsn };
      } catch (error) {
        await files.close();
        throw error;
      }
    });
  }

  /** What has been given has to be in the past of what comes. */
  #checkTimeline({ ancestry, timelines, lsn, record }: LogMoment): void {
    const { after } = this.#in.options;
    const lastLsn = Math.max(lsn, record?.lsn ?? 0);
    // Only durable commits are given out, and those are here: it is of what a copy was made before.
    if (this.#timeline === undefined && after?.timeline === ancestry.timeline) {
      if (after.lsn > lastLsn) throw aboveTheEnd(after, lastLsn);
    }
    const before =
      this.#timeline === undefined
        ? after
        : { timeline: this.#timeline, lsn: (this.#next ?? 1) - 1 };
    if (before && before.timeline !== ancestry.timeline) {
      const isKnown = timelines.has(before.timeline);
      const forkLsn = isKnown
        ? sharedLsn(ancestry, timelines.ancestry(before.timeline))
        : undefined;
      if (before.lsn > (forkLsn ?? -1)) throw timelineLeft(before, ancestry.timeline, forkLsn);
    }
    this.#timeline = ancestry.timeline;
  }

  async #firstLsn({ identity, ancestry, lsn }: LogMoment, { firstLsn }: KeptLog): Promise<number> {
    const { source, options } = this.#in;
    if (!options.before) return firstLsn;
    const { records } = await usableRecords(source, identity, ancestry);
    const { fromLsn } = retainedRange(records, firstLsn);
    return (fromLsn ?? lsn) + 1;
  }

  async *#commits({ moment, log, files, throughLsn }: Reading): AsyncGenerator<ChangedCommit> {
    const start = this.#next!;
    if (throughLsn < start - 1) return;
    if (this.#in.options.before) await this.#openView(start);
    const from = this.#namesKnown ? start : Math.min(start, this.#takeNames(moment));
    const first = log.ranges.findLastIndex((range) => range.firstLsn <= from);
    for await (const record of readRecords(files, log.ranges.slice(Math.max(0, first)), from)) {
      if (record.lsn > throughLsn) break;
      this.#takeDefinitions(record);
      if (record.lsn < start) continue;
      this.#namesKnown = true;
      const commit = this.#commit(record, timelineAt(moment.ancestry, record.lsn));
      this.#next = record.lsn + 1;
      yield commit;
    }
    this.#namesKnown = true;
  }

  /** The state before the first commit, once that is durable. */
  async #openView(start: number): Promise<void> {
    if (this.#view) return;
    const { source, decoder } = this.#in;
    const { timeline } = this.#in.options;
    const of = timeline === undefined ? {} : { timeline };
    const target = { kind: 'lsn', number: start - 1, name: '', inclusive: true, ...of } as const;
    const moment = await readStateMoment(source, target);
    this.#view = new BeforeView(moment, decoder);
    for (const definition of readDefinitions(moment, decoder)) {
      this.#definitions.set(definition.id, definition);
    }
    this.#namesKnown = true;
  }

  /** Names of states from the newest checkpoint; the first LSN behind it. */
  #takeNames({ record }: LogMoment): number {
    for (const definition of record?.tables ?? []) this.#definitions.set(definition.id, definition);
    return (record?.lsn ?? 0) + 1;
  }

  #takeDefinitions(record: CommitRecord): void {
    const { lsn, bytes } = record;
    for (const { table, subKeyEnd: start, end } of commitEntries(record)) {
      if (table !== reservedTables.catalog) continue;
      const definition = decodeDefinition({ bytes, start, end, lsn }, this.#in.decoder);
      this.#definitions.set(definition.id, definition);
    }
  }

  #commit(record: CommitRecord, timeline: number): ChangedCommit {
    const { decoder } = this.#in;
    const tables = this.#definitions;
    const decoding = { tables, decoder, provedLsn: record.lsn };
    const { unproved: _, ...decoded } = decodeCommit(record.lsn, record.bytes, decoding);
    const commit = { timeline, ...decoded };
    const view = this.#view;
    return view ? { ...commit, effects: view.apply(record, tables) } : commit;
  }
}

function aboveTheEnd(
  { timeline, lsn }: { readonly timeline: number; readonly lsn: number },
  lastLsn: number,
): ConflictError {
  return new ConflictError(
    'TIMELINE_LEFT',
    `LSN ${lsn} of timeline ${timeline} is above its last commit, ${lastLsn}: commits that were given are not in this store`,
    { timeline, lsn, forkLsn: lastLsn, current: timeline },
  );
}

function timelineLeft(
  before: { readonly timeline: number; readonly lsn: number },
  current: number,
  forkLsn: number | undefined,
): ConflictError {
  const { timeline, lsn } = before;
  const where = forkLsn === undefined ? 'at an LSN that is not known any more' : `at ${forkLsn}`;
  return new ConflictError(
    'TIMELINE_LEFT',
    `LSN ${lsn} of timeline ${timeline} is no past of timeline ${current}, which left it ${where}`,
    { timeline, lsn, forkLsn, current },
  );
}
