/*
 * Whether the record of a sound group is a commit that can be replayed: header and entries well formed,
 * nothing behind them, and a timestamp above the one before (E1). The checksum of a group says that it
 * is what was written; this says that what was written can be read.
 */
import { TidemarkError } from '../errors.ts';
import {
  decodeCommitEntry,
  decodeCommitHeader,
  emptyCommitEntry,
} from '../snapshot/commit-format.ts';

/** The timestamp of a commit, or what is wrong with it. */
export function commitFault(record: Uint8Array, lastTimestamp: number): number | string {
  const entry = emptyCommitEntry();
  try {
    const header = decodeCommitHeader(record, 0, record.length);
    let at = header.metadataEnd;
    for (let index = 0; index < header.entryCount; index++) {
      decodeCommitEntry(record, at, record.length, entry);
      at = entry.end;
    }
    if (at !== record.length) return 'commit record has bytes behind its last entry';
    if (header.timestamp > lastTimestamp) return header.timestamp;
    return `commit has timestamp ${header.timestamp}, the one before it ${lastTimestamp}`;
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    return error.message;
  }
}
