/*
 * What becomes of the futures that were given up (T2). A timeline left the ancestry of the current one
 * at an LSN that both have. While anything that stays reads the log on from there or from before, the
 * whole of that future stays, and so does the segment in which the two part; then it goes whole. All
 * its segments are then below the first one that the current timeline keeps, since their numbers are
 * those of an earlier time (L1).
 */
import { CorruptionError, IncompatibleError } from '../../errors.ts';
import { partOf, type Ancestry } from '../../wal/ancestry.ts';
import type { Timelines } from '../timelines/timelines.ts';
import type { LogNeed, RetentionReason } from './retention-rules.ts';

/** A timeline that is not the current one: what the current one does not have of it. */
export interface OtherFuture {
  readonly isKept: boolean;
  readonly reason: RetentionReason;
}

/** Something of a timeline of which nothing is known: evidence of damage. */
export function unknownFuture(timeline: number): RetentionReason {
  return { rule: 'damaged', text: `is of timeline ${timeline}, whose record cannot be read` };
}

/** Adds to the needs what the futures that stay need. */
export function otherFutures(
  timelines: Timelines,
  { needs, hold }: { readonly needs: LogNeed[]; readonly hold: RetentionReason | undefined },
): Map<number, OtherFuture> {
  const found = new Map<number, OtherFuture>();
  let fromLsn = Math.min(...needs.map(({ lsn }) => lsn));
  const current = timelines.ancestry();
  const left = timelines.ids.flatMap((id) => leftAt(timelines, current, id));
  for (const { id, lsn, border } of left.sort((a, b) => b.lsn - a.lsn)) {
    const isKept = hold !== undefined || fromLsn <= lsn;
    const what = `is of timeline ${id}, which this one left at LSN ${lsn}`;
    const text = isKept ? what : `${what}: the log is kept from LSN ${fromLsn} on`;
    found.set(id, { isKept, reason: { rule: isKept ? 'timeline' : 'expired', text } });
    if (!isKept || !border) continue;
    const why = `timeline ${id} goes on behind LSN ${lsn}`;
    needs.push({ rule: 'timeline', lsn: border.lsn, segment: border.segment, text: why });
    fromLsn = Math.min(fromLsn, border.lsn);
  }
  return found;
}

interface LeftAt {
  readonly id: number;
  readonly lsn: number;
  /** Where the log of both is one for the last time; undefined: it is not kept. */
  readonly border: { readonly lsn: number; readonly segment: number } | undefined;
}

function leftAt(timelines: Timelines, current: Ancestry, id: number): LeftAt[] {
  try {
    const lsn = timelines.sharedWithCurrent(id);
    if (lsn === undefined) return [];
    const other = timelines.ancestry(id);
    const shared = other.parts.find(({ timeline }) => partOf(current, timeline));
    const own = shared && partOf(current, shared.timeline);
    const segment = Math.min(shared?.throughSegment ?? 0, own?.throughSegment ?? 0);
    return [{ id, lsn, border: segment === 0 ? undefined : { lsn, segment } }];
  } catch (error) {
    // A damaged record: nothing is known of where it was left.
    if (error instanceof CorruptionError || error instanceof IncompatibleError) return [];
    throw error;
  }
}
