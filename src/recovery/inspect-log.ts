/*
 * The segments of a log, as plain data: which are on the walk back from the newest one, and which
 * are leftovers that the next opening removes. Their ends come from their successors' headers, the
 * newest one's from reading it.
 */
import { listLog, openSegmentFile, walkLog, type SegmentFile } from '../wal/log-directory.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';
import { GroupScanner, readFileRange } from '../wal/segment-scan.ts';
import { NotFoundError, TidemarkError, type ErrorCode } from '../errors.ts';
import { isMissing } from './reader-objects.ts';
import { logDirectoryOf, type LogMoment, type ReaderSource } from './reader-moment.ts';

/** Something that could not be read. */
export interface InspectionFault {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A segment of the log. */
export interface InspectedSegment {
  readonly name: string;
  readonly number: number;
  readonly timeline: number;
  readonly epoch: number;
  readonly firstLsn: number;
  /** When its header was written, microseconds. */
  readonly createdAt: number;
  /** One below `firstLsn` when it holds no record. */
  readonly lastLsn: number;
  /** Bytes from the start to the end of what belongs to the log. */
  readonly usedBytes: number;
  readonly fileBytes: number;
  /**
   * `log`: on the walk back from the newest segment; `other`: of a timeline that was left;
   * `leftover`: not part of any log.
   */
  readonly status: 'log' | 'other' | 'leftover';
}

/** Files of a log. */
export interface InspectedLog {
  /** Oldest first. */
  readonly segments: readonly InspectedSegment[];
  /** Files that are filled ahead, to become segments. */
  readonly temporary: readonly { readonly name: string; readonly fileBytes: number }[];
  /** LSN below which the log was trimmed; undefined: nothing was. */
  readonly trimmedBelow: number | undefined;
}

export async function inspectSegments(
  source: ReaderSource,
  moment: LogMoment | undefined,
  faults: InspectionFault[],
): Promise<InspectedLog> {
  const { fs } = source;
  const directory = logDirectoryOf(source);
  const all = await listLog(fs, directory);
  const listing = moment?.plan.listing ?? all;
  const segments: InspectedSegment[] = [];
  const walk = await tolerate(faults, () =>
    walkLog(fs, directory, listing, moment?.lowWater?.segment ?? 0),
  );
  const endOf = (file: SegmentFile, through?: number): ReturnType<typeof scanEnd> =>
    tolerate(faults, () => scanEnd(source, file, through));
  const walked = walk?.segments ?? [];
  for (const [i, file] of walked.entries()) {
    const next = walked[i + 1]?.header.predecessor;
    const end = next ? { lsn: next.lastLsn, offset: next.end } : await endOf(file, moment?.lsn);
    if (end) segments.push(describe(file, end, 'log'));
  }
  const others = await onOtherTimelines(source, moment);
  // Those that came meanwhile are not of the moment.
  const known = all.segments.filter(({ number }) => number <= listing.numberMax);
  for (const { name } of known) {
    if (walked.some((file) => file.name === name)) continue;
    const file = await tolerate(faults, () => openSegmentFile(fs, directory, name));
    const end = file && (await endOf(file));
    const status = others.has(name) ? 'other' : 'leftover';
    if (end) segments.push(describe(file, end, walk ? status : 'log'));
  }
  const temporary = [];
  for (const name of listing.temporaryNames) {
    const stat = await fs.stat(`${directory}/${name}`);
    if (stat) temporary.push({ name, fileBytes: stat.bytes });
  }
  segments.sort((a, b) => a.number - b.number);
  return { segments, temporary, trimmedBelow: moment?.lowWater?.lsn };
}

/** Names of segments that timelines have which are not that of the moment. */
async function onOtherTimelines(
  { fs, dir }: ReaderSource,
  moment: LogMoment | undefined,
): Promise<Set<string>> {
  const names = new Set<string>();
  if (!moment) return names;
  const { timelines, ancestry, lowWater } = moment;
  const directory = `${dir}/wal`;
  const first = lowWater?.segment ?? 0;
  for (const id of timelines.ids) {
    if (id === ancestry.timeline) continue;
    // What is damaged on the way is a leftover as far as can be told; `verify` says what is wrong.
    const walk = await tolerate([], async () =>
      walkLog(fs, directory, await listLog(fs, directory, timelines.ancestry(id)), first),
    );
    for (const { name } of walk?.segments ?? []) names.add(name);
  }
  return names;
}

function describe(
  { name, fileBytes, header }: SegmentFile,
  end: { readonly lsn: number; readonly offset: number },
  status: InspectedSegment['status'],
): InspectedSegment {
  const { number, timeline, epoch, firstLsn, createdAt } = header;
  const lastLsn = end.lsn;
  const usedBytes = end.offset;
  return {
    name,
    number,
    timeline,
    epoch,
    createdAt,
    firstLsn,
    lastLsn,
    usedBytes,
    fileBytes,
    status,
  };
}

/**
 * Where the groups of a segment end, or those through an LSN: what was appended since the moment was
 * read is not of it. Undefined when the file has gone.
 */
async function scanEnd(
  { fs }: ReaderSource,
  { path, header }: SegmentFile,
  through: number = Number.MAX_SAFE_INTEGER,
): Promise<{ lsn: number; offset: number } | undefined> {
  const { salt, firstLsn, chain } = header;
  const from = { offset: segmentHeaderBytes, lsn: firstLsn - 1, chain };
  try {
    const bytes = await readFileRange(fs, path, segmentHeaderBytes);
    const scanner = new GroupScanner(bytes, segmentHeaderBytes, salt, from);
    let end = scanner.border;
    while (scanner.next() && scanner.border.lsn <= through) end = scanner.border;
    return end;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** A file that went away since it was listed is none; damage is shown. */
async function tolerate<T extends object>(
  faults: InspectionFault[],
  read: () => Promise<T | undefined>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isMissing(error) || error instanceof NotFoundError) return undefined;
    if (!(error instanceof TidemarkError)) throw error;
    faults.push({ code: error.code, message: error.message });
    return undefined;
  }
}
