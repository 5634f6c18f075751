/*
 * What becomes of two entries of one key: the folding rules of PROTOCOL E3 and E4, and what is left
 * of an entry in a base or a delta. Folding is associative, so a merge folds oldest to newest and a
 * lookup newest to oldest with the same result. Everything here judges expiry by timestamps that
 * are stored, never by a clock.
 *
 * Invariants:
 *   F1 an operand over a value that had expired when the operand came starts from the identity;
 *   F2 a fold keeps the LSN, timestamp, expiry and event time of the newer, and of two operands the
 *      first timestamp, by which what is older still is judged;
 *   F3 an entry that has expired at the end of a delta hides what is older and adds nothing: it is a
 *      tombstone, whether it was a put or an operand.
 */
import type { Entry } from './entry.ts';
import { entryFlags, operatorIds, ops } from './entry-format.ts';
import { applyToNothing, combineValues, isUnreferenced, type FoldScratch } from './operators.ts';

/** When the oldest operand of an entry came. */
function firstTimestampOf(entry: Entry): number {
  return entry.firstTimestamp === 0 ? entry.timestamp : entry.firstTimestamp;
}

/** Makes an operand the value that it gives on nothing. */
export function startFromIdentity(operand: Entry): void {
  applyToNothing(operand);
  operand.op = ops.put;
  operand.firstTimestamp = 0;
}

function hidesOlder(older: Entry, newer: Entry): boolean {
  if (older.op !== ops.put && older.op !== ops.merge) return true;
  return older.expiry !== 0 && older.expiry <= firstTimestampOf(newer);
}

/** Folds a newer entry of the same key, or a newer clear of the same range, over `into`. */
export function foldNewer(into: Entry, newer: Entry, scratch: FoldScratch): void {
  if (newer.op !== ops.merge) {
    into.assign(newer);
  } else if (hidesOlder(into, newer)) {
    into.assign(newer);
    startFromIdentity(into);
  } else {
    combineValues(into, newer, into, scratch);
    if (into.op === ops.merge) into.firstTimestamp = firstTimestampOf(into);
    into.operator = newer.operator;
    into.lsn = newer.lsn;
    into.timestamp = newer.timestamp;
    into.expiry = newer.expiry;
    into.eventTime = newer.eventTime;
  }
}

/** Puts an older entry of the same key under `into`; without effect unless that is an operand. */
export function foldOlder(older: Entry, into: Entry, scratch: FoldScratch): void {
  if (into.op !== ops.merge) return;
  if (hidesOlder(older, into)) {
    startFromIdentity(into);
    return;
  }
  combineValues(older, into, into, scratch);
  if (older.op === ops.put) {
    into.op = ops.put;
    into.firstTimestamp = 0;
  } else {
    into.firstTimestamp = firstTimestampOf(older);
  }
}

/** What a delta keeps of an entry whose last timestamp is `lastTimestamp`: all of it, or a tombstone. */
export function settleInDelta(entry: Entry, lastTimestamp: number): void {
  if (entry.op !== ops.put && entry.op !== ops.merge) return;
  if (entry.expiry === 0 || entry.expiry > lastTimestamp) return;
  entry.op = ops.delete;
  entry.operator = operatorIds.none;
  entry.flags &= entryFlags.subKey;
  entry.expiry = 0;
  entry.eventTime = 0;
  entry.firstTimestamp = 0;
  entry.valueEnd = entry.subKeyEnd;
}

/** Whether the entry is live in a base, or to a reader, at `lastTimestamp`; it is a put then. */
export function settleInBase(entry: Entry, lastTimestamp: number): boolean {
  if (entry.op === ops.merge) startFromIdentity(entry);
  if (entry.op !== ops.put) return false;
  if (entry.expiry !== 0 && entry.expiry <= lastTimestamp) return false;
  return !isUnreferenced(entry);
}
