/*
 * Turns a range of the log into a sorted run: the first step of every delta and of every replay.
 * The range is read whole and validated group by group (header, body CRC, LSNs, chain value): it is
 * below the durable LSN, so whatever does not hold is corruption, never a torn tail (L7, C1).
 * Memory: the bytes of the range and about 30 bytes an entry. Where groups are compressed, the stored
 * bytes and those of the frames; a segment has room for all its frames as they were (log-output.ts).
 */
import { hashBytes, type HashSeed } from '../codec/hash.ts';
import { CorruptionError, TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import {
  decodeGroupHeader,
  frameBytesMost,
  groupBytes,
  visitRecords,
  type GroupHeader,
} from '../wal/group-format.ts';
import type { LogRange } from '../wal/log-position.ts';
import { GroupScanner, readFileRange } from '../wal/segment-scan.ts';
import { decodeCommitEntry, decodeCommitHeader, emptyCommitEntry } from './commit-format.ts';
import { groupStart } from './entry.ts';
import { ops } from './entry-format.ts';
import { compareLogEntries, LogRunCursor, type LogRunColumns } from './log-run-cursor.ts';
import { sortEntries } from './log-sort.ts';
import type { RunCursor } from './run-cursor.ts';
import type { Turns } from './task-context.ts';

/** Whole groups of one segment, of which commits above an LSN may be left out. */
export interface RunLogRange extends LogRange {
  /** Last LSN that counts; groups go on behind it where a timeline forked off (T1). */
  readonly throughLsn?: number;
}

/** How records become entries. */
export interface LogRunOptions {
  /** Memory for what is read of the log, of which entries are read in place. @defaultValue the heap */
  readonly allocate?: (bytes: number) => Uint8Array;
  readonly seed: HashSeed;
  readonly groupBits: number;
  /** Commits at or below it are left out. */
  readonly afterLsn: number;
  /** Commits above it are left out. */
  readonly throughLsn: number;
}

/** The commits of a range, as a sorted run. */
export interface LogRun {
  /** Unread; there is one only. */
  readonly cursor: RunCursor;
  /** What the cursor reads. */
  readonly columns: LogRunColumns;
  readonly commitCount: number;
  readonly entryCount: number;
  /** About what the entries take in slices. */
  readonly dataBytes: number;
  /** Of the first and the last commit that counts; 0 when there is none. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** Of the last commit that counts; 0 when there is none. */
  readonly lastTimestamp: number;
}

/** Reads a range of the log and sorts its entries. */
export async function readLogRun(
  fs: FileSystem,
  range: RunLogRange,
  options: LogRunOptions,
  turns: Turns,
): Promise<LogRun> {
  const { allocate } = options;
  const bytes = await readFileRange(fs, range.path, range.start, range.end, allocate);
  const from = { offset: range.start, lsn: range.firstLsn - 1, chain: range.chain };
  const scanner = new GroupScanner(bytes, range.start, range.salt, from);
  const frames = roomForFrames(bytes, range, allocate) ?? bytes;
  const columns = new LogColumns(frames, range, options);
  let framesEnd = 0;
  while (scanner.border.offset < range.end) {
    const { offset, lsn } = scanner.border;
    const group = scanner.next();
    const fault = scanner.border.offset > range.end ? 'passes the end of its range' : scanner.fault;
    if (!group || fault !== undefined) throw badGroup(range, offset, lsn + 1, fault);
    let { start } = scanner.body;
    if (frames !== bytes) {
      const { body } = scanner;
      frames.set(body.bytes.subarray(body.start, body.end), framesEnd);
      start = framesEnd;
      framesEnd += group.frameBytes;
    }
    columns.addGroup(group, start, offset);
    if (turns.spend(group.frameBytes)) await turns.pause();
  }
  return columns.sort(turns);
}

/** A segment, and one commit that is larger than a segment. */
const rangeFrameBytesMost = 2 * frameBytesMost;

/** Room for the frames of all groups, if any is compressed; headers that are bad end the count. */
function roomForFrames(
  bytes: Uint8Array,
  range: RunLogRange,
  allocate: LogRunOptions['allocate'] = (size) => new Uint8Array(size),
): Uint8Array | undefined {
  let frameBytes = 0;
  let compressed = false;
  for (let at = 0; at < bytes.length;) {
    const header = decodeGroupHeader(bytes, at, range.salt, range.start + at);
    // The scanner comes to the same place, and says what is wrong there.
    if (typeof header === 'string') break;
    frameBytes += header.frameBytes;
    if (frameBytes > rangeFrameBytesMost) {
      const why = 'brings the frames of its segment above what one can hold';
      throw badGroup(range, range.start + at, header.firstLsn, why);
    }
    compressed ||= header.codec !== 0;
    at += groupBytes(header.bodyBytes);
  }
  return compressed ? allocate(frameBytes) : undefined;
}

function badGroup(
  range: RunLogRange,
  offset: number,
  lsn: number,
  why = 'is missing',
  cause?: unknown,
): CorruptionError {
  const { path } = range;
  const message = `log group ${why}: ${path} at ${offset}, LSN ${lsn}`;
  return new CorruptionError('CORRUPT_FRAME', message, { path, offset, lsn }, cause);
}

/** Entries of a range in log order. */
class LogColumns {
  readonly #tableClears = new Map<number, { readonly at: number; readonly record: number }>();
  readonly #bytes: Uint8Array;
  readonly #range: RunLogRange;
  readonly #options: LogRunOptions;
  readonly #throughLsn: number;
  readonly #entry = emptyCommitEntry();
  /** Tables in order of appearance, and the place of each. */
  readonly #tablePlaces = new Map<number, number>();
  #timestamps = new Float64Array(1024);
  #recordCount = 0;
  #firstLsn = 0;
  #offsets = new Uint32Array(1024);
  #hashes = new Uint32Array(1024);
  #tables = new Uint32Array(1024);
  #records = new Uint32Array(1024);
  #length = 0;

  constructor(bytes: Uint8Array, range: RunLogRange, options: LogRunOptions) {
    this.#bytes = bytes;
    this.#range = range;
    this.#options = options;
    this.#throughLsn = Math.min(range.throughLsn ?? options.throughLsn, options.throughLsn);
  }

  addGroup(group: GroupHeader, bodyStart: number, offset: number): void {
    const bodyEnd = bodyStart + group.frameBytes;
    let current = group.firstLsn;
    try {
      visitRecords(this.#bytes, bodyStart, bodyEnd, group.firstLsn, (lsn, start, end) => {
        current = lsn;
        if (lsn > this.#options.afterLsn && lsn <= this.#throughLsn) this.#add(lsn, start, end);
      });
    } catch (error) {
      // Where in the file it is, the decoders of records do not know.
      if (!(error instanceof TidemarkError) || error.code !== 'CORRUPT_FRAME') throw error;
      throw badGroup(this.#range, offset, current, `has a bad body: ${error.message}`, error);
    }
  }

  #add(lsn: number, start: number, end: number): void {
    const bytes = this.#bytes;
    const { seed } = this.#options;
    const header = decodeCommitHeader(bytes, start, end);
    const record = this.#recordCount;
    if (record === 0) this.#firstLsn = lsn;
    if (record === this.#timestamps.length) {
      const grown = new Float64Array(record * 2);
      grown.set(this.#timestamps);
      this.#timestamps = grown;
    }
    this.#recordCount = record + 1;
    this.#timestamps[record] = header.timestamp;
    const entry = this.#entry;
    let at = header.metadataEnd;
    for (let i = 0; i < header.entryCount; i++) {
      decodeCommitEntry(bytes, at, end, entry);
      const place = this.#placeOf(entry.table);
      if (entry.op === ops.clearTable) this.#tableClears.set(place, { at, record });
      else this.#push(at, hashBytes(bytes, entry.keyStart, entry.keyEnd, seed), place, record);
      at = entry.end;
    }
    if (at !== end) {
      throw new CorruptionError('CORRUPT_FRAME', 'commit record goes on behind its entries');
    }
  }

  /** One entry a key group for each clear of a table: the newest in the range, which kills the others. */
  #pushTableClears(): void {
    const { groupBits } = this.#options;
    for (const [place, { at, record }] of this.#tableClears) {
      for (let group = 0; group < 2 ** groupBits; group++) {
        this.#push(at, groupStart(group, groupBits), place, record);
      }
    }
  }

  #push(offset: number, hash: number, table: number, record: number): void {
    const index = this.#length;
    if (index === this.#offsets.length) this.#grow();
    this.#offsets[index] = offset;
    this.#hashes[index] = hash;
    this.#tables[index] = table;
    this.#records[index] = record;
    this.#length = index + 1;
  }

  #grow(): void {
    this.#offsets = doubled(this.#offsets);
    this.#hashes = doubled(this.#hashes);
    this.#tables = doubled(this.#tables);
    this.#records = doubled(this.#records);
  }

  #placeOf(table: number): number {
    const known = this.#tablePlaces.get(table);
    if (known !== undefined) return known;
    const place = this.#tablePlaces.size;
    this.#tablePlaces.set(table, place);
    return place;
  }

  async sort(turns: Turns): Promise<LogRun> {
    this.#pushTableClears();
    const bytes = this.#bytes;
    const length = this.#length;
    const offsets = this.#offsets.subarray(0, length);
    const records = this.#records.subarray(0, length);
    const columns = {
      hashes: this.#hashes.subarray(0, length),
      tables: this.#sortedTables(),
      tableCount: this.#tablePlaces.size,
      compare: (a: number, b: number) => compareLogEntries(bytes, offsets[a]!, offsets[b]!),
    };
    const { order, hashes } = await sortEntries(columns, turns);
    const timestamps = this.#timestamps.subarray(0, this.#recordCount);
    const firstLsn = this.#firstLsn;
    const commitCount = this.#recordCount;
    const run = {
      bytes,
      hashes,
      offsets: gather(offsets, order),
      records: gather(records, order),
      firstLsn,
      timestamps,
    };
    return {
      cursor: new LogRunCursor(run),
      columns: run,
      commitCount,
      entryCount: length,
      // An entry of a slice has a header 16 bytes longer.
      dataBytes: bytes.length + length * 16,
      firstLsn,
      lastLsn: commitCount === 0 ? 0 : firstLsn + commitCount - 1,
      lastTimestamp: timestamps.at(-1) ?? 0,
    };
  }

  /** Replaces places in order of appearance by places in order of table. */
  #sortedTables(): Uint32Array {
    const tables = this.#tables.subarray(0, this.#length);
    const ids = [...this.#tablePlaces.keys()];
    const sorted = ids.toSorted((a, b) => a - b);
    const ranks = Uint32Array.from(ids, (id) => sorted.indexOf(id));
    for (let i = 0; i < tables.length; i++) tables[i] = ranks[tables[i]!]!;
    return tables;
  }
}

function gather(column: Uint32Array, order: Uint32Array): Uint32Array {
  const sorted = new Uint32Array(order.length);
  for (let i = 0; i < order.length; i++) sorted[i] = column[order[i]!]!;
  return sorted;
}

function doubled(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(column.length * 2);
  grown.set(column);
  return grown;
}
