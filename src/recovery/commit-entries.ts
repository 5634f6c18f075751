/*
 * The changes of a logged commit as entries of the kernel, one at a time or those of one key.
 * Entries share the bytes of the record.
 */
import { compareEntries, Entry, groupStart, keyGroupOf } from '../snapshot/entry.ts';
import {
  decodeCommitEntry,
  decodeCommitHeader,
  emptyCommitEntry,
  type CommitEntry,
} from '../snapshot/commit-format.ts';
import { entryFlags, ops } from '../snapshot/entry-format.ts';
import { compareBytes } from '../std/bytes.ts';

/** A record of the log that holds a commit. */
export interface CommitRecord {
  readonly lsn: number;
  readonly bytes: Uint8Array;
}

/** Time of a commit, microseconds. */
export function timestampOf({ bytes }: CommitRecord): number {
  return decodeCommitHeader(bytes, 0, bytes.length).timestamp;
}

/** The changes of a commit in the order in which they stand; borrowed until the next. */
export function* commitEntries({ bytes }: CommitRecord): Generator<CommitEntry> {
  const { entryCount, metadataEnd } = decodeCommitHeader(bytes, 0, bytes.length);
  const entry = emptyCommitEntry();
  let at = metadataEnd;
  for (let i = 0; i < entryCount; i++) {
    decodeCommitEntry(bytes, at, bytes.length, entry);
    at = entry.end;
    yield entry;
  }
}

/** A change as an entry; `hash` is that of its key. */
export function entryOf(
  { lsn, bytes }: CommitRecord,
  change: CommitEntry,
  { hash, timestamp }: { readonly hash: number; readonly timestamp: number },
): Entry {
  const entry = new Entry();
  const { table, op, operator, flags, expiry, eventTime } = change;
  const { keyStart, keyEnd, subKeyEnd, end: valueEnd } = change;
  Object.assign(entry, { table, hash, lsn, timestamp, op, operator, expiry, eventTime });
  Object.assign(entry, { bytes, keyStart, keyEnd, subKeyEnd, valueEnd });
  entry.flags = flags & entryFlags.subKey;
  return entry;
}

/** A key, or one sub-key of it, as bytes. */
export interface KeyPlace {
  readonly table: number;
  readonly hash: number;
  readonly key: Uint8Array;
  /** Undefined: all of the key. */
  readonly subKey: Uint8Array | undefined;
  readonly groupBits: number;
}

/** What a commit did to a key, clears of it included, in the order of the kernel. */
export function entriesOfKey(
  record: CommitRecord,
  changes: Iterable<CommitEntry>,
  { place, timestamp }: { readonly place: KeyPlace; readonly timestamp: number },
): Entry[] {
  const { hash, groupBits } = place;
  const found: Entry[] = [];
  for (const change of changes) {
    if (!touches(record.bytes, change, place)) continue;
    const clearsTable = change.op === ops.clearTable;
    const at = clearsTable ? groupStart(keyGroupOf(hash, groupBits), groupBits) : hash;
    found.push(entryOf(record, change, { hash: at, timestamp }));
  }
  // Stable: two changes of one place stay in the order in which they were made.
  return found.sort(compareEntries);
}

function touches(bytes: Uint8Array, change: CommitEntry, place: KeyPlace): boolean {
  if (change.table !== place.table) return false;
  if (change.op === ops.clearTable) return true;
  const { keyStart, keyEnd, subKeyEnd } = change;
  const { key, subKey } = place;
  if (compareBytes(bytes, keyStart, keyEnd, key, 0, key.length) !== 0) return false;
  if (subKey === undefined || change.op === ops.clearKey) return true;
  return compareBytes(bytes, keyEnd, subKeyEnd, subKey, 0, subKey.length) === 0;
}
