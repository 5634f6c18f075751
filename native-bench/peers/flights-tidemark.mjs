/*
 * The flights job in Tidemark: the demo's own states and commits, and its checkpoints beside them.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { commitsInFlightMax } from './flights-job.mjs';

export async function tidemarkFlights(engine, job) {
  const states = job.jobStates(engine);
  const window = new job.CommitWindow(commitsInFlightMax);
  let checkpoint = Promise.resolve();
  for (const batch of job.batches) {
    for (const [from, to] of job.commits(batch)) {
      for (let row = from; row < to; row++) job.addFlight(states, batch, row);
      await window.add(engine.commit({ positions: { flights: to } }));
      if (to % job.eventsPerCheckpoint === 0) {
        await checkpoint;
        checkpoint = engine.checkpoint();
      }
      // Lets the log write this commit while the next is worked on, as the demo does.
      await turn();
    }
  }
  await window.drain();
  await checkpoint;
  return () => {
    const sums = { routes: 0, flights: 0, delaySum: 0, position: engine.positions.flights };
    for (const [, stats] of states.stats.entries()) {
      sums.routes++;
      sums.flights += stats.flights;
      sums.delaySum += stats.delaySum;
    }
    return sums;
  };
}
