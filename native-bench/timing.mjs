/*
 * Microbenchmarks in interleaved rounds. tinybench warms up and times each case of a round in turn;
 * the result of a round is the mean time of a call, so that collections count.
 */
import { Bench } from 'tinybench';

const ITERATIONS_MIN = 4;

/**
 * Results by case, one for each round: `{ microseconds }` of one call. Short calls are timed
 * `callsTogether` at a time, since reading the clock takes as long as they do.
 */
export async function benchRounds(rounds, cases, roundMs, callsTogether) {
  const results = new Map(Object.keys(cases).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({
      time: roundMs,
      iterations: ITERATIONS_MIN,
      warmup: round === 0,
      warmupTime: roundMs,
      warmupIterations: ITERATIONS_MIN,
    });
    for (const [name, run] of Object.entries(cases)) bench.add(name, repeated(run, callsTogether));
    await bench.run();
    for (const task of bench.tasks) {
      const { result } = task;
      if (result.error) throw new Error(`${task.name} failed`, { cause: result.error });
      results.get(task.name).push({ microseconds: (result.latency.mean * 1000) / callsTogether });
    }
  }
  return results;
}

function repeated(run, times) {
  return () => {
    for (let i = 0; i < times; i++) run();
  };
}
