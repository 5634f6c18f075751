/*
 * The timelines of a store: where each left the one before, how far it goes, and what of it can be
 * restored. Reads records and the newest segment of each; no lock, no write.
 */
import { retainedRange, type RetainedRange } from '../checkpoint/retention/retained-range.ts';
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import { NotFoundError } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { systemClock } from '../std/clock.ts';
import { knownOnly } from '../std/option-checks.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { limitNames, withinLimits, type CallLimits } from './limited-call.ts';
import { orFault } from './inspect.ts';
import type { InspectionFault } from './inspect-log.ts';
import { findKeptLog } from './kept-log.ts';
import { usableRecords } from './moment-at.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  locationNames,
  logDirectoryOf,
  readInAgreement,
  readLogMoment,
  readEngineIdentity,
  readStoreTimelines,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import type { ReaderComponents } from './reader.ts';

/** A timeline of a store. */
export interface TimelineInfo {
  readonly id: number;
  /** It is the one that is written on. */
  readonly current: boolean;
  /** The timeline that it left; undefined of the first. */
  readonly parent: number | undefined;
  /** Of a fork's first timeline: the store that the one it left is of, hexadecimal; else undefined. */
  readonly parentStore: string | undefined;
  /** The last LSN that it has of that one, and the time of that commit in microseconds; 0 of the first. */
  readonly forkLsn: number;
  readonly forkTimestamp: number;
  /** When it was started, microseconds; undefined of the first. */
  readonly createdAt: number | undefined;
  /** Its last LSN; undefined when its log cannot be read. */
  readonly lsn: number | undefined;
  /** What of it and of its past can be restored; undefined when that cannot be told. */
  readonly retained: RetainedRange | undefined;
}

/** The timelines of a store. */
export interface TimelineList {
  /** By id; the last is the current one. */
  readonly timelines: readonly TimelineInfo[];
  /** What could not be read. */
  readonly faults: readonly InspectionFault[];
}

/**
 * Lists the timelines of a store; another process may have it open. One that was left is listed while
 * anything of it is kept.
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws CorruptionError CORRUPT_STORE
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function listTimelines(options: StoreLocation & CallLimits): Promise<TimelineList> {
  return listTimelinesWith(options, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link listTimelines}, over given components. */
export async function listTimelinesWith(
  options: StoreLocation & CallLimits,
  components: ReaderComponents,
): Promise<TimelineList> {
  knownOnly(options, [...locationNames, ...limitNames]);
  return withinLimits('list of timelines', options, components.clock, (run) =>
    listTimelinesOf(sourceOf(components, options, run)),
  );
}

/** The timelines of a source. */
export async function listTimelinesOf(source: ReaderSource): Promise<TimelineList> {
  const identity = await readEngineIdentity(source);
  const timelines = await readStoreTimelines(source, identity);
  const faults: InspectionFault[] = [];
  const found: TimelineInfo[] = [];
  for (const id of timelines.ids) {
    const one = await orGone(describe(source, { identity, timelines, id, faults }));
    if (one) found.push(one);
  }
  return { timelines: found, faults };
}

/** The first timeline has no record that goes with it. */
async function orGone<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof NotFoundError && error.code === 'TIMELINE_NOT_FOUND') return undefined;
    throw error;
  }
}

interface Describing {
  readonly identity: StoreIdentity;
  readonly timelines: Timelines;
  readonly id: number;
  readonly faults: InspectionFault[];
}

async function describe(
  source: ReaderSource,
  { identity, timelines, id, faults }: Describing,
): Promise<TimelineInfo> {
  const record = timelines.record(id);
  const kept = await orFault(faults, () =>
    readInAgreement(source, async () => {
      const files = new ReadOnlyFiles(source.fs, false);
      const ancestry = timelines.ancestry(id);
      const { records } = await usableRecords(source, identity, ancestry);
      const reading = { timelines, timeline: id };
      const moment = await readLogMoment(source, files, identity, reading);
      const log = await findKeptLog(files, logDirectoryOf(source), moment);
      return { lsn: moment.lsn, retained: retainedRange(records, log.firstLsn) };
    }),
  );
  return {
    id,
    current: id === timelines.current,
    parent: record?.fork.parent,
    parentStore: record?.store,
    forkLsn: record?.fork.lsn ?? 0,
    forkTimestamp: record?.forkTimestamp ?? 0,
    createdAt: record?.createdAt,
    lsn: kept?.lsn,
    retained: kept?.retained,
  };
}
