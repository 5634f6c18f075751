/*
 * `tidemark dump DIR|FILE [OPERATOR [STATE]]`: every live entry as one line of JSON.
 */
import { InvalidArgumentError, type ReaderEntry } from '../engine/index.ts';
import { atOf, status, storeOf, type AtOptions, type CommonOptions } from './common.ts';
import { parseName } from './key-argument.ts';
import { openShown, type Streams } from './progress.ts';
import { dumpFile, isSnapshotFile } from './snapshot-file.ts';
import { renderValue, toJson } from './render.ts';

/** What to dump, as it was given. */
export interface DumpArguments {
  readonly dir: string;
  readonly operator: string | undefined;
  readonly state: string | undefined;
}

export async function dump(
  { output, stderr }: Streams,
  { dir, operator, state }: DumpArguments,
  options: CommonOptions & AtOptions,
): Promise<number> {
  if (isSnapshotFile(dir, options)) {
    if (options.at !== undefined) {
      throw new InvalidArgumentError('INVALID_CALL', 'a snapshot file has one moment only: --at');
    }
    return dumpFile(output, dir, [operator, state]);
  }
  const where = { dir, ...storeOf(options), ...atOf(options) };
  const reader = await openShown(stderr, options.json, where);
  try {
    const names = [operator, state].map((name) => (name === undefined ? name : parseName(name)));
    for (const entry of reader.entries(names[0], names[1])) await output.line(describeEntry(entry));
  } finally {
    await reader.close();
  }
  return status.fine;
}

function describeEntry(entry: ReaderEntry): string {
  const { operator, state, kind, key, subKey, index, value, lsn, timestamp } = entry;
  const { expiresAt, eventTime, version } = entry;
  const shown = {
    operator,
    state,
    kind,
    key: renderValue(key),
    subKey: subKey === undefined ? undefined : renderValue(subKey),
    index,
    value: renderValue(value),
    lsn,
    timestamp,
    expiresAt,
    eventTime,
    version,
  };
  return toJson(entry.unproved ? { ...shown, unproved: true } : shown);
}
