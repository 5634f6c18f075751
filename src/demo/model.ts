/*
 * What the job keeps: the names of its operators and states and the types of their values. Sums are
 * whole numbers, so that the job and the reference must agree exactly, in whatever order they add.
 */

/** Events that one commit holds. */
export const eventsPerCommit = 1000;
/** Events from one checkpoint to the next: 250 commits. */
export const eventsPerCheckpoint: number = 250 * eventsPerCommit;
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

const routes = new Map<string, Map<string, string>>();

/** Key of a route. The same text each time, so that maps find it without comparing characters. */
export function routeOf(origin: string, destination: string): string {
  let from = routes.get(origin);
  if (from === undefined) routes.set(origin, (from = new Map()));
  let route = from.get(destination);
  if (route === undefined) from.set(destination, (route = `${origin}-${destination}`));
  return route;
}
