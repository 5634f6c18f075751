/*
 * Which moments of a store can be restored: single ones by checkpoints alone, and every commit from
 * where the log that is kept meets a checkpoint, or from the first commit while all of the log is
 * there.
 */

/** Moments that can be restored. */
export interface RetainedRange {
  /** First LSN that the log holds, or will hold; LSNs below it were given up. */
  readonly logFromLsn: number;
  /**
   * Every commit from this LSN on can be restored, 0: every one there was; undefined: none but those
   * of checkpoints.
   */
  readonly fromLsn: number | undefined;
  /** Time of that commit, microseconds; 0 before the first. */
  readonly fromTimestamp: number | undefined;
  /** The oldest checkpoint, which can be restored by itself. */
  readonly oldestLsn: number | undefined;
  readonly oldestTimestamp: number | undefined;
  readonly checkpointCount: number;
}

/** `records` are oldest first, and can be restored. */
export function retainedRange(
  records: readonly { readonly lsn: number; readonly timestamp: number }[],
  logFromLsn: number,
): RetainedRange {
  const oldest = records.at(0);
  const joint =
    logFromLsn <= 1 ? { lsn: 0, timestamp: 0 } : records.find(({ lsn }) => lsn + 1 >= logFromLsn);
  return {
    logFromLsn,
    fromLsn: joint?.lsn,
    fromTimestamp: joint?.timestamp,
    oldestLsn: oldest?.lsn,
    oldestTimestamp: oldest?.timestamp,
    checkpointCount: records.length,
  };
}
