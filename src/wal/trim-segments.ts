/*
 * Trimming the head of the log, whole segments at a time (R2): the plan reads and decides, carrying
 * it out puts the low-water record, syncs the directory, and only then unlinks. A crash between
 * leaves segments below the record, which are leftovers: the next opening unlinks them.
 *
 * The newest segment always stays. New segments may come at the other end meanwhile: names below the
 * first kept one are never given again (L1). The caller makes sure that nobody needs what goes, and
 * runs one trim at a time.
 */
import { NotFoundError, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { listLog, openSegmentFile } from './log-directory.ts';
import { readLowWater, writeLowWater, type LowWater } from './low-water.ts';
import { segmentName } from './segment-format.ts';

/** The first segment that stays. */
export interface KeptFrom {
  readonly segment: number;
  readonly timeline: number;
}

/** A segment that goes. */
export interface TrimmedSegment {
  readonly name: string;
  readonly number: number;
  readonly fileBytes: number;
}

/** What a trim will do. */
export interface TrimPlan {
  /** Where the log starts afterwards; the low-water record that is put. */
  readonly lowWater: LowWater;
  /** Oldest first; empty: there is nothing to do. */
  readonly segments: readonly TrimmedSegment[];
}

/** What carrying a plan out has to do with the open log, if there is one. */
export interface TrimHooks {
  /** Throws when nothing may be removed any more (L11); called before each change. */
  assertWritable(): void;
  /** The record is durable: segments numbered below are no longer part of the log. */
  forget(belowSegment: number): void;
}

/**
 * What goes when the log is to start with a segment; reads only.
 * @throws NotFoundError OUT_OF_RETENTION when the log starts above that segment
 */
export async function planTrim(
  fs: FileSystem,
  directory: string,
  keep: KeptFrom,
): Promise<TrimPlan> {
  try {
    return await planOn(fs, directory, keep);
  } catch (error) {
    throw toStorageError(error, 'look at the log', directory);
  }
}

async function planOn(fs: FileSystem, directory: string, keep: KeptFrom): Promise<TrimPlan> {
  const known = await readLowWater(fs, directory);
  if (known && keep.segment <= known.segment) {
    const { segment, timeline } = known;
    return { lowWater: known, segments: await segmentsBelow(fs, directory, { segment, timeline }) };
  }
  const name = segmentName(keep.segment, keep.timeline);
  if (!(await fs.stat(`${directory}/${name}`))) {
    throw new NotFoundError(
      'OUT_OF_RETENTION',
      `segment from which the log was to be kept is not there: ${directory}/${name}`,
      { path: `${directory}/${name}`, segment: keep.segment },
    );
  }
  const { header } = await openSegmentFile(fs, directory, name);
  const { timeline, number: segment, firstLsn: lsn } = header;
  const segments = await segmentsBelow(fs, directory, keep);
  return { lowWater: { timeline, lsn, segment }, segments };
}

async function segmentsBelow(
  fs: FileSystem,
  directory: string,
  keep: KeptFrom,
): Promise<TrimmedSegment[]> {
  const found: TrimmedSegment[] = [];
  for (const { name, number, timeline } of (await listLog(fs, directory)).segments) {
    if (timeline !== keep.timeline || number >= keep.segment) continue;
    const stat = await fs.stat(`${directory}/${name}`);
    if (stat) found.push({ name, number, fileBytes: stat.bytes });
  }
  return found;
}

/** Carries a plan out; the record is durable before the first segment goes. */
export async function applyTrim(
  fs: FileSystem,
  directory: string,
  plan: TrimPlan,
  hooks: TrimHooks,
): Promise<void> {
  const { lowWater, segments } = plan;
  if (segments.length === 0) return;
  hooks.assertWritable();
  // Written anew where it is known already: it may be what a crash has not made durable.
  await writeLowWater(fs, directory, lowWater);
  hooks.forget(lowWater.segment);
  try {
    for (const { name } of segments) {
      hooks.assertWritable();
      await fs.unlink(`${directory}/${name}`);
    }
    await fs.syncDirectory(directory);
  } catch (error) {
    throw toStorageError(error, 'trim the log', directory);
  }
}
