/*
 * `tidemark history DIR OPERATOR STATE KEY [SUBKEY]`: every version of a key that is known, oldest
 * first; exit status 1 when there is none.
 */
import type { HistoryVersion } from '../engine/index.ts';
import { atOf, status, storeOf, type AtOptions, type CommonOptions } from './common.ts';
import { numberHint, type GetArguments } from './get.ts';
import { parseKey, parseName } from './key-argument.ts';
import type { Output } from './output.ts';
import { openShown, type ProgressStream } from './progress.ts';
import { formatTime, renderValue, toJson } from './render.ts';

/** Options of the verb. */
export interface HistoryVerbOptions extends CommonOptions, Pick<AtOptions, 'timeline'> {}

export async function history(
  { output, stderr }: { readonly output: Output; readonly stderr: ProgressStream },
  given: GetArguments,
  options: HistoryVerbOptions,
): Promise<number> {
  const key = parseKey(given.key);
  const subKey = given.subKey === undefined ? undefined : parseKey(given.subKey);
  const where = { dir: given.dir, ...storeOf(options), ...atOf(options) };
  const reader = await openShown(stderr, options.json, where);
  let result: number = status.found;
  try {
    const [operator, state] = [parseName(given.operator), parseName(given.state)];
    for await (const version of reader.history(operator, state, key, subKey)) {
      result = status.fine;
      await output.line(options.json ? toJson(versionToJson(version)) : describe(version));
    }
  } finally {
    await reader.close();
  }
  if (result === status.found) {
    const text = [given.operator, given.state, given.key, given.subKey].join(' ').trimEnd();
    stderr.write(`tidemark: nothing there${numberHint(given)}: ${text}\n`);
  }
  return result;
}

/** Whether the key holds something then. */
function isThere({ kind, value }: HistoryVersion): boolean {
  return kind === 'insert' || kind === 'update' || (kind === 'expire' && value !== undefined);
}

function versionToJson(version: HistoryVersion): Record<string, unknown> {
  const { lsn, timestamp, kind, value, positions, source, unproved } = version;
  return {
    lsn,
    timestamp,
    kind,
    value: isThere(version) ? renderValue(value) : undefined,
    positions: positions && renderValue(positions),
    source,
    unproved: unproved ? true : undefined,
    version: version.version,
  };
}

function describe(version: HistoryVersion): string {
  const { lsn, timestamp, kind, value, positions, source, unproved } = version;
  const parts = [`LSN ${lsn}`, formatTime(timestamp), kind];
  if (isThere(version)) parts.push(toJson(renderValue(value)));
  if (positions && Object.keys(positions).length > 0) {
    parts.push(`positions ${toJson(renderValue(positions))}`);
  }
  if (source === 'checkpoint') parts.push('(from a checkpoint: there may be others before it)');
  if (version.version !== undefined) parts.push(`version ${version.version}`);
  if (unproved) parts.push('unproved');
  return parts.join('  ');
}
