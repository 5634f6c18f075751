/*
 * `tidemark fork DIR TO`: a second store that has everything of DIR and goes its own way. DIR is only read.
 */
import { fork, type CopyOptions } from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import { withProgress, type Streams } from './progress.ts';
import { formatBytes, formatTime, toJson } from './render.ts';

/** Options of the verb. */
export interface ForkVerbOptions extends CommonOptions {
  /** Milliseconds. */
  readonly timeout?: number;
  readonly claim?: boolean;
}

export async function forkTo(
  { output, stderr }: Streams,
  { dir, to }: { readonly dir: string; readonly to: string },
  options: ForkVerbOptions,
): Promise<number> {
  const { json, timeout, claim } = options;
  const ownership = claim === true ? 'claim' : 'no-claim';
  const limits: CopyOptions = timeout === undefined ? {} : { timeoutMs: timeout };
  const report = await withProgress(stderr, json, (show) =>
    fork({ from: { dir, ...storeOf(options) }, to, ownership, ...limits, ...show }),
  );
  if (json === true) {
    await output.line(toJson({ ...report }));
    return status.fine;
  }
  const { lsn, timestamp, timeline, storeId, checkpoints, unprovedCommits } = report;
  const { sharedFiles, sharedBytes, copiedFiles, copiedBytes, milliseconds } = report;
  const when = timestamp === 0 ? '' : ` (${formatTime(timestamp)})`;
  const lines = [
    `forked      at LSN ${lsn}${when}, ${checkpoints} checkpoints`,
    `to          ${report.dir}, store ${storeId}, timeline ${timeline}`,
    `shared      ${sharedFiles} files, ${formatBytes(sharedBytes)}`,
    `copied      ${copiedFiles} files, ${formatBytes(copiedBytes)} in ${(milliseconds / 1000).toFixed(3)} s`,
  ];
  if (claim === true) lines.push(`claimed     ${dir}`);
  if (unprovedCommits > 0) {
    lines.push(`left out    ${unprovedCommits} commits that the writer has not proved`);
  }
  for (const line of lines) await output.line(line);
  return status.fine;
}
