/*
 * The same results without the engine: one pass over the flights into plain maps. It shares no code
 * with the job beyond the input and the shape of the values. The worst and the last ten are found by
 * collecting and cutting, where the job inserts and lets the engine keep the newest.
 */
import { dayOf, type Flights } from './flights.ts';
import {
  recentMax,
  routeOf,
  worstMax,
  type DayTotal,
  type Delay,
  type Departure,
  type RouteStats,
} from './model.ts';

/** Candidates that are collected before all but the best are cut. */
const candidatesMax = 100;

/** What every state must hold at the end. */
export interface Reference {
  readonly stats: ReadonlyMap<string, RouteStats>;
  readonly worst: ReadonlyMap<string, readonly Delay[]>;
  readonly days: ReadonlyMap<string, ReadonlyMap<string, DayTotal>>;
  readonly departures: ReadonlyMap<string, number>;
  readonly recent: ReadonlyMap<string, readonly Departure[]>;
}

type Mutable<T> = { -readonly [Field in keyof T]: T[Field] };

interface Route {
  readonly stats: Mutable<RouteStats>;
  worst: Delay[];
  readonly days: Map<string, Mutable<DayTotal>>;
}

interface Airport {
  departures: number;
  recent: Departure[];
}

/** Reads the first events and computes every state from them. */
export async function computeReference(flights: Flights, events: number): Promise<Reference> {
  const routes = new Map<string, Route>();
  const airports = new Map<string, Airport>();
  for await (const batch of flights.read(0, events)) {
    for (let row = batch.from; row < batch.to; row++) {
      const index = row - batch.start;
      const at = batch.dates[index]!;
      const delay = batch.delays[index]!;
      const destination = batch.destinations[index]!;
      const origin = batch.origins[index]!;
      addToRoute(routeIn(routes, routeOf(origin, destination)), at, delay, batch.distances[index]!);
      addToAirport(airportIn(airports, origin), { at, destination, delay });
    }
  }
  return {
    stats: mapValues(routes, (route) => route.stats),
    worst: mapValues(routes, (route) => keepWorst(route.worst)),
    days: mapValues(routes, (route) => route.days),
    departures: mapValues(airports, (airport) => airport.departures),
    recent: mapValues(airports, (airport) => airport.recent.slice(-recentMax)),
  };
}

function routeIn(routes: Map<string, Route>, key: string): Route {
  let route = routes.get(key);
  if (route === undefined) {
    const stats = {
      flights: 0,
      delaySum: 0,
      delaySquareSum: 0,
      delayMin: Number.POSITIVE_INFINITY,
      delayMax: Number.NEGATIVE_INFINITY,
      distanceSum: 0,
    };
    route = { stats, worst: [], days: new Map() };
    routes.set(key, route);
  }
  return route;
}

function airportIn(airports: Map<string, Airport>, key: string): Airport {
  let airport = airports.get(key);
  if (airport === undefined) {
    airport = { departures: 0, recent: [] };
    airports.set(key, airport);
  }
  return airport;
}

function addToRoute(route: Route, at: number, delay: number, distance: number): void {
  const { stats } = route;
  stats.flights++;
  stats.delaySum += delay;
  stats.delaySquareSum += delay * delay;
  if (delay < stats.delayMin) stats.delayMin = delay;
  if (delay > stats.delayMax) stats.delayMax = delay;
  stats.distanceSum += distance;

  route.worst.push({ delay, at });
  if (route.worst.length === candidatesMax) route.worst = keepWorst(route.worst);

  const day = dayOf(at);
  const total = route.days.get(day);
  if (total === undefined) {
    route.days.set(day, { flights: 1, delaySum: delay });
  } else {
    total.flights++;
    total.delaySum += delay;
  }
}

function addToAirport(airport: Airport, departure: Departure): void {
  airport.departures++;
  airport.recent.push(departure);
  if (airport.recent.length === candidatesMax) airport.recent = airport.recent.slice(-recentMax);
}

/** The longest delays first; of equal ones those that came first, since the sort is stable. */
function keepWorst(delays: readonly Delay[]): Delay[] {
  return delays.toSorted((a, b) => b.delay - a.delay).slice(0, worstMax);
}

function mapValues<T, U>(map: ReadonlyMap<string, T>, change: (value: T) => U): Map<string, U> {
  return new Map(Array.from(map, ([key, value]) => [key, change(value)]));
}
