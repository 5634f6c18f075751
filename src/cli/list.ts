/*
 * `tidemark list DIR`: checkpoints and savepoints, one line each, oldest first.
 */
import { listCheckpoints, type CheckpointList } from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import { describeLoss, printable } from './inspect.ts';
import type { Output } from './output.ts';
import { formatBytes, formatTime, toJson } from './render.ts';

export async function list(output: Output, dir: string, options: CommonOptions): Promise<number> {
  const found = await listCheckpoints({ dir, ...storeOf(options) });
  if (options.json) await output.line(toJson({ ...found }));
  else await print(output, found);
  return found.faults.length > 0 ? status.found : status.fine;
}

async function print(output: Output, { checkpoints, faults }: CheckpointList): Promise<void> {
  const several = new Set(checkpoints.map(({ timeline }) => timeline)).size > 1;
  for (const checkpoint of checkpoints) {
    const { id, kind, timeline, lsn, timestamp, chain, chainBytes, savepoint, dropped } =
      checkpoint;
    const { loss, missing } = checkpoint;
    const of = several ? `timeline ${timeline}  ` : '';
    const named =
      savepoint === undefined
        ? ''
        : `  ${dropped ? 'dropped ' : ''}savepoint ${printable(savepoint)}`;
    const lost = loss === undefined ? '' : `  given up: ${describeLoss(loss)}`;
    const without = missing.length === 0 ? '' : `  missing: ${missing.map(printable).join(', ')}`;
    await output.line(
      `${String(id).padStart(6)}  ${kind.padEnd(5)}  ${of}LSN ${String(lsn).padEnd(10)}  ` +
        `${formatTime(timestamp)}  ${formatBytes(chainBytes)} in ${chain.length}${named}${lost}${without}`,
    );
  }
  for (const { code, message } of faults) await output.line(`${code}: ${message}`);
}
