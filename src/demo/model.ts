/*
 * What the job keeps: the names of its operators and states and the types of their values. Sums are
 * whole numbers, so that the job and the reference must agree exactly, in whatever order they add.
 */

/** Events that one commit holds. */
export const eventsPerCommit = 1000;
/** Commits from one checkpoint to the next. */
export const commitsPerCheckpoint = 250;
/** Entries that the ten worst delays of a route have at most. */
export const worstMax = 10;
/** Departures that an airport's list keeps. */
export const recentMax = 10;

/** Running statistics of a route. */
export interface RouteStats {
  readonly flights: number;
  /** Minutes; early arrivals count negative. */
  readonly delaySum: number;
  readonly delaySquareSum: number;
  readonly delayMin: number;
  readonly delayMax: number;
  /** Miles. */
  readonly distanceSum: number;
}

/** One of the worst delays of a route. */
export interface Delay {
  /** Minutes. */
  readonly delay: number;
  /** Departure, in milliseconds since 1970. */
  readonly at: number;
}

/** A route's flights of one day. */
export interface DayTotal {
  readonly flights: number;
  readonly delaySum: number;
}

/** A departure in the list of an airport. */
export interface Departure {
  readonly at: number;
  readonly destination: string;
  readonly delay: number;
}

/** Key of a route. */
export function routeOf(origin: string, destination: string): string {
  return `${origin}-${destination}`;
}
