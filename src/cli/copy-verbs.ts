/*
 * The verbs that make copies of a store, and the one that lists what can be copied: their
 * arguments. Copies read their source without a lock and write to another directory.
 */
import { InvalidArgumentError as BadArgument, type Command } from 'commander';
import type { KeyGroupRange } from '../engine/index.ts';
import { backupTo, type BackupVerbOptions } from './backup.ts';
import { parseCount, timelineHelp, type CommonOptions } from './common.ts';
import { forkTo, type ForkVerbOptions } from './fork.ts';
import { list } from './list.ts';
import type { Streams } from './progress.ts';
import { addRescaling } from './rescale.ts';
import { claimHelp, exportSavepointTo, restoreTo, type RestoreVerbOptions } from './restore.ts';

const momentHelp =
  'latest (default), lsn:N, checkpoint:N, savepoint:NAME, or a time such as 2026-11-20T14:02:37Z';

export function addCopies(
  verb: (name: string, description: string) => Command,
  streams: Streams,
  done: (status: number) => void,
): void {
  verb('list', 'list checkpoints and savepoints, one line each')
    .argument('<dir>')
    .action(async (dir: string, options: CommonOptions) => {
      done(await list(streams.output, dir, options));
    });
  withParts(
    verb('restore', 'make a second store of a moment, in a new directory')
      .argument('<dir>')
      .argument('<to>', 'directory that does not exist, or is empty'),
  )
    .option('--key-groups <a..b>', 'only these key groups, b exclusive', parseGroups)
    .option('--claim', claimHelp)
    .action(async (dir: string, to: string, options: RestoreVerbOptions) => {
      done(await restoreTo(streams, { dir, to }, options));
    });
  addRescaling(verb, withParts, streams, done);
  verb('export-savepoint', 'write a savepoint into one directory that opens anywhere')
    .argument('<dir>')
    .argument('<name>')
    .argument('<to>', 'directory that does not exist, or is empty')
    .option('--timeline <id>', timelineHelp, parseCount)
    .option('--threads <count>', 'threads at most (default: all cores)', parseThreads)
    .option('--timeout <seconds>', 'give up after so long (default: 300)', parseSeconds)
    .action(async (dir: string, savepoint: string, to: string, options: RestoreVerbOptions) => {
      done(await exportSavepointTo(streams, { dir, savepoint, to }, options));
    });
  verb('fork', 'make a second store that shares files, and goes its own way')
    .argument('<dir>')
    .argument('<to>', 'directory that does not exist, or is empty')
    .option('--timeout <seconds>', 'give up after so long (default: 300)', parseSeconds)
    .option('--claim', claimHelp)
    .action(async (dir: string, to: string, options: ForkVerbOptions) => {
      done(await forkTo(streams, { dir, to }, options));
    });
  verb('backup', 'copy a store, or bring a copy up to date, and check the copy')
    .argument('<dir>')
    .argument('<to>', 'directory that does not exist, is empty, or holds the last backup')
    .option('--no-verify', 'do not check the copy')
    .option('--timeout <seconds>', 'give up after so long (default: 300)', parseSeconds)
    .action(async (dir: string, to: string, options: BackupVerbOptions) => {
      done(await backupTo(streams, { dir, to }, options));
    });
}

function withParts(command: Command): Command {
  return command
    .option('--at <moment>', momentHelp)
    .option('--timeline <id>', timelineHelp, parseCount)
    .option('--operators <names>', 'only these operators, separated by commas', parseNames)
    .option('--threads <count>', 'threads at most (default: all cores)', parseThreads)
    .option('--timeout <seconds>', 'give up after so long (default: 300)', parseSeconds);
}

function parseNames(text: string): string[] {
  const names = text.split(',');
  if (names.every((name) => name !== '')) return names;
  throw new BadArgument('It must be names separated by commas.');
}

function parseGroups(text: string): KeyGroupRange {
  const [, from, to] = /^(\d{1,6})\.\.(\d{1,6})$/.exec(text) ?? [];
  if (from !== undefined && Number(from) < Number(to))
    return { from: Number(from), to: Number(to) };
  throw new BadArgument('It must be a..b with a below b, such as 0..64.');
}

function parseThreads(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new BadArgument('It must be a whole number from 1.');
}

/** In milliseconds. */
function parseSeconds(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text) * 1000;
  throw new BadArgument('It must be a whole number of seconds from 1.');
}
