/*
 * `tidemark changes DIR [--from LSN | --after TIMELINE:LSN] [--follow] [--before]`: commits that are
 * proved to be durable, in order, with their changes; with `--follow` until the command is ended.
 */
import { InvalidArgumentError as BadArgument } from 'commander';
import { followStore, type ChangedCommit } from '../engine/index.ts';
import { parseCount, status, storeOf, type CommonOptions } from './common.ts';
import { describeChange, stateChangeToJson } from './diff.ts';
import { commitToJson, describeCommit } from './log.ts';
import type { Output } from './output.ts';
import { toJson } from './render.ts';

/** Options of the verb. */
export interface ChangesVerbOptions extends CommonOptions {
  readonly from?: number;
  readonly after?: { readonly timeline: number; readonly lsn: number };
  readonly timeline?: number;
  readonly follow?: boolean;
  readonly before?: boolean;
}

export async function changes(
  output: Output,
  dir: string,
  options: ChangesVerbOptions,
): Promise<number> {
  const { from, after, timeline, follow = false, before = false } = options;
  const feed = followStore({
    dir,
    ...storeOf(options),
    ...(from === undefined ? {} : { from }),
    ...(after === undefined ? {} : { after }),
    ...(timeline === undefined ? {} : { timeline }),
    follow,
    before,
  });
  for await (const commit of feed) {
    if (options.json) await output.line(toJson(changedToJson(commit)));
    else for (const line of describe(commit)) await output.line(line);
    // Whoever follows wants to see it now.
    if (follow) await output.flush();
  }
  return status.fine;
}

function changedToJson({ effects, ...commit }: ChangedCommit): Record<string, unknown> {
  const { lsn, ...shown } = commitToJson({ ...commit, unproved: false });
  return { timeline: commit.timeline, lsn, ...shown, effects: effects?.map(stateChangeToJson) };
}

/** The position of a commit, as `TIMELINE:LSN`. */
export function parsePosition(text: string): { timeline: number; lsn: number } {
  const [, timeline, lsn] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (timeline === undefined || lsn === undefined) {
    throw new BadArgument('It must be TIMELINE:LSN, such as 1:4711.');
  }
  return { timeline: parseCount(timeline), lsn: parseCount(lsn) };
}

/** Of a commit its changes, or with `--before` what they did. */
function* describe({ effects, ...commit }: ChangedCommit): Generator<string> {
  const entries = effects ? [] : commit.entries;
  const count = effects ? effects.length : entries.length;
  yield* describeCommit({ ...commit, entries, unproved: false }, count);
  for (const effect of effects ?? []) yield `  ${describeChange(effect)}`;
}
