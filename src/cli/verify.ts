/*
 * `tidemark verify DIR|FILE`: one line a fault (file, offset, LSN, what is wrong) and exit status 1, or
 * one line that says what was found sound.
 */
import { relative } from 'node:path';
import { verifyStore, type StoreFault, type StoreVerification } from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { isSnapshotFile, verifyFile } from './snapshot-file.ts';
import { formatBytes, toJson } from './render.ts';

export async function verify(output: Output, dir: string, options: CommonOptions): Promise<number> {
  if (isSnapshotFile(dir, options)) return verifyFile(output, dir, options);
  const found = await verifyStore({ dir, ...storeOf(options) });
  const sound = found.faults.length === 0;
  if (options.json) {
    await output.line(toJson({ sound, ...found }));
  } else {
    for (const note of found.notes) await output.line(`note: ${describeFault(found.dir, note)}`);
    for (const fault of found.faults) await output.line(describeFault(found.dir, fault));
    if (sound) await output.line(summary(found));
  }
  return sound ? status.fine : status.found;
}

/** File relative to the directory, then what is known of the place, then what is wrong. */
export function describeFault(dir: string, { path, offset, lsn, what }: StoreFault): string {
  const inside = relative(dir, path);
  const file = inside === '' || inside.startsWith('..') ? path : inside;
  const place = [
    ...(offset === undefined ? [] : [`offset ${offset}`]),
    ...(lsn === undefined ? [] : [`LSN ${lsn}`]),
  ];
  return [file, place.join(', '), what].filter((part) => part !== '').join(': ');
}

function summary(found: StoreVerification): string {
  const { checkpointCount, snapshotCount, snapshotBytes, segmentCount, recordCount, logBytes } =
    found;
  return [
    `sound: ${count(checkpointCount, 'checkpoint')}`,
    `${count(snapshotCount, 'snapshot')} (${formatBytes(snapshotBytes)})`,
    `${count(segmentCount, 'segment')} (${formatBytes(logBytes)})`,
    count(recordCount, 'commit'),
    `through LSN ${found.lsn ?? 0}, proved ${found.provedLsn ?? 0}`,
    ...(found.trimmedBelow === undefined
      ? []
      : [`LSNs below ${found.trimmedBelow} given up by retention`]),
  ].join(', ');
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`;
}
