/*
 * The plan of a collection (R1): a line for every record, mark, snapshot and segment, keep or delete,
 * and why. Pure, and complete before anything is deleted; `collector.ts` carries it out in the order
 * of its lines.
 *
 * Invariants: what a kept record names is kept; nothing that a record which cannot be read might
 * name goes (snapshots of its id and below); a mark goes only with its record; segments go from the
 * oldest on, whole, and never one that something kept reads on from.
 */
import { retainedRange, type RetainedRange } from './retained-range.ts';
import type { RetentionInput, StoredObject, StoredSegment } from './retention-input.ts';
import {
  keepRecords,
  type KeptRecords,
  type LogNeed,
  type RetentionReason,
  type RetentionRule,
} from './retention-rules.ts';
import type { RetentionSettings } from './retention-settings.ts';
import { partOf } from '../../wal/ancestry.ts';
import type { LowWater } from '../../wal/low-water.ts';
import { parseSegmentName } from '../../wal/segment-format.ts';
import { onlyFirst } from '../timelines/timelines.ts';
import { unknownFuture } from './retention-futures.ts';
import { lastThrough, leastBehind } from './retention-search.ts';

export type { RetentionRule } from './retention-rules.ts';

/** One object of a plan. */
export interface RetentionLine extends StoredObject {
  readonly kind: 'record' | 'dropped-mark' | 'snapshot' | 'segment' | 'timeline' | 'foreign';
  readonly action: 'keep' | 'delete';
  /** Every rule that keeps it; of what goes, the one that says why nothing does. */
  readonly rules: readonly RetentionRule[];
  readonly why: string;
}

/** What is kept and what goes, worked out completely. */
export interface RetentionPlan {
  /** Time that ages and periods were judged by, microseconds. */
  readonly at: number;
  /** Undefined: retention is off, and everything stays. */
  readonly settings: RetentionSettings | undefined;
  /** Why nothing but leftovers goes, where that is so. */
  readonly hold: string | undefined;
  /** Records, marks, snapshots, segments, timelines: what is deleted is deleted in this order. */
  readonly lines: readonly RetentionLine[];
  /** The low-water record to be put before segments go; undefined: none goes. */
  readonly lowWater: LowWater | undefined;
  /** What can be restored when the plan has been carried out. */
  readonly retained: RetainedRange;
  readonly keptBytes: number;
  readonly deletedBytes: number;
}

export function planRetention(input: RetentionInput): RetentionPlan {
  const { inventory, now, settings } = input;
  const chosen = keepRecords(input);
  const log = planLog(input, chosen);
  const lines = [
    ...recordLines(input, chosen),
    ...markLines(input, chosen),
    ...snapshotLines(input, chosen),
    ...inventory.foreign.map((object): RetentionLine => keep('foreign', object, foreignReason)),
    ...log.lines,
    ...timelineLines(input, chosen, log),
  ];
  const bytes = (action: RetentionLine['action']): number =>
    lines.reduce((sum, line) => sum + (line.action === action ? line.bytes : 0), 0);
  const kept = chosen.usable.filter(({ id }) => chosen.reasons.has(id));
  return {
    at: now,
    settings,
    hold: chosen.hold?.text,
    lines,
    lowWater: log.lowWater,
    retained: retainedRange(kept, log.firstLsn),
    keptBytes: bytes('keep'),
    deletedBytes: bytes('delete'),
  };
}

const foreignReason: RetentionReason = { rule: 'foreign', text: 'is no object of this store' };
const expired: RetentionReason = { rule: 'expired', text: 'no rule keeps it any longer' };

function recordLines(
  { inventory }: RetentionInput,
  { reasons, usable, futures }: KeptRecords,
): RetentionLine[] {
  const judged = new Set(usable);
  return inventory.records.map((stored) => {
    const why = reasons.get(stored.id);
    if (why) return keep('record', stored, ...why);
    const { record } = stored;
    const future = record && !judged.has(record) ? futures.get(record.timeline) : undefined;
    return drop('record', stored, future && !future.isKept ? future.reason : expired);
  });
}

