/*
 * The job of `npm run demo` for any contender, up to its three million flights; per route its statistics, the ten
 * worst delays and a total for each day; per airport a counter and the last ten departures. State
 * and position are durable together after every thousand events; eight commits may be in flight
 * where commits are asynchronous. What a flight makes of a value is the demo's own code.
 */
const demo = new URL('../../dist/demo/', import.meta.url);

/** Commits in flight, as in the demo. */
export const commitsInFlightMax = 8;

export async function makeJob(events) {
  const [flights, updates, model, states, window] = await Promise.all(
    ['flights', 'updates', 'model', 'states', 'commit-window'].map(
      (name) => import(new URL(`${name}.js`, demo)),
    ),
  );
  const input = await flights.openFlights();
  const count = Math.min(events, input.rows);
  // Decoded before any clock starts: the input costs every contender the same.
  const batches = [];
  for await (const batch of input.read(0, count)) batches.push(batch);
  return {
    ...updates,
    ...model,
    ...states,
    ...window,
    dayOf: flights.dayOf,
    events: count,
    batches,
    /** Calls with the bounds of each commit within a batch: rows of a thousand, or what is left. */
    *commits({ from, to }) {
      for (let row = from; row < to;) {
        const end = Math.min(
          to,
          count,
          row + model.eventsPerCommit - (row % model.eventsPerCommit),
        );
        yield [row, end];
        row = end;
      }
    },
  };
}
