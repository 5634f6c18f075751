/*
 * The log, checked from the low-water record on. Level `none`: that segments are there, of this store,
 * and continue each other; `basic`: also the newest one to its end, as an opening does; `standard`:
 * every group of every segment on the walk, chain values, seal marks, and that each checkpoint record's
 * position is a border of the log; `full`: also that what sound groups hold is commits. A segment that is damaged is read up to the damage; the next one
 * starts from its own header, so one damage is one fault.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { CorruptionError, TidemarkError } from '../errors.ts';
import {
  groupHeaderBytes,
  groupKinds,
  visitRecords,
  type GroupHeader,
} from '../wal/group-format.ts';
import { ownerOf, partOf, type Ancestry } from '../wal/ancestry.ts';
import { formatChain, sameChain } from '../wal/chain-value.ts';
import {
  listLog,
  openSegmentFile,
  type LogListing,
  type SegmentFile,
} from '../wal/log-directory.ts';
import { encodeMark } from '../wal/marks.ts';
import { logMarkName, readLogMark, type LogMark } from '../wal/log-mark.ts';
import { readLowWater, type LowWater } from '../wal/low-water.ts';
import { parseSegmentName, segmentHeaderBytes, segmentName } from '../wal/segment-format.ts';
import { must } from '../std/assert.ts';
import { GroupScanner, readFileRange, scanSegment, type Border } from '../wal/segment-scan.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { beginningFault } from './log-beginning.ts';
import { commitFault } from './verify-commit.ts';
import { fault, type PartReport, type StoreFault } from './verify-report.ts';
import { reaches, type VerifyTools } from './verify-tools.ts';

/** Bytes of a damaged mark that may differ while it still counts as a mark. */
const markBytesDiffer = 8;

/** What checking the log gave. */
export interface LogReport extends PartReport {
  segmentCount: number;
  groupCount: number;
  recordCount: number;
  logBytes: number;
  lsn: number | undefined;
  provedLsn: number | undefined;
  trimmedBelow: number | undefined;
}

/** Of a log that was not looked at. */
export function emptyLogReport(): LogReport {
  return {
    faults: [],
    notes: [],
    segmentCount: 0,
    groupCount: 0,
    recordCount: 0,
    logBytes: 0,
    lsn: undefined,
    provedLsn: undefined,
    trimmedBelow: undefined,
  };
}

export interface LogToVerify {
  readonly tools: VerifyTools;
  /** Records are commits of an engine. */
  readonly ofEngine: boolean;
  readonly fs: FileSystem;
  readonly directory: string;
  /** Holds the mark of the log. */
  readonly storeDirectory: string;
  readonly storeId: Uint8Array;
  /** Whether what was before the log's beginning is in a checkpoint, or needs not be. */
  readonly hasBeginning: boolean;
  /** Of the timeline whose log it is. */
  readonly ancestry: Ancestry;
  /** Of segments that have been checked, by name, up to which offset; filled in. */
  readonly checked: Map<string, number>;
  /** Records of that timeline that are sound, oldest first: their positions must be in the log. */
  readonly records: readonly { readonly path: string; readonly record: CheckpointRecord }[];
}

/** Finds all faults of a log. */
export async function verifyLog(input: LogToVerify): Promise<LogReport> {
  return new LogCheck(input).run();
}

/** A segment on the walk, and the one that continues it; undefined: nothing says where it ends. */
interface WalkedSegment {
  readonly file: SegmentFile;
  readonly newer: SegmentFile | undefined;
}

class LogCheck {
  readonly #in: LogToVerify;
  readonly #report: LogReport = emptyLogReport();

  /** Of the commit that was checked last, microseconds. */
  #lastTimestamp = 0;

  constructor(input: LogToVerify) {
    this.#in = input;
  }