/** A mark outlives its record: were it to go first, a dropped savepoint would be one again. */
function markLines({ inventory }: RetentionInput, { reasons }: KeptRecords): RetentionLine[] {
  const recorded = new Set(inventory.records.map(({ id }) => id));
  return inventory.droppedMarks.map((stored) => {
    const { id } = stored;
    if (reasons.has(id) && recorded.has(id)) {
      return keep('dropped-mark', stored, { rule: 'needed', text: `marks checkpoint ${id}` });
    }
    const text = recorded.has(id) ? `checkpoint ${id} goes` : `there is no checkpoint ${id}`;
    return drop('dropped-mark', stored, { rule: recorded.has(id) ? 'expired' : 'leftover', text });
  });
}

function snapshotLines(input: RetentionInput, { reasons }: KeptRecords): RetentionLine[] {
  const { inventory, unfinished } = input;
  const pinned = input.pins.flatMap((pin) => ('snapshots' in pin ? [pin] : []));
  const namedBy = new Map<string, number[]>();
  const recorded = new Set<number>();
  let damagedMax = 0;
  for (const { id, record } of inventory.records) {
    recorded.add(id);
    if (!record) damagedMax = id;
    else if (reasons.has(id)) {
      for (const { name } of record.chain) {
        const by = namedBy.get(name);
        if (by) by.push(id);
        else namedBy.set(name, [id]);
      }
    }
  }
  return inventory.snapshots.map((stored) => {
    const { id, name } = stored;
    const by = namedBy.get(name);
    if (by) return keep('snapshot', stored, { rule: 'needed', text: neededBy(by) });
    const pin = pinned.find(({ snapshots }) => snapshots.includes(name));
    if (pin) return keep('snapshot', stored, { rule: 'pin', text: pin.reason });
    if (id <= damagedMax) {
      const text = `checkpoint ${damagedMax} cannot be read and may name it`;
      return keep('snapshot', stored, { rule: 'damaged', text });
    }
    if (!recorded.has(id) && unfinished(id)) {
      const text = 'may belong to a checkpoint that is being made';
      return keep('snapshot', stored, { rule: 'unfinished', text });
    }
    const text = 'no checkpoint that is kept names it';
    return drop('snapshot', stored, { rule: recorded.has(id) ? 'expired' : 'leftover', text });
  });
}

function neededBy(ids: readonly number[]): string {
  const shown = ids.slice(-3).join(', ');
  if (ids.length === 1) return `checkpoint ${shown} names it`;
  const rest = ids.length > 3 ? ` and ${ids.length - 3} older` : '';
  return `checkpoints ${shown}${rest} name it`;
}

interface LogPlan {
  readonly lines: readonly RetentionLine[];
  readonly lowWater: LowWater | undefined;
  /** First LSN that can be read afterwards. */
  readonly firstLsn: number;
}

interface WalkedSegment extends StoredSegment {
  readonly firstLsn: number;
}

/** The log stays from the oldest segment that something needs, on. */
function planLog(input: RetentionInput, { hold, needs, futures }: KeptRecords): LogPlan {
  const { log, timelines = onlyFirst } = input.inventory;
  const ancestry = timelines.ancestry();
  const walked = log.segments.filter(
    (segment): segment is WalkedSegment => segment.firstLsn !== undefined,
  );
  const first = hold ? undefined : firstNeeded(walked, needs);
  const cut = walked[first?.index ?? 0];
  const lowBefore = log.lowWater?.segment ?? 0;
  const isShared = ({ number, timeline }: StoredSegment): boolean =>
    number <= (partOf(ancestry, timeline)?.throughSegment ?? 0);
  const { brokenBy } = log;
  // The low-water record rises over whatever goes: with evidence below the break nothing does.
  const isEvidence = (segment: StoredSegment): boolean =>
    segment.number >= lowBefore && segment.firstLsn === undefined && isShared(segment);
  const holdsBreak =
    brokenBy !== undefined && (first?.index ?? 0) === 0 && log.segments.some(isEvidence);
  const lines = log.segments.map((segment): RetentionLine => {
    const { number, timeline } = segment;
    const isOther = segment.firstLsn === undefined && !isShared(segment);
    const future = futures.get(timeline);
    if (isOther && !future) return keep('segment', segment, unknownFuture(timeline));
    if (number < lowBefore) {
      return drop('segment', segment, { rule: 'leftover', text: 'is below the low-water record' });
    }
    if (isOther && future) {
      const goes = !future.isKept && cut !== undefined && number < cut.number;
      if (!goes) return keep('segment', segment, future.reason);
      if (holdsBreak) return keep('segment', segment, { rule: 'damaged', text: brokenBy });
      return drop('segment', segment, future.reason);
    }
    if (cut && first && first.index > 0 && number < cut.number) {
      const text = `the log is kept from LSN ${cut.firstLsn} on: ${first.need.text}`;
      return drop('segment', segment, { rule: 'expired', text });
    }
    if (segment.firstLsn === undefined) {
      const text = brokenBy ?? 'is not on the walk back from the newest segment';
      return keep('segment', segment, { rule: 'damaged', text });
    }
    if (hold) return keep('segment', segment, hold);
    const text = first?.need.text ?? 'nothing says from where the log can go';
    return keep('segment', segment, { rule: 'log', text: `the log is needed from: ${text}` });
  });
  const going = lines.filter(({ action }) => action === 'delete');
  const rises = going.some(({ rules }) => rules[0] === 'expired');
  const raised =
    rises && cut
      ? { timeline: cut.timeline, lsn: cut.firstLsn, segment: cut.number }
      : log.lowWater;
  return {
    lines,
    // The same as before for leftovers below it: it may be what a crash has not made durable.
    lowWater: going.length > 0 ? raised : undefined,
    firstLsn: cut?.firstLsn ?? 1,
  };
}

