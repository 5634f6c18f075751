/*
 * A log that was trimmed holds no state by itself: what was before its beginning is in a checkpoint.
 * When no record is found then (deleted, or looked for in the wrong store), going on from the log
 * would be a state with its oldest part missing, so it is refused. Openings and readers ask here.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { CorruptionError } from '../errors.ts';
import type { LowWater } from '../wal/low-water.ts';

/** What is wrong, or undefined. */
export function beginningFault(
  lowWater: LowWater | undefined,
  hasRecord: boolean,
): string | undefined {
  if (hasRecord || !lowWater || lowWater.lsn === 1) return undefined;
  return `log begins at LSN ${lowWater.lsn}, and no checkpoint record is found that holds what was before`;
}

/** @throws CorruptionError BROKEN_CHAIN */
export function checkBeginning(
  path: string,
  lowWater: LowWater | undefined,
  record: CheckpointRecord | undefined,
): void {
  const what = beginningFault(lowWater, record !== undefined);
  if (what === undefined) return;
  const lsn = lowWater?.lsn;
  throw new CorruptionError('BROKEN_CHAIN', `${what}: ${path}`, { path, lsn: 1, actual: lsn });
}
