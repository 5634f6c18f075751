/*
 * The options of the demo.
 */
import { Command, InvalidArgumentError } from 'commander';

/** Kills of one run at most. */
const killsMax = 1000;

/** What the demo was asked for. */
export interface DemoOptions {
  /** Events to process; undefined: all that the file has. */
  readonly events: number | undefined;
  readonly kills: number;
  readonly seed: number;
  /** Seconds that a recovery may take by the engine's estimate. */
  readonly restoreSeconds: number;
  /** Directory of the store; undefined: a temporary one. */
  readonly dir: string | undefined;
  /** Whether a temporary directory stays. */
  readonly keep: boolean;
  /** The day to go back to at the end: its midnight, milliseconds; undefined: none. */
  readonly rewind: number | undefined;
}

/** Makes the command that the arguments are parsed with. */
export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Runs a stream processor over three million real flights, kills it again and again, and ' +
        'compares what is left with a single pass that was never killed.',
    )
    .option('--events <count>', 'events to process (default: all)', wholeNumber(1))
    .option('--kills <count>', 'times the job is killed', wholeNumber(0, killsMax), 5)
    .option('--seed <number>', 'decides when the kills strike', wholeNumber(0, 0xffff_ffff), 1)
    .option('--restore-seconds <seconds>', 'what a recovery may take', seconds, 1)
    .option('--dir <path>', 'empty directory for the store, which stays (default: a temporary one)')
    .option('--keep', 'leave the temporary directory in place', false)
    .option('--rewind <date>', 'go back in place to a day such as 2001-03-15 at the end', day);
}

/** Parses the arguments behind the name of the script. */
export function parseOptions(
  args: readonly string[],
  command: Command = demoCommand(),
): DemoOptions {
  command.parse([...args], { from: 'user' });
  const { events, kills, seed, restoreSeconds, dir, keep, rewind } = command.opts<DemoOptions>();
  return { events, kills, seed, restoreSeconds, dir, keep, rewind };
}

function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

function seconds(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a number above 0.');
}

function day(text: string): number {
  const midnight = Date.parse(text);
  if (/^\d{4}-\d{2}-\d{2}$/.test(text) && Number.isFinite(midnight)) return midnight;
  throw new InvalidArgumentError('It must be a day such as 2001-03-15.');
}
