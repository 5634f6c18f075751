/*
 * One wording for bad options, whoever is given them.
 */
import { describe, expect, test } from 'vitest';
import { inspectStore, openEngine, openReader, verifyStore } from '../../src/engine/index.ts';
import type { TidemarkError } from '../../src/errors.ts';
import { badOption, knownOnly, oneOf, wholeNumber } from '../../src/std/option-checks.ts';
import { createStore } from '../../src/store/create-store.ts';
import { openLog } from '../../src/wal/log.ts';

function refusal(action: () => unknown): TidemarkError {
  try {
    action();
  } catch (error) {
    return error as TidemarkError;
  }
  throw new Error('nothing was refused');
}

describe('an unknown option', () => {
  const anything = openEngine as (options: unknown) => Promise<unknown>;
  const calls: readonly [string, (options: object) => Promise<unknown>][] = [
    ['openEngine', (options) => anything({ dir: ':memory:', ...options })],
    ['openLog', (options) => openLog({ dir: 'x', ...options })],
    ['openReader', (options) => openReader({ dir: 'x', ...options })],
    ['inspectStore', (options) => inspectStore({ dir: 'x', ...options })],
    ['verifyStore', (options) => verifyStore({ dir: 'x', ...options })],
    ['createStore', async (options) => createStore({ kind: 'memory', ...options })],
    ['merge', (options) => anything({ dir: ':memory:', merge: options })],
    ['checkpointing', (options) => anything({ dir: ':memory:', checkpointing: options })],
    ['commit', (options) => withEngine((engine) => engine.commit(options))],
    ['checkpoint', (options) => withEngine((engine) => engine.checkpoint(options))],
    ['a state', (options) => withEngine((engine) => engine.operator('op').value('v', options))],
    [
      'a write',
      (options) => withEngine((engine) => engine.operator('op').value('v').set('k', 1, options)),
    ],
  ];

  test.each(calls)('of %s: the same code, wording and details', async (_name, call) => {
    const error = await call({ misspelt: 1 }).then(
      () => undefined,
      (thrown: TidemarkError) => thrown,
    );
    expect(error?.code).toBe('INVALID_OPTION');
    expect(error?.message).toMatch(/^option (\w+\.)?misspelt is unknown/);
    expect(error?.details['option']).toMatch(/^(\w+\.)?misspelt$/);
    expect(error?.details['known']).toBeInstanceOf(Array);
  });

  async function withEngine(
    act: (engine: Awaited<ReturnType<typeof openEngine>>) => unknown,
  ): Promise<void> {
    const engine = await openEngine({ dir: ':memory:' });
    try {
      await act(engine);
    } finally {
      await engine.close();
    }
  }
});

describe('the checks', () => {
  test('a text where an object of few names is meant: the message says what stands in it', () => {
    expect(refusal(() => knownOnly('./state', ['dir', 'store'], 'from')).message).toBe(
      'option from must be an object with dir, store: "./state"',
    );
    expect(refusal(() => knownOnly(null, [], 'from')).message).toMatch(
      /^option from must be an object/,
    );
  });

  test('few names: the refusal lists them; many: only its details do', () => {
    const few = refusal(() => knownOnly({ c: 1 }, ['a', 'b']));
    expect(few.message).toBe('option c is unknown, there are a, b');
    const names = 'abdefghij'.split('');
    const many = refusal(() => knownOnly({ c: 1 }, names, 'merge'));
    expect(many.message).toBe('option merge.c is unknown');
    expect(many.details).toEqual({ option: 'merge.c', known: names });
    expect(refusal(() => knownOnly({ c: 1 }, [])).message).toBe('option c is unknown');
  });

  test.each([
    ['chainLengthMax', '; did you mean maxChainLength'],
    ['restoreMsMax', '; did you mean restoreBytesMax or restoreSecondsMax'],
    ['retentions', '; did you mean retention'],
    ['Dir', '; did you mean dir'],
    ['xyz', ''],
  ])('%s, one of many names: those that resemble it are proposed', (given, hint) => {
    const names =
      'dir store durability checks types record restoreSecondsMax restoreBytesMax maxChainLength retention';
    const error = refusal(() => knownOnly({ [given]: 1 }, names.split(' ')));
    expect(error.message).toBe(`option ${given} is unknown${hint}`);
  });

  test('texts are quoted, so that one that looks like a number, or is empty, is seen', () => {
    expect(badOption('o', 'is bad', '5').message).toBe('option o is bad: "5"');
    expect(badOption('o', 'is bad', 5).message).toBe('option o is bad: 5');
    expect(badOption('o', 'is bad', '').message).toBe('option o is bad: ""');
    expect(badOption('o', 'is bad', null).message).toBe('option o is bad: null');
  });

  test.each([[1.5], [-1], [11], [Number.NaN], ['5'], [2 ** 53]])(
    '%j is no whole number',
    (value) => {
      expect(refusal(() => wholeNumber('n', value, 0, 10)).message).toBe(
        `option n must be a whole number from 0 to 10: ${value === '5' ? '"5"' : value}`,
      );
    },
  );

  test('bounds are within; without an upper one only the lower is named', () => {
    expect([wholeNumber('n', 0, 0, 10), wholeNumber('n', 10, 0, 10)]).toEqual([0, 10]);
    expect(refusal(() => wholeNumber('n', -1, 0)).message).toBe(
      'option n must be a whole number from 0: -1',
    );
  });

  test('a value that cannot be shown: is not', () => {
    const hostile = new Proxy({}, { get: () => expect.fail('read') });
    expect(badOption('o', 'is bad', hostile).message).toBe('option o is bad');
    expect(refusal(() => oneOf('o', Symbol('s'), ['a', 'b'])).message).toBe(
      'option o must be one of a, b: Symbol(s)',
    );
  });
});
