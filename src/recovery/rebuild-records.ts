/*
 * Small files of a store that nothing opens without, made anew from what else says the same: the
 * identity, records of timelines, the low-water record. Found first, in an overlay of the files, so
 * that a dry run and a salvage see the store as it would be; a repair then writes them.
 *
 * The low-water record that is made names the oldest segment that is there, whether it can be read or
 * not: what it may have said above that was only that still less is needed, and what it is raised over is
 * deleted by the next opening.
 */
import { encodeTimeline, timelineName } from '../checkpoint/timelines/timeline-record.ts';
import { Timelines } from '../checkpoint/timelines/timelines.ts';
import { CorruptionError, IncompatibleError, type TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import { assertEngine, encodeIdentity, identityName, type StoreIdentity } from '../wal/identity.ts';
import { listLog, openSegmentFile } from '../wal/log-directory.ts';
import { encodeLowWater, lowWaterName, readLowWater } from '../wal/low-water.ts';
import type { LimitedCall } from './limited-call.ts';
import { OverlaidFiles } from './overlaid-files.ts';
import {
  logDirectoryOf,
  readStoreIdentity,
  readStoreTimelines,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import { assumeIdentity, rebuildIdentity } from './rebuild-identity.ts';
import { rebuildTimeline } from './rebuild-timeline.ts';
import { fault, type StoreFault } from './verify-report.ts';

/** A file that is made anew. */
export interface RebuiltFile {
  /** Inside the store's directory. */
  readonly name: string;
  /** What was wrong with it. */
  readonly fault: StoreFault;
}

interface RebuiltBytes extends RebuiltFile {
  readonly bytes: Uint8Array;
}

/** A store as it is with those files. */
export interface RebuiltStore {
  readonly fs: FileSystem;
  readonly files: readonly RebuiltBytes[];
}

/** What a log is read with that no checkpoint says anything of. */
export interface AssumedIdentity {
  readonly random: Random;
  readonly keyGroups: number;
}

/** How records are made anew. */
export interface RebuildOptions {
  /** Ends it. @defaultValue nothing does */
  readonly run?: LimitedCall;
  /** An identity need not be certain. @defaultValue it has to be */
  readonly assumed?: AssumedIdentity;
}

/**
 * Makes anew what can be made, in memory. What cannot be stays as it is, and refuses the store.
 */
export async function rebuildRecords(
  on: { readonly fs: FileSystem; readonly clock: Clock },
  location: StoreLocation,
  { assumed, run }: RebuildOptions = {},
): Promise<RebuiltStore> {
  const files: RebuiltBytes[] = [];
  const fs = new OverlaidFiles(on.fs);
  const source = sourceOf({ ...on, fs }, location, run);
  const add = async (name: string, bytes: Uint8Array, why: Error): Promise<void> => {
    const path = `${source.dir}/${name}`;
    const file = { name, bytes, fault: fault(path, why.message, { offset: 0 }) };
    const known = files.findIndex((other) => other.name === name);
    files.splice(known < 0 ? files.length : known, known < 0 ? 0 : 1, file);
    await fs.put(path, bytes);
  };
  const identity = await identityIn(source, assumed, add);
  assertEngine(identity, source.dir);
  const timelines = await readStoreTimelines(source, identity);
  // A record in a store elsewhere is not replaced: nothing there is ever put twice.
  const damaged = source.store ? [] : [...timelines.faults].toSorted(([a], [b]) => a - b);
  const mended = await timelinesIn(source, identity, { timelines, damaged }, add);
  if (await lowWaterIn(source, mended, add)) {
    // Now the logs that they left can be read to their ends.
    await timelinesIn(source, identity, { timelines: mended, damaged }, add);
  }
  return { fs: files.length === 0 ? on.fs : fs, files };
}

type Add = (name: string, bytes: Uint8Array, why: Error) => Promise<void>;

async function identityIn(
  source: ReaderSource,
  assumed: AssumedIdentity | undefined,
  add: Add,
): Promise<StoreIdentity> {
  try {
    return await readStoreIdentity(source);
  } catch (error) {
    if (!(error instanceof CorruptionError) || error.code !== 'CORRUPT_STORE') throw error;
    const certain = await rebuildIdentity(source);
    const { random, keyGroups } = assumed ?? {};
    const made =
      certain ?? (random && keyGroups && (await assumeIdentity(source, random, keyGroups)));
    if (!made) throw error;
    await add(identityName, encodeIdentity(made), error);
    return made;
  }
}

interface DamagedTimelines {
  readonly timelines: Timelines;
  /** Ascending, since each comes from one before it. */
  readonly damaged: readonly (readonly [number, TidemarkError])[];
}

async function timelinesIn(
  source: ReaderSource,
  identity: StoreIdentity,
  { timelines, damaged }: DamagedTimelines,
  add: Add,
): Promise<Timelines> {
  let mended = timelines;
  for (const [id, damage] of damaged) {
    if (!(damage instanceof CorruptionError)) continue;
    const record = await rebuildTimeline(source, identity, mended, id);
    if (!record) continue;
    const others = mended.records.filter((other) => other.id !== id);
    const faults = new Map([...mended.faults].filter(([other]) => other !== id));
    mended = new Timelines([...others, record], faults);
    await add(timelineName(id), encodeTimeline(record), damage);
  }
  return mended;
}

/** Whether it was made anew. */
async function lowWaterIn(source: ReaderSource, timelines: Timelines, add: Add): Promise<boolean> {
  const directory = logDirectoryOf(source);
  try {
    await readLowWater(source.fs, directory);
    return false;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const { segments } = await listLog(source.fs, directory, timelines.ancestry());
    const [oldest] = segments;
    for (const { name } of segments) {
      const header = await headerOf(source.fs, directory, name);
      if (!header || !oldest) continue;
      const { timeline, number: segment } = oldest;
      const { firstLsn: lsn } = header;
      await add(`wal/${lowWaterName}`, encodeLowWater({ timeline, lsn, segment }), error);
      return true;
    }
    throw error;
  }
}

async function headerOf(
  fs: FileSystem,
  directory: string,
  name: string,
): Promise<Awaited<ReturnType<typeof openSegmentFile>>['header'] | undefined> {
  try {
    return (await openSegmentFile(fs, directory, name)).header;
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof IncompatibleError) return undefined;
    throw error;
  }
}
