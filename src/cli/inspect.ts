/*
 * `tidemark inspect DIR|FILE`: checkpoints, chains, segments, tables, positions, timelines and sizes.
 */
import {
  inspectStore,
  type InspectedCheckpoint,
  type InspectedTable,
  type LossNote,
  type StoreInspection,
} from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import { describeRetained, describeRetention } from './gc.ts';
import type { Output } from './output.ts';
import { inspectFile, isSnapshotFile } from './snapshot-file.ts';
import { formatBytes, formatTime, renderValue, toJson } from './render.ts';

export async function inspect(
  output: Output,
  dir: string,
  options: CommonOptions,
): Promise<number> {
  if (isSnapshotFile(dir, options)) return inspectFile(output, dir, options);
  const found = await inspectStore({ dir, ...storeOf(options) });
  if (options.json) {
    await output.line(toJson(inspectionToJson(found)));
  } else {
    await printSummary(output, found);
    await printRestore(output, found);
    await printCheckpoints(output, found);
    await printSegments(output, found);
    await printState(output, found);
  }
  for (const { code, message } of found.faults) {
    if (!options.json) await output.line(`fault: ${code}: ${message}`);
  }
  return found.faults.length === 0 ? status.fine : status.found;
}

/** Positions and metadata are values of the user; everything else is JSON already. */
function inspectionToJson(found: StoreInspection): Record<string, unknown> {
  const { state } = found;
  return {
    ...found,
    state: state && { ...state, positions: renderValue(state.positions) },
  };
}

async function printSummary(output: Output, found: StoreInspection): Promise<void> {
  const { totals, lsn, provedLsn, tornTail } = found;
  const lines = [
    `store       ${found.storeId}`,
    `kind        ${found.kind}, format ${found.format}, ${found.keyGroups} key groups`,
    `timelines   ${timelinesText(found)}`,
    `LSN         ${lsn ?? 'unknown'}, proved ${provedLsn ?? 'unknown'}`,
    `log         ${formatBytes(totals.logBytes)}`,
    `snapshots   ${formatBytes(totals.snapshotBytes)} in ${totals.snapshotCount}`,
    `records     ${formatBytes(totals.recordBytes)}`,
  ];
  if (tornTail)
    lines.push(`torn tail   from LSN ${tornTail.lsn}, at ${tornTail.offset}: ${tornTail.why}`);
  if (found.damagedHistory) lines.push('history     the log ends before the newest checkpoint');
  for (const lsn of found.lostBehind) {
    lines.push(`history     the log was lost: commits behind LSN ${lsn} may be missing`);
  }
  for (const { id, loss } of found.checkpoints) {
    if (loss) lines.push(`given up    ${describeLoss(loss)}; checkpoint ${id} has what was left`);
  }
  const missing = found.checkpoints.at(-1)?.missing ?? [];
  if (missing.length > 0) lines.push(`missing     operators ${missing.map(printable).join(', ')}`);
  for (const line of lines) await output.line(line);
}

/** What was given up, and where it still is. */
export function describeLoss({ fromLsn, throughLsn, mayBeMore, keptIn }: LossNote): string {
  const known = throughLsn < fromLsn ? `from LSN ${fromLsn} on` : `LSN ${fromLsn} to ${throughLsn}`;
  const more = mayBeMore && throughLsn >= fromLsn ? ' and perhaps more' : '';
  return `${known}${more}, files kept in ${keptIn}`;
}

async function printRestore(output: Output, found: StoreInspection): Promise<void> {
  const { restore } = found;
  if (!restore) return;
  const { snapshotBytes, logBytes, seconds, measured, policy, totals } = restore;
  const read = `${formatBytes(snapshotBytes)} of snapshots, ${formatBytes(logBytes)} of log`;
  const basis = measured ? 'from rates measured here' : 'nothing measured yet';
  const bounds = [
    `chain ${policy.maxChainLength}`,
    policy.restoreSecondsMax === undefined ? '' : `${policy.restoreSecondsMax} s`,
    policy.restoreBytesMax === undefined ? '' : formatBytes(policy.restoreBytesMax),
  ];
  const { logBytes: taken, checkpointBytes, mergeBytes } = totals;
  const amplification =
    taken === 0 ? '' : `, ${((checkpointBytes + mergeBytes) / taken).toFixed(2)} a byte of log`;
  for (const line of [
    `retention   ${describeRetention(found.retention)}`,
    `restorable  ${found.retained ? describeRetained(found.retained) : 'nothing'}`,
    `restore     about ${seconds.toFixed(3)} s (${basis}): ${read}`,
    `bounds      ${bounds.filter((bound) => bound !== '').join(', ')}; merges ${policy.strategy}`,
    `written     checkpoints ${formatBytes(checkpointBytes)}, merges ${formatBytes(mergeBytes)}${amplification}`,
  ]) {
    await output.line(line);
  }
}

