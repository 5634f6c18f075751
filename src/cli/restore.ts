/*
 * `tidemark restore DIR TO` and `tidemark export-savepoint DIR NAME TO`: a moment of a store as a second
 * store in a new directory. DIR is only read.
 */
import {
  exportSavepoint,
  restore,
  type KeyGroupRange,
  type RestoredSource,
  type RestoreReport,
} from '../engine/index.ts';
import { status, storeOf, targetOf, type AtOptions, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { withProgress, type Streams } from './progress.ts';
import { formatBytes, formatTime, toJson } from './render.ts';

/** Options of the verbs; `export-savepoint` has no moment but a timeline, and no parts. */
export interface RestoreVerbOptions extends CommonOptions, AtOptions {
  readonly operators?: readonly string[];
  readonly keyGroups?: KeyGroupRange;
  readonly claim?: boolean;
  readonly threads?: number;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** What `--claim` does, of every verb that has it. */
export const claimHelp = 'the new store takes the place of what it is made of, which is given up';

export async function restoreTo(
  { output, stderr }: Streams,
  { dir, to }: { readonly dir: string; readonly to: string },
  options: RestoreVerbOptions,
): Promise<number> {
  const { json, at, timeline, operators, keyGroups, claim } = options;
  const target = targetOf(at, timeline);
  const report = await withProgress(stderr, json, (show) =>
    restore({
      from: { dir, ...storeOf(options) },
      to,
      ...(target === undefined ? {} : { target }),
      ...(operators === undefined ? {} : { operators }),
      ...(keyGroups === undefined ? {} : { keyGroups }),
      ...(claim === true ? { ownership: 'claim' as const } : {}),
      ...limitsOf(options),
      ...show,
    }),
  );
  await printRestore(output, report, json);
  return status.fine;
}

export async function exportSavepointTo(
  { output, stderr }: Streams,
  where: { readonly dir: string; readonly savepoint: string; readonly to: string },
  options: RestoreVerbOptions,
): Promise<number> {
  const { json, timeline } = options;
  const of = timeline === undefined ? {} : { timeline };
  const report = await withProgress(stderr, json, (show) =>
    exportSavepoint({ ...where, ...of, ...storeOf(options), ...limitsOf(options), ...show }),
  );
  await printRestore(output, report, json);
  return status.fine;
}

/** Limits of a copy. */
export function limitsOf({ threads, timeout }: RestoreVerbOptions): {
  threadsMax?: number;
  timeoutMs?: number;
} {
  return {
    ...(threads === undefined ? {} : { threadsMax: threads }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  };
}

/** Prints what a restore did. */
export async function printRestore(
  output: Output,
  report: RestoreReport,
  json: boolean | undefined,
): Promise<void> {
  if (json === true) {
    await output.line(toJson({ ...report }));
    return;
  }
  const { lsn, timestamp, partial, sources } = report;
  const { dir, storeId, entryCount, bytes, milliseconds, missingKeyGroups } = report;
  const when = timestamp === 0 ? '' : ` (${formatTime(timestamp)})`;
  const lines = [
    `restored    LSN ${lsn}${when}${partial ? ', a part' : ''}`,
    ...sources.map((source) => `from        ${describeSource(source, report)}`),
    `to          ${dir}, store ${storeId}`,
    ...workLines(report),
    `wrote       ${entryCount} entries, ${formatBytes(bytes)} in ${(milliseconds / 1000).toFixed(3)} s`,
  ];
  if (missingKeyGroups.length > 0) {
    lines.push(`missing     key groups ${missingKeyGroups.map(formatGroups).join(', ')}`);
  }
  const unprovedCommits = sources.reduce((sum, source) => sum + source.unprovedCommits, 0);
  for (const { path, what } of sources.flatMap(({ damage }) => damage)) {
    lines.push(`without     ${path}: ${what}`);
  }
  if (unprovedCommits > 0) {
    lines.push(`left out    ${unprovedCommits} commits that the writer has not proved`);
  }
  for (const line of lines) await output.line(line);
}

function formatGroups({ from, to }: KeyGroupRange): string {
  return `${from}..${to}`;
}

function describeSource(
  { checkpoint, replayedCommits, dir, lsn, keyGroups }: RestoredSource,
  { sources, missingKeyGroups }: RestoreReport,
): string {
  const start = checkpoint === undefined ? 'the log' : `checkpoint ${checkpoint}`;
  const found = `${start} and ${replayedCommits} commits`;
  const groups = `key groups ${formatGroups(keyGroups)}`;
  if (sources.length > 1) return `${dir}, ${groups}, LSN ${lsn}: ${found}`;
  return missingKeyGroups.length > 0 ? `${found}, ${groups}` : found;
}

/** How it went: phases, rates, and what the threads had to do with it. */
function workLines(report: RestoreReport): string[] {
  const { phasesMs, phasesBytes, bytesPerSecond, threads, parallelEfficiency } = report;
  const { plan, replay, write } = phasesMs;
  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(3)} s`;
  const rate = `${formatBytes(Math.round(bytesPerSecond))}/s`;
  const busy =
    parallelEfficiency === undefined ? '' : `, ${Math.round(parallelEfficiency * 100)} % busy`;
  return [
    `read        ${formatBytes(phasesBytes.write)}, ${formatBytes(phasesBytes.replay)} of it log, ${rate} while writing`,
    `phases      plan ${seconds(plan)}, replay ${seconds(replay)}, write ${seconds(write)}`,
    `threads     ${threads === 0 ? 'none' : threads}${busy}`,
  ];
}
