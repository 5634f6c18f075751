/*
 * What a flight makes of the values of its route. Pure: a value belongs to the engine once it is set,
 * so each function gives a new one and changes none in place.
 */
import { worstMax, type DayTotal, type Delay, type RouteStats } from './model.ts';

/** The statistics of a route with one more flight. */
export function nextStats(
  stats: RouteStats | undefined,
  delay: number,
  distance: number,
): RouteStats {
  if (stats === undefined) {
    return {
      flights: 1,
      delaySum: delay,
      delaySquareSum: delay * delay,
      delayMin: delay,
      delayMax: delay,
      distanceSum: distance,
    };
  }
  return {
    flights: stats.flights + 1,
    delaySum: stats.delaySum + delay,
    delaySquareSum: stats.delaySquareSum + delay * delay,
    delayMin: Math.min(stats.delayMin, delay),
    delayMax: Math.max(stats.delayMax, delay),
    distanceSum: stats.distanceSum + distance,
  };
}

/** The total of a route's day with one more flight. */
export function nextDay(total: DayTotal | undefined, delay: number): DayTotal {
  return { flights: (total?.flights ?? 0) + 1, delaySum: (total?.delaySum ?? 0) + delay };
}

/** The worst delays with one more; the same array when it is none of them. Equal ones keep order. */
export function insertDelay(
  worst: readonly Delay[] | undefined,
  delay: number,
  at: number,
): readonly Delay[] {
  if (worst === undefined) return [{ delay, at }];
  const full = worst.length === worstMax;
  if (full && delay <= worst[worstMax - 1]!.delay) return worst;
  const less = worst.findIndex((other) => other.delay < delay);
  const place = less === -1 ? worst.length : less;
  return worst.toSpliced(place, 0, { delay, at }).slice(0, worstMax);
}
