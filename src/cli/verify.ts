/*
 * `tidemark verify DIR|FILE`: one line a fault (file, offset, LSN, what is wrong) and exit status 1, or
 * one line that says what was found sound.
 */
import { relative } from 'node:path';
import {
  InvalidArgumentError,
  verifyStore,
  type StoreFault,
  type StoreVerification,
  type Verification,
} from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import { withProgress, type Streams } from './progress.ts';
import { isSnapshotFile, verifyFile } from './snapshot-file.ts';
import { formatBytes, toJson } from './render.ts';

export interface VerifyVerbOptions extends CommonOptions {
  readonly level?: string;
  readonly checkpoint?: number;
}

export async function verify(
  { output, stderr }: Streams,
  dir: string,
  options: VerifyVerbOptions,
): Promise<number> {
  const { json, level, checkpoint } = options;
  if (isSnapshotFile(dir, options)) {
    for (const name of ['level', 'checkpoint'] as const) {
      if (options[name] === undefined) continue;
      const message = `--${name} goes with a directory, not a file`;
      throw new InvalidArgumentError('INVALID_OPTION', message, { option: name });
    }
    return verifyFile(output, dir, options);
  }
  const found = await withProgress(stderr, json, (show) =>
    verifyStore({
      dir,
      ...storeOf(options),
      ...(level === undefined ? {} : { level: level as Verification }),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...show,
    }),
  );
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
  const { level, checkpoint, lsn } = found;
  const reading = level === 'full' ? '' : ` at level ${level}`;
  const snapshots = `${count(snapshotCount, 'snapshot')} (${formatBytes(snapshotBytes)})`;
  if (checkpoint !== undefined) return `sound${reading}: checkpoint ${checkpoint}, ${snapshots}`;
  if (lsn === undefined) {
    return `sound${reading}: ${count(checkpointCount, 'checkpoint')}, ${snapshots}, ${count(segmentCount, 'segment')}`;
  }
  return [
    `sound${reading}: ${count(checkpointCount, 'checkpoint')}`,
    snapshots,
    `${count(segmentCount, 'segment')} (${formatBytes(logBytes)})`,
    count(recordCount, 'commit'),
    `through LSN ${lsn}, proved ${found.provedLsn ?? 0}`,
    ...(found.trimmedBelow === undefined
      ? []
      : [`LSNs below ${found.trimmedBelow} given up by retention`]),
  ].join(', ');
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`;
}
