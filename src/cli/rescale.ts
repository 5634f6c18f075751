/*
 * `tidemark split DIR TO...` and `tidemark join TO DIR...`: key groups of one store as several stores, and
 * of several as one. What is read is only read.
 */
import type { Command } from 'commander';
import {
  InvalidArgumentError,
  restore,
  split,
  type PositionChoice,
  type RestoreFrom,
} from '../engine/index.ts';
import { status, storeOf, targetOf } from './common.ts';
import type { Streams } from './progress.ts';
import { withProgress } from './progress.ts';
import { claimHelp, limitsOf, printRestore, type RestoreVerbOptions } from './restore.ts';

/** Options of `join`. */
interface JoinOptions extends RestoreVerbOptions {
  /** `equal`, `union`, or a directory of the call. */
  readonly positions?: string;
  /** A directory of the call. */
  readonly holders?: string;
  readonly gaps?: boolean;
}

/** Adds the verbs; `withLimits` gives a verb the options that both share with `restore`. */
export function addRescaling(
  verb: (name: string, description: string) => Command,
  withLimits: (command: Command) => Command,
  streams: Streams,
  done: (status: number) => void,
): void {
  withLimits(
    verb('split', 'make several stores of one, each with key groups of its own')
      .argument('<dir>')
      .argument('<to...>', 'a new directory for each, or DIRECTORY@a..b for key groups a to b'),
  ).action(async (dir: string, to: string[], options: RestoreVerbOptions) => {
    done(await splitInto(streams, dir, to, options));
  });
  withLimits(
    verb('join', 'make one store of key groups of several')
      .argument('<to>', 'directory that does not exist, or is empty')
      .argument('<dirs...>', 'stores; DIRECTORY@a..b for key groups a to b of one')
      .option('--positions <which>', 'equal (default), union, or the directory whose they are')
      .option('--holders <directory>', 'the store whose state holders are taken')
      .option('--gaps', 'leave key groups empty that no store gives')
      .option('--claim', claimHelp),
  ).action(async (to: string, dirs: string[], options: JoinOptions) => {
    done(await joinInto(streams, to, dirs, options));
  });
}

async function splitInto(
  { output, stderr }: Streams,
  dir: string,
  to: readonly string[],
  options: RestoreVerbOptions,
): Promise<number> {
  const { json } = options;
  const parts = to.map(parsePlace);
  const isEven = parts.every(({ keyGroups }) => keyGroups === undefined);
  if (!isEven && parts.some(({ keyGroups }) => keyGroups === undefined)) {
    throw wrong('to', 'name key groups of every directory, or of none');
  }
  const reports = await withProgress(stderr, json, (show) =>
    split({
      from: { dir, ...storeOf(options) },
      to: isEven
        ? to
        : parts.map(({ dir: each, keyGroups }) => ({ dir: each, keyGroups: keyGroups! })),
      ...chosen(options),
      ...show,
    }),
  );
  for (const report of reports) await printRestore(output, report, json);
  return status.fine;
}

async function joinInto(
  { output, stderr }: Streams,
  to: string,
  dirs: readonly string[],
  options: JoinOptions,
): Promise<number> {
  const { json, positions, holders, gaps, store, claim } = options;
  if (store !== undefined) throw wrong('store', 'stores that are joined have their own files');
  const from = dirs.map(parsePlace);
  const numberOf = (option: string, dir: string): number => {
    const at = from.findIndex((each) => each.dir === dir);
    if (at >= 0) return at;
    throw wrong(option, `no such directory in the call: ${dir}`);
  };
  const choice = (which: string): PositionChoice =>
    which === 'equal' || which === 'union' ? which : numberOf('positions', which);
  const report = await withProgress(stderr, json, (show) =>
    restore({
      from,
      to,
      ...(positions === undefined ? {} : { positions: choice(positions) }),
      ...(holders === undefined ? {} : { holders: numberOf('holders', holders) }),
      ...(gaps === undefined ? {} : { gaps }),
      ...(claim === true ? { ownership: 'claim' as const } : {}),
      ...chosen(options),
      ...show,
    }),
  );
  await printRestore(output, report, json);
  return status.fine;
}

/** What both verbs share with `restore`. */
function chosen({ at, timeline, operators, ...limits }: RestoreVerbOptions): object {
  const target = targetOf(at, timeline);
  return {
    ...(target === undefined ? {} : { target }),
    ...(operators === undefined ? {} : { operators }),
    ...limitsOf(limits),
  };
}

/** A directory, and the key groups behind its `@`. */
function parsePlace(text: string): RestoreFrom {
  const [, dir, from, to] = /^(.+)@(\d{1,6})\.\.(\d{1,6})$/s.exec(text) ?? [];
  if (dir === undefined) return { dir: text };
  return { dir, keyGroups: { from: Number(from), to: Number(to) } };
}

function wrong(option: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_OPTION', why, { option });
}
