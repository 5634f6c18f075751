/*
 * `tidemark diff DIR FROM TO [OPERATOR [STATE]]`: what differs between two moments; exit status 1
 * when something does, as that of `diff` of files.
 */
import { diffStore, type StateChange } from '../engine/index.ts';
import { status, storeOf, targetOf, type CommonOptions } from './common.ts';
import { parseName } from './key-argument.ts';
import type { Output } from './output.ts';
import { renderValue, toJson, type Json } from './render.ts';

/** What to compare, as it was given. */
export interface DiffArguments {
  readonly dir: string;
  readonly from: string;
  readonly to: string;
  readonly operator: string | undefined;
  readonly state: string | undefined;
}

/** Options of the verb. */
export interface DiffVerbOptions extends CommonOptions {
  readonly fromTimeline?: number;
  readonly toTimeline?: number;
}

export async function diff(
  output: Output,
  { dir, from, to, operator, state }: DiffArguments,
  options: DiffVerbOptions,
): Promise<number> {
  const changes = diffStore({
    dir,
    ...storeOf(options),
    from: targetOf(from, options.fromTimeline) ?? 'latest',
    to: targetOf(to, options.toTimeline) ?? 'latest',
    ...(operator === undefined ? {} : { operator: parseName(operator) }),
    ...(state === undefined ? {} : { state: parseName(state) }),
  });
  let result: number = status.fine;
  for await (const change of changes) {
    result = status.found;
    await output.line(options.json ? toJson(stateChangeToJson(change)) : describeChange(change));
  }
  return result;
}

/** A change as JSON: values that are not there are left out. */
export function stateChangeToJson(change: StateChange): { readonly [key: string]: Json } {
  const { operator, state, key, subKey, kind, oldValue, newValue } = change;
  return {
    operator,
    state,
    key: renderValue(key),
    ...(subKey === undefined ? {} : { subKey: renderValue(subKey) }),
    kind,
    ...(kind === 'insert' ? {} : { oldValue: renderValue(oldValue) }),
    ...(kind === 'delete' ? {} : { newValue: renderValue(newValue) }),
  };
}

const signs = { insert: '+', update: '~', delete: '-' } as const;

/** A change as one line of text. */
export function describeChange(change: StateChange): string {
  const { operator, state, key, subKey, kind, oldValue, newValue } = change;
  const parts: string[] = [signs[kind], toJson(`${operator}.${state}`).slice(1, -1)];
  parts.push(toJson(renderValue(key)));
  if (subKey !== undefined) parts.push(toJson(renderValue(subKey)));
  if (kind !== 'insert') parts.push(toJson(renderValue(oldValue)));
  if (kind === 'update') parts.push('->');
  if (kind !== 'delete') parts.push(toJson(renderValue(newValue)));
  return parts.join(' ');
}