  async run(): Promise<LogReport> {
    const { fs, directory, storeDirectory, storeId, tools } = this.#in;
    const { level } = tools;
    // Before the segments, as an opening does.
    const mark = await this.#try(() => readLogMark(fs, storeDirectory, storeId));
    const lowWater = await this.#try(() => readLowWater(fs, directory));
    const listing = await this.#try(() => this.#list(lowWater));
    if (!listing) return this.#report;
    this.#report.trimmedBelow = lowWater?.lsn;
    if (listing.fork) {
      // The log of the timeline before it, which is checked as that.
      this.#report.lsn = this.#report.provedLsn = listing.fork.lsn;
      return this.#report;
    }
    const beginning = beginningFault(lowWater, this.#in.hasBeginning);
    if (beginning !== undefined && this.#isCurrent) this.#fault(directory, beginning, { lsn: 1 });
    const walk = await this.#walk(listing, lowWater, mark);
    for (const { file, newer } of walk) {
      const isNewest = file.name === listing.segments.at(-1)?.name;
      const check = (): Promise<void> =>
        newer ? this.#checkSealed(file, newer) : this.#checkOpen(file, isNewest);
      const known = this.#in.checked.get(file.name);
      if (known === undefined) this.#report.segmentCount++;
      this.#in.checked.set(file.name, known ?? 0);
      if (!reaches(level, newer ? 'standard' : 'basic')) continue;
      if (newer && newer.header.predecessor!.end <= (known ?? 0)) continue;
      // A codec that is not here ends the check of its segment.
      await this.#try(check, file.path);
    }
    if (!this.#isCurrent) return this.#report;
    this.#checkNewestRecord(listing, walk);
    if (mark) this.#checkMark(mark, walk, lowWater);
    return this.#report;
  }

  get #isCurrent(): boolean {
    const { timeline, newest } = this.#in.ancestry;
    return timeline === newest;
  }

  /** Segments that can be of the timeline; of one that was left, what a collection has begun to take is gone. */
  async #list(lowWater: LowWater | undefined): Promise<LogListing> {
    const { fs, directory, ancestry } = this.#in;
    const listing = await listLog(fs, directory, ancestry);
    if (this.#isCurrent) return listing;
    const first = lowWater?.segment ?? 0;
    return { ...listing, segments: listing.segments.filter(({ number }) => number >= first) };
  }

  /**
   * Segments of the log, oldest first. Where one is missing or its header is damaged, the walk goes
   * on with the newest one before it, whose end is then not known.
   */
  async #walk(
    listing: LogListing,
    lowWater: LowWater | undefined,
    mark: LogMark | undefined,
  ): Promise<WalkedSegment[]> {
    const { fs, directory } = this.#in;
    const newestBelow = (number: number): string | undefined =>
      listing.segments.findLast((other) => other.number < number)?.name;
    const walked: WalkedSegment[] = [];
    let newer: SegmentFile | undefined;
    let name = newestBelow(Number.POSITIVE_INFINITY);
    while (name !== undefined) {
      const current = name;
      const { number } = must(parseSegmentName(current), 'a listed segment has a name');
      const file = await this.#try(() => openSegmentFile(fs, directory, current));
      if (!file || !this.#continues(file, newer)) {
        newer = undefined;
        name = number <= (lowWater?.segment ?? 1) ? undefined : newestBelow(number);
        continue;
      }
      walked.push({ file, newer });
      newer = file;
      if (this.#in.checked.has(file.name)) break;
      const { predecessor } = file.header;
      if (number <= (lowWater?.segment ?? 0)) break;
      if (!predecessor) {
        this.#checkFirst(file, lowWater, mark);
        break;
      }
      name = segmentName(predecessor.number, predecessor.timeline);
      if (listing.segments.some((other) => other.name === name)) continue;
      const what = `segment is missing, ${file.name} continues it`;
      this.#fault(`${directory}/${name}`, what, { lsn: predecessor.lastLsn });
      newer = undefined;
      name = newestBelow(predecessor.number);
    }
    return walked.toReversed();
  }

  /** The log has to hold the position of the newest record, or to go on right behind it. */
  #checkNewestRecord(listing: LogListing, walk: readonly WalkedSegment[]): void {
    const newest = this.#in.records.at(-1);
    if (!newest || this.#report.faults.length > 0) return;
    const { position, lsn } = newest.record;
    const first = walk.at(0)?.file.header;
    if (walk.some(({ file }) => file.header.number === position.segment)) return;
    if (first && !first.predecessor && first.firstLsn === lsn + 1) return;
    const last = listing.segments.at(-1);
    if (!last || last.number < position.segment) this.#endsBefore(newest);
    else this.#fault(newest.path, 'position is not in the log', { offset: 0, lsn });
  }

  /** What the mark says that segments cannot: that there was a log, and where one was lost (L7). */
  #checkMark(
    { lostBehind }: LogMark,
    walk: readonly WalkedSegment[],
    lowWater: LowWater | undefined,
  ): void {
    const { directory, storeDirectory, records } = this.#in;
    const first = walk.at(0)?.file.header.firstLsn;
    const untold = first === undefined && records.length === 0 && this.#report.faults.length === 0;
    if (untold) this.#fault(directory, 'log has had a segment and has none', { lsn: 1 });
    const path = `${storeDirectory}/${logMarkName}`;
    for (const lsn of lostBehind) {
      const what = `log was found to end before LSN ${lsn}: commits behind it may be lost`;
      const found = fault(path, what, { offset: 0, lsn: lsn + 1 });
      // Behind the kept log nothing can be checked; and a lost log may have been put back.
      const isPast = (lowWater?.lsn ?? 1) > lsn || (first !== undefined && first <= lsn);
      (isPast ? this.#report.notes : this.#report.faults).push(found);
    }
  }

  /** A log starts at LSN 1, at the low-water record, or where the mark says that one was lost. */
  #checkFirst(
    { path, header }: SegmentFile,
    lowWater: LowWater | undefined,
    mark: LogMark | undefined,
  ): void {
    const { firstLsn } = header;
    if (firstLsn === (lowWater?.lsn ?? 1)) return;
    if (mark?.lostBehind.includes(firstLsn - 1)) return;
    // A timeline that began at a checkpoint, behind which no log was kept.
    const begun = partOf(this.#in.ancestry, header.timeline)?.fork;
    if (begun?.position.segment === 0 && begun.lsn === firstLsn - 1) return;
    this.#fault(path, `log starts at LSN ${firstLsn} where ${lowWater?.lsn ?? 1} is due`, {
      offset: 0,
      lsn: firstLsn,
    });
  }

