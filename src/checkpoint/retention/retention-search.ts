/*
 * The last of many whose LSN is at or below one, by halving, whatever their order: a plan asks it for
 * every pin and need, over all records and segments.
 */
import { firstWhere } from '../../std/halving.ts';

/** For each place the least value from there on: it never falls, so it can be halved. */
export function leastBehind<T>(items: readonly T[], valueOf: (item: T) => number): number[] {
  const least = items.map(valueOf);
  for (let i = least.length - 2; i >= 0; i--) least[i] = Math.min(least[i]!, least[i + 1]!);
  return least;
}

/** Index of the last whose value is at most this; -1 when there is none. */
export function lastThrough(least: readonly number[], value: number): number {
  // Where the least of all behind is above it, none of them is.
  return firstWhere(least, (from) => from > value) - 1;
}
