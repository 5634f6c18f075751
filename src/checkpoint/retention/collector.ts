/*
 * Carries out a plan of retention. Order (R1, R2), each step durable before the next:
 *
 * 1. records, then the marks of those that were dropped savepoints: a crash in between leaves
 *    records that are whole, and marks without one;
 * 2. snapshots: no record names them any more;
 * 3. the low-water record, synced, then segments in any order, then the directory of the log;
 * 4. records of timelines, of which nothing is left then.
 *
 * So at every moment all records that there are can be restored, and what was not finished is
 * finished by the next collection or opening. `assertMayDelete` is asked before every single
 * deletion: a poisoned engine deletes nothing more (L11).
 */
import type { FileSystem } from '../../fs/file-system.ts';
import { must } from '../../std/assert.ts';
import { parseSegmentName } from '../../wal/segment-format.ts';
import { applyTrim } from '../../wal/trim-segments.ts';
import type { RetentionLine, RetentionPlan } from './retention-plan.ts';

/** Where a plan is carried out. */
export interface CollectionTarget {
  readonly fs: FileSystem;
  /** Directory of the log. */
  readonly logDirectory: string;
  /** Deletes an object; durable when it resolves. */
  deleteObject(name: string): Promise<void>;
  /** Throws when nothing may be deleted any more. */
  assertMayDelete(): void;
  /** Segments below this number are about to go: the open log forgets them. */
  forgetBelow(segment: number): void;
}

/** What went. */
export interface CollectedCounts {
  readonly deletedObjects: number;
  readonly deletedBytes: number;
}

export async function carryOut(
  plan: RetentionPlan,
  target: CollectionTarget,
): Promise<CollectedCounts> {
  const going = plan.lines.filter(({ action }) => action === 'delete');
  const objects = going.filter(({ kind }) => kind !== 'segment' && kind !== 'timeline');
  const segments = going.filter(({ kind }) => kind === 'segment');
  for (const { name } of objects) {
    target.assertMayDelete();
    await target.deleteObject(name);
  }
  if (segments.length > 0) await trimLog(plan, segments, target);
  for (const { name, kind } of going) {
    if (kind !== 'timeline') continue;
    target.assertMayDelete();
    await target.deleteObject(name);
  }
  return {
    deletedObjects: going.length,
    deletedBytes: going.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function trimLog(
  { lowWater }: RetentionPlan,
  lines: readonly RetentionLine[],
  target: CollectionTarget,
): Promise<void> {
  const segments = lines.map(({ name, bytes }) => {
    const file = name.slice(name.indexOf('/') + 1);
    return { name: file, number: numberOf(file), fileBytes: bytes };
  });
  const plan = { lowWater: must(lowWater, 'segments go below a low-water record'), segments };
  return applyTrim(target.fs, target.logDirectory, plan, {
    assertWritable: () => target.assertMayDelete(),
    forget: (below) => target.forgetBelow(below),
  });
}

function numberOf(name: string): number {
  return must(parseSegmentName(name), 'a planned segment has a name').number;
}
