/*
 * Commits of the log in order, decoded: what `log` shows. The log is read as far back as it is kept,
 * below the newest checkpoint too. Segments may go away or be cut by an opening meanwhile; then the
 * walk is made again and reading goes on behind the last commit that was given (F2).
 */
import { decodeKey, type Key } from '../codec/key.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { decodeVersioned } from '../codec/value-version.ts';
import { CorruptionError, NotFoundError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import {
  decodeCommitEntry,
  decodeCommitHeader,
  emptyCommitEntry,
  type CommitEntry,
} from '../snapshot/commit-format.ts';
import { entryFlags, operatorIds, ops, reservedTables } from '../snapshot/entry-format.ts';
import { readManifest } from '../state/blob-manifest.ts';
import { decodeInt64 } from '../state/operand-changes.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import { shownVersion } from '../state/value-versions.ts';
import { readRecords } from '../wal/log-records.ts';
import { decodePatch } from '../snapshot/patch-decode.ts';
import { findKeptLog, type KeptLog } from './kept-log.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  agreementOf,
  logDirectoryOf,
  readInAgreement,
  readLogMoment,
  type LogMoment,
  type ReaderSource,
} from './reader-moment.ts';

/** What a change did. */
export type LoggedOp =
  | 'put'
  | 'delete'
  | 'add'
  | 'min'
  | 'max'
  | 'patch'
  | 'append'
  | 'clear'
  | 'clearAll';

/** One change of a commit. */
export interface LoggedChange {
  readonly operator: string;
  readonly state: string;
  readonly op: LoggedOp;
  /** Undefined for `clearAll`. */
  readonly key: Key | undefined;
  /** Sub-key of a map. */
  readonly subKey: Key | undefined;
  /**
   * The value that was put or appended; the number that was added to a counter, a bigint where it is
   * no safe integer; the number that a `min` or `max` was given; the patch of a value, null for a
   * field that it deletes, `PatchReplacement` for an object that takes the place of a field;
   * `{ bytes, chunks }` of a blob: its length and the digests of its chunks.
   */
  readonly value: unknown;
  /** Microseconds; undefined when it never expires. */
  readonly expiresAt: number | undefined;
  /** As the write, or its commit, gave it; microseconds. */
  readonly eventTime: number | undefined;
  /** Version that the value, or the patch, was written with; left out: 1. */
  readonly version?: number;
}

/** One commit of the log. */
export interface LoggedCommit {
  readonly lsn: number;
  /** Microseconds. */
  readonly timestamp: number;
  readonly metadata: unknown;
  /** Positions that the commit set; null: removed. Undefined: none. */
  readonly positions: Readonly<Record<string, unknown>> | undefined;
  readonly entries: readonly LoggedChange[];
  /** Above the LSN that is proved to be durable: a crash of the machine can still undo it. */
  readonly unproved: boolean;
}

/** Which commits. */
export interface CommitRange {
  /** First LSN wanted; 0 is the same as 1. @defaultValue the first that is kept */
  readonly from?: number;
  /** At most so many commits. @defaultValue all */
  readonly limit?: number;
}

/** What decoding a commit needs. */
export interface CommitDecoding {
  readonly tables: ReadonlyMap<number, TableDefinition>;
  readonly decoder: ValueDecoder;
  readonly provedLsn: number;
}

/** Records of the log from an LSN through that of the moment, as they stand there. */
export async function* readLoggedRecords(
  source: ReaderSource,
  moment: LogMoment,
  from: number | undefined,
): AsyncGenerator<{ lsn: number; bytes: Uint8Array }> {
  const agreement = agreementOf(source);
  // The first record is 1: asking from 0 asks for nothing more.
  let next = from === undefined ? undefined : Math.max(1, from);
  for (;;) {
    // Every segment that there is stays open until the end: what is collected meanwhile is read all
    // the same (F1).
    const files = new ReadOnlyFiles(source.fs, true);
    try {
      const log = await findKeptLogNow(source, files, moment);
      next ??= log.firstLsn;
      if (next < log.firstLsn) throw outOfRetention(next, log.firstLsn, moment.lsn);
      const first = log.ranges.findLastIndex((range) => range.firstLsn <= next!);
      const ranges = log.ranges.slice(Math.max(0, first));
      for await (const record of readRecords(files, ranges, next)) {
        if (record.lsn > moment.lsn) return;
        yield record;
        next = record.lsn + 1;
        agreement.succeeded();
      }
      return;
    } catch (error) {
      await agreement.failed(error);
    } finally {
      await files.close();
    }
  }
}

