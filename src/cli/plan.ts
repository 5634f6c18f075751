/*
 * `tidemark plan DIR --at MOMENT`: what a restore to a moment would read and cost, and what can be
 * restored at all. Reads only.
 */
import { planStoreRestore } from '../engine/index.ts';
import { atOf, status, storeOf, type AtOptions, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { formatBytes, formatTime, toJson } from './render.ts';

export async function plan(
  output: Output,
  dir: string,
  options: CommonOptions & AtOptions,
): Promise<number> {
  const planned = await planStoreRestore({ dir, ...storeOf(options), ...atOf(options) });
  if (options.json) {
    await output.line(toJson({ ...planned }));
    return status.fine;
  }
  const { lsn, checkpoint, checkpointLsn, chain, snapshotBytes, logBytes } = planned;
  const { replayedCommits, seconds, measured, retained } = planned;
  const start =
    checkpoint === undefined
      ? 'the log alone'
      : `checkpoint ${checkpoint} at LSN ${checkpointLsn}, ${formatBytes(snapshotBytes)} in ${chain.length} ${chain.length === 1 ? 'snapshot' : 'snapshots'}`;
  const every =
    retained.fromLsn === undefined
      ? 'single checkpoints only'
      : `every commit from LSN ${retained.fromLsn}${retained.fromTimestamp ? ` (${formatTime(retained.fromTimestamp)})` : ''} on`;
  for (const line of [
    `moment      LSN ${lsn}`,
    `from        ${start}`,
    `log         ${replayedCommits} commits, up to ${formatBytes(logBytes)} to read`,
    `restore     about ${seconds.toFixed(3)} s (${measured ? 'from rates measured here' : 'nothing measured yet'})`,
    `restorable  ${every}; ${retained.checkpointCount} checkpoints`,
  ]) {
    await output.line(line);
  }
  return status.fine;
}
