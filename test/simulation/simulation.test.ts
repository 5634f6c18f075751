/*
 * Simulations of a whole engine: many seeds, each once; and a few twice, which have to give the same
 * trace.
 *
 * TIDEMARK_SIMULATION_SEED: the first seed (1); TIDEMARK_SIMULATION_RUNS: how many (25);
 * TIDEMARK_SIMULATION_SECONDS: goes on with the next seeds for so long.
 */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/std/clock.ts';
import { Simulation } from './simulation.ts';

const setting = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const firstSeed = setting('TIDEMARK_SIMULATION_SEED', 1);
const runs = setting('TIDEMARK_SIMULATION_RUNS', 25);
const seconds = setting('TIDEMARK_SIMULATION_SECONDS', 0);
const actsMost = 120;

async function simulate(seed: number, counts: Record<string, number> = {}): Promise<string> {
  const simulation = new Simulation(seed);
  try {
    const trace = await simulation.run(actsMost);
    for (const [act, count] of Object.entries(simulation.counts)) {
      counts[act] = (counts[act] ?? 0) + count;
    }
    return trace;
  } catch (cause) {
    const again = `TIDEMARK_SIMULATION_SEED=${seed} TIDEMARK_SIMULATION_RUNS=1 npx vitest run test/simulation`;
    throw new Error(`seed ${seed} fails; to repeat: ${again}`, { cause });
  }
}

test(
  'an engine under everything at once: holds what it acknowledged and nothing else',
  async () => {
    const until = systemClock.monotonicMs() + seconds * 1000;
    const counts: Record<string, number> = {};
    let seed = firstSeed;
    for (; seed < firstSeed + runs || systemClock.monotonicMs() < until; seed++) {
      await simulate(seed, counts);
    }
    const done = Object.entries(counts).map(([act, count]) => `${count} ${act}`);
    process.stdout.write(`simulations, seeds ${firstSeed} to ${seed - 1}: ${done.join(', ')}\n`);
  },
  600_000 + seconds * 1000,
);

test('the same seed: the same trace; another: another', async () => {
  const traces = new Set<string>();
  for (const seed of [1, 2, 3]) {
    const trace = await simulate(seed);
    expect(await simulate(seed)).toBe(trace);
    traces.add(trace);
  }
  expect(traces.size).toBe(3);
}, 300_000);