async function printCheckpoints(output: Output, { checkpoints }: StoreInspection): Promise<void> {
  if (checkpoints.length === 0) return;
  await output.line();
  await output.table(
    ['checkpoint', 'kind', 'LSN', 'last commit', 'chain', 'bytes', 'entries', 'cause', 'savepoint'],
    checkpoints.map(({ id, kind, lsn, timestamp, chain, chainBytes, ...rest }) => [
      id,
      kind,
      lsn,
      formatTime(timestamp),
      chain.map((link) => `${link.kind} ${link.lastLsn}`).join(', '),
      formatBytes(chainBytes),
      chain.reduce((sum, link) => sum + link.entryCount, 0),
      rest.merge === undefined ? rest.trigger : `merge: ${rest.merge.why}`,
      savepointText(rest),
    ]),
  );
}

function savepointText(checkpoint: Pick<InspectedCheckpoint, 'savepoint' | 'dropped'>): string {
  const { savepoint, dropped } = checkpoint;
  if (savepoint === undefined) return '';
  return `${printable(savepoint)}${dropped ? ' (dropped)' : ''}`;
}

async function printSegments(output: Output, { log }: StoreInspection): Promise<void> {
  const files = log.segments.map((segment) => [
    segment.name,
    segment.timeline,
    segment.epoch,
    segment.lastLsn < segment.firstLsn ? 'none' : `${segment.firstLsn} to ${segment.lastLsn}`,
    formatBytes(segment.usedBytes),
    formatBytes(segment.fileBytes),
    segment.status,
  ]);
  const ahead = log.temporary.map(({ name, fileBytes }) => [
    name,
    '',
    '',
    'none',
    formatBytes(0),
    formatBytes(fileBytes),
    'filled ahead',
  ]);
  if (files.length + ahead.length === 0) return;
  await output.line();
  await output.table(
    ['segment', 'timeline', 'epoch', 'LSNs', 'used', 'file', 'status'],
    [...files, ...ahead],
  );
}

async function printState(output: Output, { lsn, state }: StoreInspection): Promise<void> {
  if (!state) return;
  await output.line();
  if (state.lsn !== lsn) await output.line(`the state is that of LSN ${state.lsn}:`);
  const rows = state.tables.map((table) => [
    printable(table.operator),
    printable(table.state),
    kindOf(table),
    table.entryCount,
    formatBytes(table.bytes),
  ]);
  const { chunks } = state;
  if (chunks.entryCount > 0) {
    rows.push(['', '', 'chunks of blobs', chunks.entryCount, formatBytes(chunks.bytes)]);
  }
  await output.table(['operator', 'state', 'kind', 'entries', 'bytes'], rows);
  const positions = Object.entries(state.positions);
  if (positions.length === 0) return;
  await output.line();
  await output.table(
    ['source', 'position'],
    positions.map(([source, position]) => [printable(source), toJson(renderValue(position))]),
  );
}

/** The kind, and what a program may change of it. */
function kindOf({ kind, itemsMax, version }: InspectedTable): string {
  const newest = itemsMax === undefined ? kind : `${kind}, newest ${itemsMax}`;
  return version === undefined ? newest : `${newest}, version ${version}`;
}

/** A name as it is, without its control characters. */
export function printable(name: string): string {
  return toJson(name).slice(1, -1);
}

/** The current one is said where there are others. */
function timelinesText({ timeline, timelines }: StoreInspection): string {
  if (timelines.length < 2) return timelines.join() || 'none';
  const shown = timelines.map((id) => (id === timeline ? `${id} (current)` : `${id}`));
  return shown.join(', ');
}