  #continues(file: SegmentFile, newer: SegmentFile | undefined): boolean {
    const { path, header, fileBytes } = file;
    const { ancestry, storeId } = this.#in;
    if (Buffer.compare(header.storeId, ownerOf(ancestry, header.timeline, storeId)) !== 0) {
      this.#fault(path, 'segment is of another store', { offset: 8 });
      return false;
    }
    if (!newer) return true;
    const predecessor = newer.header.predecessor!;
    const fits =
      newer.header.firstLsn === predecessor.lastLsn + 1 &&
      header.firstLsn <= newer.header.firstLsn &&
      header.number < newer.header.number &&
      header.epoch <= newer.header.epoch;
    if (!fits) {
      const what = `segment does not continue ${file.name}`;
      this.#fault(newer.path, what, { offset: 0, lsn: newer.header.firstLsn });
      return false;
    }
    if (fileBytes >= predecessor.end) return true;
    const what = `segment is cut short: ${fileBytes} bytes where ${predecessor.end} are due`;
    this.#fault(path, what, { offset: fileBytes });
    return true;
  }

  /** All groups up to where the successor says that the segment ends, then the seal mark. */
  async #checkSealed(file: SegmentFile, next: SegmentFile): Promise<void> {
    const { path, header, fileBytes } = file;
    const { end, lastLsn } = next.header.predecessor!;
    if (fileBytes < end) return;
    const bytes = await this.#read(path, end + groupHeaderBytes);
    if (!bytes) return;
    const scanner = new GroupScanner(bytes.subarray(0, end), 0, header.salt, startOf(file));
    const borders = await this.#scan(file, scanner, end);
    const { offset, lsn, chain } = scanner.border;
    this.#countBytes(file, offset);
    if (scanner.fault !== undefined) {
      this.#fault(path, `group ${scanner.fault}`, { offset, lsn: lsn + 1 });
      return;
    }
    this.#checkPositions(file, borders, lsn);
    if (lsn !== lastLsn || !sameChain(chain, next.header.chain)) {
      const what =
        `ends at LSN ${lsn}, chain value ${formatChain(chain)}, where ${next.name} continues ` +
        `LSN ${lastLsn}, chain value ${formatChain(next.header.chain)}`;
      this.#fault(path, what, { offset, lsn });
      return;
    }
    // Where another timeline begins, this one's own groups go on.
    if (next.header.timeline !== header.timeline) return;
    this.#checkSeal(path, bytes, encodeMark('seal', header.salt, scanner.border, lsn), end);
  }

  /** A missing mark means nothing (L5), nor do bytes of an opening that ended before it. */
  #checkSeal(path: string, bytes: Uint8Array, mark: Uint8Array, end: number): void {
    const found = bytes.subarray(end);
    let differ = 0;
    let first = -1;
    for (let i = 0; i < mark.length; i++) {
      if (found[i] === mark[i]) continue;
      differ++;
      if (first < 0) first = i;
    }
    if (differ === 0 || differ > markBytesDiffer) return;
    this.#fault(path, 'seal mark is damaged', { offset: end + first });
  }

  /** A segment whose end nothing else says: the newest, or one before a gap. */
  async #checkOpen(file: SegmentFile, isNewest: boolean): Promise<void> {
    const { path, header, fileBytes } = file;
    const bytes = await this.#read(path);
    if (!bytes) return;
    const start = startOf(file);
    const content = bytes.subarray(start.offset);
    const scan = scanSegment(content, start.offset, header.salt, start, header.firstLsn - 1);
    const scanner = new GroupScanner(bytes, 0, header.salt, start);
    const borders = await this.#scan(file, scanner, scan.end.offset);
    this.#countBytes(file, scan.end.offset);
    const { offset, lsn } = scan.end;
    this.#checkPositions(file, borders, lsn);
    const recordLsn = isNewest ? (this.#in.records.at(-1)?.record.lsn ?? 0) : 0;
    const proved = Math.max(scan.proved, recordLsn);
    const place = { offset, lsn: lsn + 1 };
    if (isNewest) {
      this.#report.lsn = Math.max(lsn, recordLsn);
      this.#report.provedLsn = Math.min(proved, this.#report.lsn);
    }
    if (isNewest && scan.sealed) {
      this.#fault(path, 'segment is sealed, and its successor is missing', place);
    } else if (isNewest && fileBytes < header.size) {
      const what = `segment is cut short: ${fileBytes} bytes where ${header.size} are due`;
      this.#fault(path, what, { offset: fileBytes });
    } else if (scan.damage && proved > lsn) {
      this.#fault(path, `${scan.damage.why}, at or below the proved LSN ${proved}`, place);
    } else if (isNewest && scan.damage) {
      const what = `torn tail: ${scan.damage.why}, above the proved LSN ${proved}`;
      this.#report.notes.push(fault(path, what, place));
    } else if (recordLsn > lsn) {
      this.#endsBefore(must(this.#in.records.at(-1), 'there is a record'));
    }
  }

  /** Moves over all groups up to an offset; the borders that it passed. */
  async #scan({ path, name }: SegmentFile, scanner: GroupScanner, end: number): Promise<Border[]> {
    const { turns, level } = this.#in.tools;
    const known = this.#in.checked.get(name) ?? 0;
    const borders = [scanner.border];
    while (scanner.border.offset < end) {
      const { offset } = scanner.border;
      const group = scanner.next();
      if (!group) break;
      borders.push(scanner.border);
      if (turns.spend(scanner.border.offset - offset)) await turns.pause();
      if (group.kind !== groupKinds.frames || offset < known) continue;
      this.#report.groupCount++;
      this.#report.recordCount += group.recordCount;
      if (level === 'full' && this.#in.ofEngine) this.#checkCommits(path, offset, scanner, group);
    }
    return borders;
  }

  /** Bytes that no other walk has counted. */
  #countBytes({ name }: SegmentFile, offset: number): void {
    const known = this.#in.checked.get(name) ?? 0;
    this.#report.logBytes += Math.max(0, offset - known);
    this.#in.checked.set(name, Math.max(offset, known));
  }

  /** What a sound group holds has to be commits. */
  #checkCommits(path: string, offset: number, { body }: GroupScanner, group: GroupHeader): void {
    const { bytes, start, end } = body;
    visitRecords(bytes, start, end, group.firstLsn, (lsn, recordStart, recordEnd) => {
      const record = bytes.subarray(recordStart, recordEnd);
      const found = commitFault(record, this.#lastTimestamp);
      if (typeof found === 'number') this.#lastTimestamp = found;
      else this.#fault(path, found, { offset, lsn });
    });
  }

  /** Records whose position is in this segment name one of its borders. */
  #checkPositions(file: SegmentFile, borders: readonly Border[], lastLsn: number): void {
    for (const { path, record } of this.#in.records) {
      const { position } = record;
      if (position.segment !== file.header.number || position.lsn > lastLsn) continue;
      const agrees = borders.some(
        ({ offset, lsn, chain }) =>
          offset === position.offset && lsn === position.lsn && sameChain(chain, position.chain),
      );
      if (agrees) continue;
      const what = `position is not in the log: ${file.name} at ${position.offset}`;
      this.#fault(path, what, { offset: 0, lsn: position.lsn });
    }
  }

  #endsBefore({ path, record }: { path: string; record: CheckpointRecord }): void {
    const what = `log ends before the LSN of the checkpoint, ${record.lsn}`;
    this.#fault(path, what, { offset: 0, lsn: record.lsn });
  }

  async #read(path: string, limit?: number): Promise<Uint8Array | undefined> {
    const bytes = await this.#try(() => readFileRange(this.#in.fs, path, 0, limit));
    await this.#in.tools.spend(bytes?.length ?? 0);
    return bytes;
  }

  /** Damage becomes a fault. */
  async #try<T>(read: () => Promise<T>, path = this.#in.directory): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      this.#report.faults.push(faultOf(error, path));
      return undefined;
    }
  }

  #fault(path: string, what: string, place: { offset?: number; lsn?: number }): void {
    this.#report.faults.push(fault(path, what, place));
  }
}

function startOf({ header }: SegmentFile): Border {
  return { offset: segmentHeaderBytes, lsn: header.firstLsn - 1, chain: header.chain };
}

/** The fault that an error of reading is; errors that are no fault of the bytes are thrown. */
export function faultOf(error: unknown, otherwise: string): StoreFault {
  const readable =
    error instanceof CorruptionError ||
    (error instanceof TidemarkError &&
      (error.kind === 'incompatible' || error.kind === 'unavailable'));
  if (!readable) throw error;
  const { path, offset, lsn } = error.details;
  const file = typeof path === 'string' ? path : otherwise;
  return fault(file, withoutPath(error.message, file), {
    offset: typeof offset === 'number' ? offset : undefined,
    lsn: typeof lsn === 'number' ? lsn : undefined,
  });
}

/** Messages end with what they are about; a fault names that itself. */
export function withoutPath(message: string, path: string): string {
  const at = message.indexOf(path);
  return at < 0 ? message : message.slice(0, at).replace(/[\s:]+$/, '');
}
