/*
 * The demo's options: defaults, every option, and what is refused.
 */
import { describe, expect, test } from 'vitest';

import { demoCommand, parseOptions } from '../../src/demo/options.ts';

/** Parses with a command that throws instead of ending the process. */
function parse(...args: string[]): ReturnType<typeof parseOptions> {
  const quiet = { writeOut: () => undefined, writeErr: () => undefined };
  return parseOptions(args, demoCommand().exitOverride().configureOutput(quiet));
}

describe('options of the demo', () => {
  test('no arguments: all events, five kills, seed 1, a temporary directory that goes', () => {
    expect(parse()).toEqual({
      events: undefined,
      kills: 5,
      seed: 1,
      restoreSeconds: 1,
      dir: undefined,
      keep: false,
      rewind: undefined,
    });
  });

  test('every option: taken as given', () => {
    const args = ['--events', '5000', '--kills', '0', '--seed', '9', '--dir', 'there', '--keep'];
    args.push('--restore-seconds', '0.5', '--rewind', '2001-03-15');
    expect(parse(...args)).toEqual({
      events: 5000,
      kills: 0,
      seed: 9,
      restoreSeconds: 0.5,
      dir: 'there',
      keep: true,
      rewind: Date.UTC(2001, 2, 15),
    });
  });

  test.each([
    ['no events', ['--events', '0']],
    ['a broken number of events', ['--events', '1.5']],
    ['a negative number of kills', ['--kills', '-1']],
    ['too many kills', ['--kills', '1001']],
    ['a seed that is no number', ['--seed', 'x']],
    ['an empty seed', ['--seed', '']],
    ['a budget of nothing', ['--restore-seconds', '0']],
    ['a day that is none', ['--rewind', '2001-02-31x']],
    ['a time of a day', ['--rewind', '2001-02-03T04:05Z']],
    ['an unknown option', ['--fast']],
    ['an argument too many', ['more']],
  ])('%s: refused', (_, args) => {
    expect(() => parse(...args)).toThrow(/error:/);
  });
});
