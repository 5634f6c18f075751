/*
 * Compares a state with what is expected of it, every entry in both directions: each entry that
 * iterating gives must be expected, once, with that value; and each expected entry must be found by
 * reading its key. So a lost, a spare, a doubled and a wrong entry all show.
 */
import { isDeepStrictEqual } from 'node:util';

/** Differences of a state that are kept to be shown. */
const shownMax = 5;

/** One entry that is not as expected; undefined stands for no entry. */
export interface Difference {
  readonly key: string;
  readonly how: 'iterating' | 'reading';
  readonly expected: unknown;
  readonly actual: unknown;
}

/** How one state compares. */
export interface Comparison {
  readonly state: string;
  /** Entries that are expected. */
  readonly entries: number;
  readonly differences: number;
  /** The first differences. */
  readonly shown: readonly Difference[];
}

/** One state as the engine gives it; a key with its sub-key is one text. */
export interface ComparedState {
  readonly state: string;
  /** Every entry, by iterating. */
  entries(): Iterable<readonly [key: string, value: unknown]>;
  /** Every expected entry, with the value that reading its key gives. */
  expected(): Iterable<readonly [key: string, value: unknown, read: unknown]>;
}

/** Compares one state. */
export function compareState(compared: ComparedState): Comparison {
  const shown: Difference[] = [];
  let differences = 0;
  const differ = (difference: Difference): void => {
    differences++;
    if (shown.length < shownMax) shown.push(difference);
  };
  const unseen = new Map<string, unknown>();
  for (const [key, expected, actual] of compared.expected()) {
    unseen.set(key, expected);
    if (!isDeepStrictEqual(actual, expected)) differ({ key, how: 'reading', expected, actual });
  }
  const entries = unseen.size;
  for (const [key, actual] of compared.entries()) {
    const expected = unseen.get(key);
    // What was seen once is not expected again.
    if (!unseen.delete(key) || !isDeepStrictEqual(actual, expected)) {
      differ({ key, how: 'iterating', expected, actual });
    }
  }
  for (const [key, expected] of unseen) {
    differ({ key, how: 'iterating', expected, actual: undefined });
  }
  return { state: compared.state, entries, differences, shown };
}
