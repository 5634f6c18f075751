/*
 * The verbs that look into the past of a store, and follow it: their arguments. They read only.
 */
import type { Command } from 'commander';
import { changes, parsePosition, type ChangesVerbOptions } from './changes.ts';
import { parseCount, timelineHelp, type CommonOptions } from './common.ts';
import { diff, type DiffVerbOptions } from './diff.ts';
import { history, type HistoryVerbOptions } from './history.ts';
import type { Output, TextStream } from './output.ts';
import { timelines } from './timelines.ts';

/** Where a verb prints, and how it ends. */
export interface VerbContext {
  readonly output: Output;
  readonly stderr: TextStream;
  readonly done: (status: number) => void;
  readonly keyHelp: string;
}

/** Adds them; `verb` makes one with the options that all have. */
export function addTimeTravel(
  verb: (name: string, description: string) => Command,
  { output, stderr, done, keyHelp }: VerbContext,
): void {
  verb('timelines', 'show where each timeline left the one before, and what of it is kept')
    .argument('<dir>')
    .action(async (dir: string, options: CommonOptions) => {
      done(await timelines(output, dir, options));
    });
  verb('history', 'print every version of a key that is known, oldest first')
    .argument('<dir>')
    .argument('<operator>')
    .argument('<state>')
    .argument('<key>')
    .argument('[subkey]')
    .option('--timeline <id>', timelineHelp, parseCount)
    .addHelpText('after', keyHelp)
    .action(async (...given: [string, string, string, string, string?, HistoryVerbOptions?]) => {
      const [dir, operator, state, key, subKey, options = {}] = given;
      done(await history({ output, stderr }, { dir, operator, state, key, subKey }, options));
    });
  verb('diff', 'print what differs between two moments')
    .argument('<dir>')
    .argument('<from>', 'a moment, as --at takes it')
    .argument('<to>', 'a moment')
    .argument('[operator]')
    .argument('[state]')
    .option('--from-timeline <id>', 'timeline of <from> (default: the current one)', parseCount)
    .option('--to-timeline <id>', 'timeline of <to> (default: the current one)', parseCount)
    .addHelpText('after', keyHelp)
    .action(async (...given: [string, string, string, string?, string?, DiffVerbOptions?]) => {
      const [dir, from, to, operator, state, options = {}] = given;
      done(await diff(output, { dir, from, to, operator, state }, options));
    });
  verb('changes', 'print commits that are durable, with their changes')
    .argument('<dir>')
    .option('--from <lsn>', 'first LSN (default: the first that is kept)', parseCount)
    .option(
      '--after <position>',
      'in place of it TIMELINE:LSN of the last one handled',
      parsePosition,
    )
    .option('--timeline <id>', timelineHelp, parseCount)
    .option('--follow', 'go on with further commits until the command is ended')
    .option('--before', 'print what became of each entry, with old and new value')
    .action(async (dir: string, options: ChangesVerbOptions) => {
      done(await changes(output, dir, options));
    });
}
