/*
 * Where the history of a key starts: one reading of records and log (F1, F2) that says which
 * checkpoints are below the log that is kept, and from where every commit is known; and what one
 * checkpoint holds of a key.
 *
 * Every segment of the reading stays open until the history ends, so what is collected meanwhile is
 * read all the same.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { retainedRange } from '../checkpoint/retention/retained-range.ts';
import { mapKeyOf } from '../codec/key.ts';
import type { Key } from '../codec/key.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { NotFoundError } from '../errors.ts';
import type { Entry } from '../snapshot/entry.ts';
import { copyEntry } from './key-fold.ts';
import { findKeptLog, type KeptLog } from './kept-log.ts';
import { usableRecords } from './moment-at.ts';
import { mergeTable, readPositions } from './moment-tables.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  logDirectoryOf,
  readInAgreement,
  readLogMoment,
  readStoreTimelines,
  type LogMoment,
  type ReaderSource,
} from './reader-moment.ts';
import { readStoreIdentity } from './reader-moment.ts';
import { readStateMoment, releaseMoment } from './state-moment.ts';

/** A key of a table, or one sub-key of it. */
export interface HistoryKey {
  readonly table: number;
  readonly key: Key;
  readonly subKey: Key | undefined;
}

/** What a checkpoint holds of a key. */
export interface KeyAtCheckpoint {
  readonly record: CheckpointRecord;
  /** Live ones, in order, with bytes of their own. */
  readonly entries: readonly Entry[];
  readonly positions: Readonly<Record<string, unknown>>;
}

/** From where a history goes. */
export interface HistoryStart {
  readonly moment: LogMoment;
  /** Checkpoints before the start, oldest first, one of each LSN. */
  readonly older: readonly CheckpointRecord[];
  /** The checkpoint from which every commit is known; undefined: all of the log is there. */
  readonly start: KeyAtCheckpoint | undefined;
  /** The log behind it; undefined: no commit is known by itself. */
  readonly log: KeptLog | undefined;
  readonly files: ReadOnlyFiles;
}

/** Reads where the history of a key starts that ends at an LSN; the caller closes the files. */
export function findHistoryStart(
  source: ReaderSource,
  decoder: ValueDecoder,
  {
    key,
    throughLsn,
    timeline,
  }: {
    readonly key: HistoryKey;
    readonly throughLsn: number;
    readonly timeline: number | undefined;
  },
): Promise<HistoryStart> {
  return readInAgreement(source, async () => {
    const files = new ReadOnlyFiles(source.fs, true);
    try {
      const identity = await readStoreIdentity(source);
      const timelines = await readStoreTimelines(source, identity);
      const ancestry = timelines.chosen(timeline);
      const { records } = await usableRecords(source, identity, ancestry);
      const moment = await readLogMoment(source, files, identity, { timelines, timeline });
      const log = await findKeptLog(files, logDirectoryOf(source), moment);
      files.stopPinning();
      const { fromLsn } = retainedRange(records, log.firstLsn);
      const known = oneOfEachLsn(records.filter(({ lsn }) => lsn <= throughLsn));
      if (fromLsn === undefined || fromLsn > throughLsn) {
        return { moment, older: known, start: undefined, log: undefined, files };
      }
      const record = known.find(({ lsn }) => lsn === fromLsn);
      const older = known.filter(({ lsn }) => lsn < fromLsn);
      const start = record && (await readAtCheckpoint(source, decoder, { record, key }));
      return { moment, older, start, log, files };
    } catch (error) {
      await files.close();
      throw error;
    }
  });
}

function oneOfEachLsn(records: readonly CheckpointRecord[]): CheckpointRecord[] {
  return [...new Map(records.map((record) => [record.lsn, record])).values()];
}

/** Reads what a checkpoint holds of a key. */
export async function readAtCheckpoint(
  source: ReaderSource,
  decoder: ValueDecoder,
  { record, key }: { readonly record: CheckpointRecord; readonly key: HistoryKey },
): Promise<KeyAtCheckpoint> {
  const { id: number, timeline } = record;
  const target = { kind: 'checkpoint', number, name: '', inclusive: true, timeline } as const;
  const moment = await readStateMoment(source, target);
  try {
    const entries: Entry[] = [];
    const { layers, now } = moment;
    if (key.subKey === undefined) {
      const merged = mergeTable(moment, { id: key.table, itemsMax: undefined }, key.key);
      while (merged.next()) entries.push(copyEntry(merged));
    } else {
      const found = layers.find(key.table, mapKeyOf(key.key), mapKeyOf(key.subKey), now);
      if (found) entries.push(copyEntry(found));
    }
    return { record, entries, positions: readPositions(moment, decoder) };
  } finally {
    await releaseMoment(moment);
  }
}

/** As {@link readAtCheckpoint}; undefined when the checkpoint has been collected since. */
export async function readIfThere(
  source: ReaderSource,
  decoder: ValueDecoder,
  what: { readonly record: CheckpointRecord; readonly key: HistoryKey },
): Promise<KeyAtCheckpoint | undefined> {
  try {
    return await readAtCheckpoint(source, decoder, what);
  } catch (error) {
    if (error instanceof NotFoundError && error.code === 'CHECKPOINT_NOT_FOUND') return undefined;
    throw error;
  }
}
