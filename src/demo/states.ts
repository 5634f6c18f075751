/*
 * The job's states in the engine, and what one flight changes in them. State lives in the engine
 * alone: a job that starts again, and the comparison at the end, need nothing but these handles.
 */
import type { CounterState, Engine, ListState, MapState, ValueState } from '../engine/index.ts';
import { dayOf, type FlightBatch } from './flights.ts';
import {
  recentMax,
  routeOf,
  type DayTotal,
  type Delay,
  type Departure,
  type RouteStats,
} from './model.ts';
import { insertDelay, nextDay, nextStats } from './updates.ts';

/** Handles of all states. */
export interface JobStates {
  /** Per route. */
  readonly stats: ValueState<RouteStats>;
  /** Per route, the longest first. */
  readonly worst: ValueState<readonly Delay[]>;
  /** Per route and day. */
  readonly days: MapState<string, DayTotal>;
  /** Per airport. */
  readonly departures: CounterState;
  /** Per airport, the newest last. */
  readonly recent: ListState<Departure>;
}

/** Gives the handles of the job's states. */
export function jobStates(engine: Engine): JobStates {
  const routes = engine.operator('routes');
  const airports = engine.operator('airports');
  return {
    stats: routes.value('stats'),
    worst: routes.value('worst'),
    days: routes.map('days'),
    departures: airports.counter('departures'),
    recent: airports.list('recent', { itemsMax: recentMax }),
  };
}

/** Adds a flight to every state, in the open transaction. */
export function addFlight(states: JobStates, batch: FlightBatch, row: number): void {
  const index = row - batch.start;
  const at = batch.dates[index]!;
  const delay = batch.delays[index]!;
  const origin = batch.origins[index]!;
  const destination = batch.destinations[index]!;
  const route = routeOf(origin, destination);

  states.stats.set(route, nextStats(states.stats.get(route), delay, batch.distances[index]!));

  const worst = states.worst.get(route);
  const nextWorst = insertDelay(worst, delay, at);
  if (nextWorst !== worst) states.worst.set(route, nextWorst);

  const day = dayOf(at);
  states.days.set(route, day, nextDay(states.days.get(route, day), delay));

  states.departures.add(origin);
  states.recent.append(origin, { at, destination, delay });
}
