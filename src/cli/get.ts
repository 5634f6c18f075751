/*
 * `tidemark get DIR OPERATOR STATE KEY [SUBKEY]`: what a key holds, as JSON; exit status 1 when it
 * holds nothing.
 */
import { atOf, status, storeOf, type AtOptions, type CommonOptions } from './common.ts';
import { parseKey, parseName } from './key-argument.ts';
import type { Output } from './output.ts';
import { openShown, type ProgressStream } from './progress.ts';
import { renderValue, toJson } from './render.ts';

/** What to look up, as it was given. */
export interface GetArguments {
  readonly dir: string;
  readonly operator: string;
  readonly state: string;
  readonly key: string;
  readonly subKey: string | undefined;
}

/** A number on the command line is a string, which who looks for the number has to know. */
export function numberHint({ key, subKey }: GetArguments): string {
  const number = [subKey, key].find((part) => part !== undefined && /^-?\d+(\.\d+)?$/.test(part));
  return number === undefined ? '' : ` (${number} is a string here, the number is n:${number})`;
}

export async function get(
  streams: { readonly output: Output; readonly stderr: ProgressStream },
  given: GetArguments,
  options: CommonOptions & AtOptions,
): Promise<number> {
  const key = parseKey(given.key);
  const subKey = given.subKey === undefined ? undefined : parseKey(given.subKey);
  const operator = parseName(given.operator);
  const state = parseName(given.state);
  const where = { dir: given.dir, ...storeOf(options), ...atOf(options) };
  const reader = await openShown(streams.stderr, options.json, where);
  try {
    const entry = reader.get(operator, state, key, subKey);
    if (!entry) {
      const names = [given.operator, given.state, given.key, given.subKey];
      const text = names.filter((part) => part !== undefined).join(' ');
      streams.stderr.write(`tidemark: nothing there${numberHint(given)}: ${text}\n`);
      return status.found;
    }
    const value = renderValue(entry.value);
    if (!options.json) {
      await streams.output.line(toJson(value));
      return status.fine;
    }
    const { lsn, timestamp, expiresAt, eventTime, unproved, version } = entry;
    const keys = subKey === undefined ? {} : { subKey: renderValue(subKey) };
    const shown = {
      operator,
      state,
      key: renderValue(key),
      ...keys,
      value,
      lsn,
      timestamp,
      expiresAt,
      eventTime,
      version,
    };
    await streams.output.line(toJson(unproved ? { ...shown, unproved } : shown));
    return status.fine;
  } finally {
    await reader.close();
  }
}
