/*
 * `tidemark repair DIR` and `tidemark salvage DIR TO`: what is damaged, what is lost by it, and what was
 * done. `repair --dry-run` only says it. Exit status 1: something is lost, or would be.
 */
import {
  repairStore,
  salvageStore,
  type LosingPath,
  type LostCommits,
  type LostDetails,
  type RepairReport,
} from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { formatBytes, renderValue, toJson } from './render.ts';
import { describeFault } from './verify.ts';

/** Keys that are printed; `--json` has more. */
const keysShownMax = 20;

export interface RepairVerbOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly optimistic?: boolean;
}

export async function repair(
  output: Output,
  dir: string,
  options: RepairVerbOptions,
): Promise<number> {
  const { json, dryRun = false, optimistic = false } = options;
  const report = await repairStore({ dir, ...storeOf(options), dryRun, optimistic });
  if (json === true) await output.line(toJson({ ...report, loss: plain(report.loss) }));
  else for (const line of linesOf(report)) await output.line(line);
  return report.loss ? status.found : status.fine;
}

export async function salvage(
  output: Output,
  { dir, to }: { readonly dir: string; readonly to: string },
  options: RepairVerbOptions,
): Promise<number> {
  const { json, optimistic = false } = options;
  const report = await salvageStore({ dir, to, ...storeOf(options), optimistic });
  const { reachedLsn, lost, missing, details, storeId, entryCount, bytes, rebuilt } = report;
  if (json === true) {
    await output.line(toJson({ ...plain(report) }));
  } else {
    await output.line(`saved       LSN ${reachedLsn} in ${report.to}, store ${storeId}`);
    await output.line(`wrote       ${entryCount} entries, ${formatBytes(bytes)}`);
    for (const name of rebuilt) await output.line(`read with   ${name} made anew`);
    for (const line of lossLines('lost', { lost, missing, details })) await output.line(line);
  }
  return lost || missing.length > 0 ? status.found : status.fine;
}

function linesOf(report: RepairReport): string[] {
  const { dir, dryRun, faults, loss, paths, keptIn, checkpoint, removed, remaining } = report;
  const { rebuilt } = report;
  if (faults.length === 0 && !loss) return ['sound: nothing to repair'];
  const lines = faults.map((fault) => describeFault(dir, fault));
  if (!loss) lines.push(dryRun ? 'nothing would be lost' : 'nothing is lost');
  else lines.push(...lossLines(dryRun ? 'would lose' : 'lost', loss));
  if (dryRun) lines.push(...paths.map(pathLine));
  const made = dryRun ? 'would make ' : 'made anew  ';
  lines.push(...rebuilt.map((name) => `${made} ${name}`));
  if (keptIn !== undefined) lines.push(`kept        all files as they were, in ${keptIn}`);
  if (checkpoint !== undefined) lines.push(`checkpoint  ${checkpoint} holds the state`);
  lines.push(...removed.map((name) => `removed     ${name}`));
  if (checkpoint !== undefined) {
    lines.push(...remaining.map((fault) => `remains     ${describeFault(dir, fault)}`));
  }
  return lines;
}

interface Lost {
  readonly lost: LostCommits | undefined;
  readonly missing: readonly string[];
  readonly details: LostDetails | undefined;
}

function lossLines(what: string, { lost, missing, details }: Lost): string[] {
  const label = what.padEnd(11);
  const lines = missing.map((name) => `${label} operator ${name}, whole`);
  if (lost) lines.push(`${label} ${rangeText(lost)}`);
  if (!details) return lines;
  for (const { from, to } of details.unreadable) {
    lines.push(`${label} LSN ${from} to ${to - 1} cannot be read at all`);
  }
  for (const { operator, state, key, lsn } of details.keys.slice(0, keysShownMax)) {
    const where = operator === undefined ? 'a table of no name' : `${operator} ${state}`;
    lines.push(`${label} a change of ${where} ${toJson(renderValue(key))} at LSN ${lsn}`);
  }
  const more = details.keyCount - Math.min(details.keys.length, keysShownMax);
  if (more > 0) lines.push(`${label} changes of ${more} keys more`);
  return lines;
}

function rangeText({ fromLsn, throughLsn, mayBeMore }: LostCommits): string {
  if (throughLsn < fromLsn) return `what came behind LSN ${throughLsn}`;
  return `LSN ${fromLsn} to ${throughLsn}${mayBeMore ? ', and what came behind' : ''}`;
}

function pathLine({ checkpoint, lsn, lost, why }: LosingPath): string {
  const way = checkpoint === undefined ? 'the log alone' : `checkpoint ${checkpoint}`;
  const loses = lost ? `loses ${rangeText(lost)}` : 'loses nothing that is known of';
  return `way         ${way} reaches LSN ${lsn}, ${loses}: ${why}`;
}

/** Keys as `dump` prints them. */
function plain(
  loss: { readonly details: LostDetails | undefined } | undefined,
): Record<string, unknown> | undefined {
  if (!loss?.details) return loss && { ...loss };
  const keys = loss.details.keys.map((lost) => ({ ...lost, key: renderValue(lost.key) }));
  return { ...loss, details: { ...loss.details, keys } };
}
