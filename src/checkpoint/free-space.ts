/*
 * Room for a snapshot, looked at before any work is done for it. What a snapshot will need is not
 * known before it is made, so it is judged by what snapshots of this store needed so far; a guess
 * that was too low ends as a failed attempt, which removes what it wrote.
 */
import { StorageError } from '../errors.ts';
import type { WrittenTotals } from './checkpoint-record.ts';
import type { CheckpointerInput } from './checkpointer-input.ts';

/** A snapshot may turn out that much larger than those before it. */
const HEADROOM = 1.25;
/** Header, footer, record. */
const FIXED_BYTES = 256 * 1024;

/** Bytes that a delta of so much log is likely to take. */
export function deltaRoom(logBytes: number, totals: WrittenTotals): number {
  const share = totals.logBytes === 0 ? 1 : (totals.checkpointBytes / totals.logBytes) * HEADROOM;
  return Math.ceil(logBytes * Math.min(1, share)) + FIXED_BYTES;
}

/** Bytes that a merge is likely to take. */
export function mergeRoom(outputBytes: number): number {
  return Math.ceil(outputBytes * HEADROOM) + FIXED_BYTES;
}

/** Throws NO_SPACE, with both figures, when there is less room than that. */
export function assertRoom({ freeBytes }: CheckpointerInput, neededBytes: number): void {
  const free = freeBytes();
  if (free >= neededBytes) return;
  throw new StorageError(
    'NO_SPACE',
    `no space for a snapshot: ${neededBytes} bytes are needed, ${free} are free`,
    { neededBytes, freeBytes: free },
  );
}
