/*
 * `tidemark log DIR [--from LSN] [--limit N]`: commits in order, with positions, metadata and
 * changes. Exit status 1 when `--from` is past the last commit.
 */
import type { LoggedChange, LoggedCommit } from '../engine/index.ts';
import { atOf, status, storeOf, type AtOptions, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { openShown, type ProgressStream } from './progress.ts';
import { formatTime, renderValue, toJson } from './render.ts';

/** Options of the verb. */
export interface LogVerbOptions extends CommonOptions, Pick<AtOptions, 'timeline'> {
  readonly from?: number;
  readonly limit?: number;
}

export async function log(
  { output, stderr }: { readonly output: Output; readonly stderr: ProgressStream },
  dir: string,
  options: LogVerbOptions,
): Promise<number> {
  const { from, limit } = options;
  const where = { dir, ...storeOf(options), ...atOf(options) };
  const reader = await openShown(stderr, options.json, where);
  try {
    const range = {
      ...(from === undefined ? {} : { from }),
      ...(limit === undefined ? {} : { limit }),
    };
    // Past the end there is nothing to print, which must not look like an empty log.
    if (from !== undefined && from > reader.lsn) {
      stderr.write(`tidemark: nothing there: the last commit is LSN ${reader.lsn}\n`);
      return status.found;
    }
    for await (const commit of reader.commits(range)) {
      if (options.json) await output.line(toJson(commitToJson(commit)));
      else
        for (const line of describeCommit(commit, commit.entries.length)) await output.line(line);
    }
  } finally {
    await reader.close();
  }
  return status.fine;
}

/** A commit as JSON. */
export function commitToJson(commit: LoggedCommit): Record<string, unknown> {
  const { lsn, timestamp, metadata, positions, entries, unproved } = commit;
  return {
    lsn,
    timestamp,
    metadata: metadata === undefined ? undefined : renderValue(metadata),
    positions: positions && renderValue(positions),
    entries: entries.map((change) => ({
      operator: change.operator,
      state: change.state,
      op: change.op,
      key: change.key === undefined ? undefined : renderValue(change.key),
      subKey: change.subKey === undefined ? undefined : renderValue(change.subKey),
      value: hasValue(change) ? renderValue(change.value) : undefined,
      expiresAt: change.expiresAt,
      eventTime: change.eventTime,
      version: change.version,
    })),
    unproved: unproved ? true : undefined,
  };
}

/** A commit as text; `count` is the number of changes that it is said to have. */
export function* describeCommit(commit: LoggedCommit, count: number): Generator<string> {
  const { lsn, timestamp, metadata, positions, entries, unproved } = commit;
  const mark = unproved ? '  unproved' : '';
  yield `LSN ${lsn}  ${formatTime(timestamp)}  changes ${count}${mark}`;
  if (metadata !== undefined) yield `  metadata ${toJson(renderValue(metadata))}`;
  if (positions) yield `  positions ${toJson(renderValue(positions))}`;
  for (const change of entries) yield `  ${describeChange(change)}`;
}

function describeChange(change: LoggedChange): string {
  const { operator, state, op, key, subKey, expiresAt, eventTime, version } = change;
  const parts = [op, printable(`${operator}.${state}`)];
  if (key !== undefined) parts.push(toJson(renderValue(key)));
  if (subKey !== undefined) parts.push(toJson(renderValue(subKey)));
  if (hasValue(change)) parts.push(toJson(renderValue(change.value)));
  if (expiresAt !== undefined) parts.push(`expires ${formatTime(expiresAt)}`);
  if (eventTime !== undefined) parts.push(`happened ${formatTime(eventTime)}`);
  if (version !== undefined) parts.push(`version ${version}`);
  return parts.join(' ');
}

function hasValue({ op }: LoggedChange): boolean {
  return op !== 'delete' && op !== 'clear' && op !== 'clearAll';
}

/** A name as it is, without its control characters. */
function printable(name: string): string {
  return toJson(name).slice(1, -1);
}