/** Records of timelines: those of which something stays, and of what those came from. */
function timelineLines(
  { inventory }: RetentionInput,
  { reasons }: KeptRecords,
  log: LogPlan,
): RetentionLine[] {
  const { timelineRecords = [], timelines = onlyFirst, records } = inventory;
  const used = new Set([timelines.current]);
  for (const { id, record } of records) if (record && reasons.has(id)) used.add(record.timeline);
  for (const { action, name } of log.lines) {
    const timeline = parseSegmentName(name.slice(name.indexOf('/') + 1))?.timeline;
    if (action === 'keep' && timeline !== undefined) used.add(timeline);
  }
  const needed = new Map<number, number>();
  for (const timeline of [...used].sort((a, b) => b - a)) {
    for (let id: number | undefined = timeline; id !== undefined && !needed.has(id);) {
      needed.set(id, timeline);
      id = timelines.record(id)?.fork.parent;
    }
  }
  return timelineRecords.map((stored) => {
    const { id } = stored;
    const fault = timelines.faults.get(id);
    if (fault) return keep('timeline', stored, { rule: 'damaged', text: fault.message });
    const by = needed.get(id);
    if (by === undefined) return drop('timeline', stored, expired);
    const text = by === timelines.current ? 'leads to the current timeline' : `leads to ${by}`;
    return keep('timeline', stored, { rule: 'timeline', text });
  });
}

/** The oldest segment that a need reads on from, and that need. */
function firstNeeded(
  walked: readonly WalkedSegment[],
  needs: readonly LogNeed[],
): { readonly index: number; readonly need: LogNeed } | undefined {
  const numbers = new Map(walked.map(({ number }, index) => [number, index]));
  const least = leastBehind(walked, ({ firstLsn }) => firstLsn);
  let found: { index: number; need: LogNeed } | undefined;
  for (const need of needs) {
    const { lsn, segment } = need;
    // A recovery reads on from the segment of its record's position; for a mere LSN the segment that
    // holds it is kept too. What is below the walk is not there: the log is kept from its first.
    const named = segment === undefined ? undefined : numbers.get(segment);
    const index = named ?? Math.max(0, lastThrough(least, lsn));
    if (!found || index < found.index) found = { index, need };
  }
  return found;
}

function keep(
  kind: RetentionLine['kind'],
  { name, bytes }: StoredObject,
  ...reasons: readonly RetentionReason[]
): RetentionLine {
  const [only] = reasons;
  if (only && reasons.length === 1) {
    return { name, bytes, kind, action: 'keep', rules: [only.rule], why: only.text };
  }
  const why = [...new Set(reasons.map(({ text }) => text))].join('; ');
  const rules = [...new Set(reasons.map(({ rule }) => rule))];
  return { name, bytes, kind, action: 'keep', rules, why };
}

function drop(
  kind: RetentionLine['kind'],
  { name, bytes }: StoredObject,
  { rule, text }: RetentionReason,
): RetentionLine {
  return { name, bytes, kind, action: 'delete', rules: [rule], why: text };
}