/** Decodes the record of a commit. */
export function decodeCommit(
  lsn: number,
  bytes: Uint8Array,
  decoding: CommitDecoding,
): LoggedCommit {
  const { decoder, provedLsn } = decoding;
  const header = decodeCommitHeader(bytes, 0, bytes.length);
  const { entryCount, timestamp, metadataStart, metadataEnd } = header;
  const metadata =
    metadataEnd > metadataStart ? decoder.decode(bytes, metadataStart, metadataEnd) : undefined;
  const entry = emptyCommitEntry();
  const entries: LoggedChange[] = [];
  const positions: [string, unknown][] = [];
  let at = metadataEnd;
  for (let i = 0; i < entryCount; i++) {
    decodeCommitEntry(bytes, at, bytes.length, entry);
    at = entry.end;
    if (entry.table === reservedTables.positions) {
      const source = String(decodeKey(bytes, entry.keyStart, entry.keyEnd));
      const gone = entry.op === ops.delete;
      positions.push([source, gone ? null : decoder.decode(bytes, entry.subKeyEnd, entry.end)]);
    } else if (entry.table !== reservedTables.catalog && entry.table !== reservedTables.chunks) {
      entries.push(decodeChange(bytes, entry, decoding));
    }
  }
  if (at !== bytes.length) {
    throw new CorruptionError('CORRUPT_FRAME', 'commit record goes on behind its entries', { lsn });
  }
  return {
    lsn,
    timestamp,
    metadata,
    positions: positions.length === 0 ? undefined : Object.fromEntries(positions),
    entries,
    unproved: lsn > provedLsn,
  };
}

function decodeChange(
  bytes: Uint8Array,
  entry: CommitEntry,
  { tables, decoder }: CommitDecoding,
): LoggedChange {
  const definition = tables.get(entry.table);
  const { keyStart, keyEnd, subKeyEnd, op, flags, expiry, eventTime } = entry;
  const isMap = definition?.kind === 'map';
  const hasSubKey = isMap && (flags & entryFlags.subKey) !== 0;
  return {
    operator: definition?.operator ?? '',
    state: definition?.state ?? `table ${entry.table}`,
    op: nameOfOp(op, entry.operator, definition),
    key: keyEnd > keyStart ? decodeKey(bytes, keyStart, keyEnd) : undefined,
    subKey: hasSubKey ? decodeKey(bytes, keyEnd, subKeyEnd) : undefined,
    value: decodeChanged(bytes, entry, definition, decoder),
    expiresAt: expiry === 0 ? undefined : expiry,
    eventTime: eventTime === 0 ? undefined : eventTime,
    ...shownVersion(definition, { bytes, subKeyEnd, valueEnd: entry.end }),
  };
}

function nameOfOp(op: number, operator: number, definition: TableDefinition | undefined): LoggedOp {
  if (op === ops.delete) return 'delete';
  if (op === ops.merge) {
    if (operator === operatorIds.min) return 'min';
    if (operator === operatorIds.max) return 'max';
    return operator === operatorIds.patch ? 'patch' : 'add';
  }
  if (op === ops.clearKey) return 'clear';
  if (op === ops.clearTable) return 'clearAll';
  return definition?.kind === 'list' ? 'append' : 'put';
}

function decodeChanged(
  bytes: Uint8Array,
  entry: CommitEntry,
  definition: TableDefinition | undefined,
  decoder: ValueDecoder,
): unknown {
  const { subKeyEnd: start, end } = entry;
  if (entry.op !== ops.put && entry.op !== ops.merge) return undefined;
  if (entry.operator === operatorIds.add || definition?.kind === 'counter') {
    const amount = decodeInt64(bytes, start, end);
    return Number.isSafeInteger(Number(amount)) ? Number(amount) : amount;
  }
  if (entry.op === ops.merge && entry.operator === operatorIds.patch) {
    return decodePatch({ bytes, start, end }, decoder);
  }
  if (definition?.kind === 'blob') return readManifest(bytes, start, end);
  if (!definition) return bytes.slice(start, end);
  return decodeVersioned(decoder, bytes, start, end);
}

/** Walks the log as it is now: where the directory has changed, the moment's ranges are not there. */
async function findKeptLogNow(
  source: ReaderSource,
  fs: FileSystem,
  moment: LogMoment,
): Promise<KeptLog> {
  const now = await readInAgreement(source, () =>
    readLogMoment(source, source.fs, moment.identity, { timeline: moment.ancestry.timeline }),
  );
  return findKeptLog(fs, logDirectoryOf(source), now);
}

export function outOfRetention(from: number, firstLsn: number, lastLsn: number): NotFoundError {
  return new NotFoundError(
    'OUT_OF_RETENTION',
    `log starts at LSN ${firstLsn}, ${from} is no longer kept: it holds ${firstLsn} to ${lastLsn}`,
    { from, firstLsn, lastLsn },
  );
}
