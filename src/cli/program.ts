/*
 * The verbs of the command line, and how its errors end. Everything goes through the public API.
 * Verbs that read take no lock and write nothing; those that write say so.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { TidemarkError } from '../errors.ts';
import {
  parseCount,
  registerCodecModules,
  status,
  timelineHelp,
  type CommonOptions,
  type AtOptions,
} from './common.ts';
import { addCopies } from './copy-verbs.ts';
import { dump } from './dump.ts';
import { gc, parseDuration, parseSchedule, type GcOptions } from './gc.ts';
import { get } from './get.ts';
import { inspect } from './inspect.ts';
import { mergeStrategies } from '../engine/index.ts';
import { log, type LogVerbOptions } from './log.ts';
import { plan } from './plan.ts';
import { merge, type MergeVerbOptions } from './merge.ts';
import { repair, salvage, type RepairVerbOptions } from './repair.ts';
import { Output, type TextStream } from './output.ts';
import { parseBytes, parseSeconds, tune, type TuneVerbOptions } from './tune.ts';
import { addTimeTravel } from './time-travel.ts';
import { verify, type VerifyVerbOptions } from './verify.ts';

const atHelp =
  'latest (default), lsn:N, checkpoint:N, savepoint:NAME, or a time such as 2026-11-20T14:02:37Z';

const keyHelp = `
KEY and SUBKEY: plain text is a string, 3 too: the number is n:3. Other keys, and strings that look like them, have a prefix:
  s:TEXT   a string        n:12.5  a number     i:12  a bigint
  b:true   a boolean       x:00ff  bytes, hexadecimal
  j:JSON   any key as dump prints it: j:["JFK",{"$bigint":"7"}]
OPERATOR and STATE: plain text, or j:"TEXT" for a name that a shell cannot hold.`;

/** Runs a command line; resolves with the exit status. */
export async function run(
  args: readonly string[],
  stdout: TextStream,
  stderr: TextStream,
): Promise<number> {
  const output = new Output(stdout);
  let result: number = status.fine;
  const program = createProgram(output, stderr, (value) => {
    result = value;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    await output.flush();
    return result;
  } catch (error) {
    await output.flush();
    if (error instanceof CommanderError) return error.exitCode === 0 ? status.fine : status.failed;
    stderr.write(`${describeError(error)}\n`);
    return status.failed;
  }
}

/** One line for an error that is told on purpose; the whole story of a bug. */
export function describeError(error: unknown): string {
  if (error instanceof TidemarkError) return `tidemark: ${error.code}: ${error.message}`;
  return `tidemark: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

function createProgram(
  output: Output,
  stderr: TextStream,
  done: (status: number) => void,
): Command {
  const program = new Command('tidemark')
    .description(
      'Reads Tidemark stores, also those that another process has open, and looks after them.',
    )
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: (text) => stderr.write(text),
    });
  const verb = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--json', 'print JSON')
      .option('--store <path>', 'directory of snapshots and checkpoints, when it is not DIR')
      .option('--codec-module <name=path...>', 'codecs of its own that the store was written with')
      .hook('preAction', (command) => registerCodecModules(command.opts()));
  verb('inspect', 'show checkpoints, segments, tables, positions and sizes')
    .argument('<path>', 'directory of a store, or a snapshot file')
    .action(async (dir: string, options: CommonOptions) => {
      done(await inspect(output, dir, options));
    });
  verb('verify', 'check what a store needs; one line a fault')
    .argument('<path>', 'directory of a store, or a snapshot file')
    .option('--level <level>', 'none, basic, standard, or full (default): every byte')
    .option('--checkpoint <id>', 'check only what this checkpoint stands on', parseCount)
    .action(async (dir: string, options: VerifyVerbOptions) => {
      done(await verify({ output, stderr }, dir, options));
    });
  verb('get', 'print what a key holds')
    .argument('<dir>')
    .argument('<operator>')
    .argument('<state>')
    .argument('<key>')
    .argument('[subkey]')
    .option('--at <moment>', atHelp)
    .option('--timeline <id>', timelineHelp, parseCount)
    .addHelpText('after', keyHelp)
    .action(async (...given: [string, string, string, string, string?, CommonOptions?]) => {
      const [dir, operator, state, key, subKey, options = {}] = given;
      done(await get({ output, stderr }, { dir, operator, state, key, subKey }, options));
    });
  verb('dump', 'print entries as JSON lines')
    .argument('<path>', 'directory of a store, or a snapshot file')
    .argument('[operator]')
    .argument('[state]')
    .option('--at <moment>', atHelp)
    .option('--timeline <id>', timelineHelp, parseCount)
    .addHelpText('after', keyHelp)
    .action(async (...given: [string, string?, string?, CommonOptions?]) => {
      const [dir, operator, state, options = {}] = given;
      done(await dump({ output, stderr }, { dir, operator, state }, options));
    });
  addLog(verb, { output, stderr }, done);
  addTune(verb, output, done);
  addTimeTravel(verb, { output, stderr, done, keyHelp });
  addUpkeep(verb, output, done);
  addCopies(verb, { output, stderr }, done);
  return program;
}

function addLog(
  verb: (name: string, description: string) => Command,
  streams: { readonly output: Output; readonly stderr: TextStream },
  done: (status: number) => void,
): void {
  verb('log', 'print commits with their changes')
    .argument('<dir>')
    .option('--from <lsn>', 'first LSN', parseCount)
    .option('--limit <count>', 'at most so many commits', parseCount)
    .option('--timeline <id>', timelineHelp, parseCount)
    .action(async (dir: string, options: LogVerbOptions) => {
      done(await log(streams, dir, options));
    });
}

function addTune(
  verb: (name: string, description: string) => Command,
  output: Output,
  done: (status: number) => void,
): void {
  verb('tune', 'say what other settings would come to, and recommend some')
    .argument('<dir>')
    .option('--recording <file>', 'a recording of the workload (default: the log that is kept)')
    .option('--restore-seconds <seconds>', 'what the worst restore may take', parseSeconds)
    .option('--storage <bytes>', 'what snapshots and log may take: 500MB, 20GiB', parseBytes)
    .option('--window <duration>', 'past that stays restorable: 90s, 15m, 24h, 7d', parseDuration)
    .option('--html <file>', 'write charts to a file of its own')
    .option('--top <count>', 'settings to show (default: 12)', parseCount)
    .action(async (dir: string, options: TuneVerbOptions) => {
      done(await tune(output, dir, options));
    });
}

function addRepair(
  verb: (name: string, description: string) => Command,
  output: Output,
  done: (status: number) => void,
): void {
  const optimistic = 'lose damaged operators, whole, rather than commits of all';
  verb('repair', 'mend a damaged store as far as that goes; a copy of everything is kept first')
    .argument('<dir>')
    .option('--dry-run', 'say what is damaged and what would be lost; changes nothing')
    .option('--optimistic', optimistic)
    .action(async (dir: string, options: RepairVerbOptions) => {
      done(await repair(output, dir, options));
    });
  verb('salvage', 'make a second store of what is left of a damaged one, which is only read')
    .argument('<dir>')
    .argument('<to>', 'directory that does not exist, or is empty')
    .option('--optimistic', optimistic)
    .action(async (dir: string, to: string, options: RepairVerbOptions) => {
      done(await salvage(output, { dir, to }, options));
    });
}

/** The verbs that write: no other process may have the store open. */
function addUpkeep(
  verb: (name: string, description: string) => Command,
  output: Output,
  done: (status: number) => void,
): void {
  verb('plan', 'say what a restore to a moment would read and cost')
    .argument('<dir>')
    .option('--at <moment>', atHelp)
    .option('--timeline <id>', timelineHelp, parseCount)
    .action(async (dir: string, options: CommonOptions & AtOptions) => {
      done(await plan(output, dir, options));
    });
  verb('merge', 'merge snapshots of the chain now; no other process may have the store open')
    .argument('<dir>')
    .option('--dry-run', 'say what would be merged; reads only')
    .addOption(new Option('--strategy <name>', 'how').choices(mergeStrategies))
    .option('--threads <count>', 'threads at most (default: all cores)', parseCount)
    .action(async (dir: string, options: MergeVerbOptions) => {
      done(await merge(output, dir, options));
    });
  addRepair(verb, output, done);
  verb('gc', 'delete what retention does not keep; no other process may have the store open')
    .argument('<dir>')
    .option('--dry-run', 'print the plan: each object, keep or delete, and why; reads only')
    .option('--keep <count>', 'newest checkpoints that stay', parseCount)
    .option('--age <duration>', 'checkpoints made in it stay: 90s, 15m, 24h, 7d, 4w', parseDuration)
    .option('--window <duration>', 'every commit of it stays restorable', parseDuration)
    .option('--schedule <list>', 'hourly=24,daily=7,weekly=4,monthly=12', parseSchedule)
    .action(async (dir: string, options: GcOptions) => {
      done(await gc(output, dir, options));
    });
}

function packageVersion(): string {
  const path = join(import.meta.dirname, '..', '..', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
