/*
 * `tidemark timelines DIR`: where each timeline left the one before, how far it goes, and what of it
 * can be restored. Reads only.
 */
import { listTimelines, type TimelineInfo } from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { formatTime, toJson } from './render.ts';

export async function timelines(
  output: Output,
  dir: string,
  options: CommonOptions,
): Promise<number> {
  const found = await listTimelines({ dir, ...storeOf(options) });
  const left = ({ parent, parentStore }: TimelineInfo): string | number =>
    parentStore === undefined ? (parent ?? '') : `${parent} of store ${parentStore}`;
  if (options.json) await output.line(toJson({ ...found }));
  else {
    await output.table(
      ['timeline', 'left', 'at LSN', 'time of that commit', 'last LSN', 'restorable from', ''],
      found.timelines.map((timeline) => {
        const { id, current, parent, forkLsn, forkTimestamp, lsn, retained } = timeline;
        return [
          id,
          left(timeline),
          parent === undefined ? '' : forkLsn,
          parent === undefined || forkTimestamp === 0 ? '' : formatTime(forkTimestamp),
          lsn ?? 'cannot be read',
          retained === undefined ? '' : restorable(retained),
          current ? 'current' : '',
        ];
      }),
    );
    for (const { code, message } of found.faults) await output.line(`${code}: ${message}`);
  }
  return found.faults.length > 0 ? status.found : status.fine;
}

function restorable(retained: {
  readonly fromLsn: number | undefined;
  readonly oldestLsn: number | undefined;
}): string {
  const { fromLsn, oldestLsn } = retained;
  if (fromLsn !== undefined) return `LSN ${fromLsn}`;
  return oldestLsn === undefined ? 'nothing' : `LSN ${oldestLsn}, checkpoints only`;
}
