/*
 * `tidemark backup DIR TO`: copies a store, or brings a copy up to date. DIR is only read.
 */
import { backup } from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import { withProgress, type Streams } from './progress.ts';
import { formatBytes, toJson } from './render.ts';

/** Options of the verb. */
export interface BackupVerbOptions extends CommonOptions {
  readonly verify: boolean;
  /** Milliseconds. */
  readonly timeout?: number;
}

export async function backupTo(
  { output, stderr }: Streams,
  { dir, to }: { readonly dir: string; readonly to: string },
  options: BackupVerbOptions,
): Promise<number> {
  const { json, verify, timeout } = options;
  const report = await withProgress(stderr, json, (show) =>
    backup({
      from: { dir, ...storeOf(options) },
      to,
      verify,
      ...(timeout === undefined ? {} : { timeoutMs: timeout }),
      ...show,
    }),
  );
  if (json === true) {
    await output.line(toJson({ ...report }));
    return status.fine;
  }
  const { lsn, unprovedCommits, copiedSnapshots, copiedRecords, copiedBytes } = report;
  const { droppedFiles, verifiedBytes, milliseconds } = report;
  const lines = [
    `copied      LSN ${lsn}, to ${report.dir}`,
    `new         ${formatBytes(copiedBytes)}: ${copiedSnapshots} snapshots, ${copiedRecords} records, log`,
    `dropped     ${droppedFiles} files that the store has given up`,
    `checked     ${verifiedBytes === undefined ? 'nothing' : formatBytes(verifiedBytes)}`,
    `took        ${(milliseconds / 1000).toFixed(3)} s`,
  ];
  if (unprovedCommits > 0) {
    lines.push(`left out    ${unprovedCommits} commits that the writer has not proved`);
  }
  for (const line of lines) await output.line(line);
  return status.fine;
}
