/*
 * Pairs every state that the engine holds with the reference, by iterating and by reading.
 */
import { compareState, type Comparison } from './compare.ts';
import type { Reference } from './reference.ts';
import type { JobStates } from './states.ts';

/** Compares every state of the job. */
export function compareStates(states: JobStates, reference: Reference): Comparison[] {
  const { stats, worst, days, departures, recent } = states;
  return [
    compareState({
      state: 'routes.stats',
      entries: () => keyed(stats.entries()),
      expected: () => reading(reference.stats, (route) => stats.get(route)),
    }),
    compareState({
      state: 'routes.worst',
      entries: () => keyed(worst.entries()),
      expected: () => reading(reference.worst, (route) => worst.get(route)),
    }),
    compareState({
      state: 'routes.days',
      *entries() {
        for (const [route, day, total] of days.entries()) yield [pairText(route, day), total];
      },
      *expected() {
        for (const [route, totals] of reference.days) {
          for (const [day, total] of totals) {
            yield [pairText(route, day), total, days.get(route, day)];
          }
        }
      },
    }),
    compareState({
      state: 'airports.departures',
      entries: () => keyed(departures.entries()),
      expected: () => reading(reference.departures, (airport) => departures.get(airport)),
    }),
    compareState({
      state: 'airports.recent',
      *entries() {
        for (const airport of recent.keys()) yield [keyText(airport), recent.get(airport)];
      },
      expected: () => reading(reference.recent, (airport) => recent.get(airport)),
    }),
  ];
}

function* keyed(
  entries: Iterable<readonly [unknown, unknown]>,
): Generator<readonly [string, unknown]> {
  for (const [key, value] of entries) yield [keyText(key), value];
}

function* reading(
  expected: ReadonlyMap<string, unknown>,
  read: (key: string) => unknown,
): Generator<readonly [string, unknown, unknown]> {
  for (const [key, value] of expected) yield [key, value, read(key)];
}

/** A key that is no text cannot be mistaken for one that is. */
function keyText(key: unknown): string {
  return typeof key === 'string' ? key : `${typeof key} ${String(key)}`;
}

function pairText(key: unknown, subKey: unknown): string {
  return `${keyText(key)} ${keyText(subKey)}`;
}
