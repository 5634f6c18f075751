/*
 * Declares a test for each of some workloads: all its moments, so many disks of each, and no fewer
 * than promised.
 *
 * TIDEMARK_CRASH_SEED: what is drawn (1); TIDEMARK_CRASH_STATES: disks of a moment (the workload's);
 * TIDEMARK_CRASH_SECONDS: goes on with the next seeds for so long, for each workload.
 */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/std/clock.ts';
import { enumerate } from './enumerate.ts';
import { workloads, type Workload } from './workloads.ts';

const setting = (name: string): number | undefined => {
  const value = process.env[name];
  return value === undefined ? undefined : Number(value);
};

const seconds = setting('TIDEMARK_CRASH_SECONDS') ?? 0;

export function declareCrashes(names: readonly string[]): void {
  for (const name of names) {
    const workload = workloads.find((one) => one.name === name);
    test(
      `${name}: whatever a crash leaves opens with what was acknowledged`,
      async () => {
        expect(workload).toBeDefined();
        await crash(workload!);
      },
      900_000 + seconds * 1000,
    );
  }
}

async function crash({ name, run, statesMax, disksLeast }: Workload): Promise<void> {
  const until = systemClock.monotonicMs() + seconds * 1000;
  const states = setting('TIDEMARK_CRASH_STATES');
  let seed = setting('TIDEMARK_CRASH_SEED') ?? 1;
  do {
    const tried = await enumerate(await run(), { statesMax: states ?? statesMax, seed });
    const { moments, disks, again } = tried;
    process.stdout.write(
      `${name}, seed ${seed}: ${disks} disks of ${moments} moments, ${again} by a second crash\n`,
    );
    if (states === undefined) expect(disks).toBeGreaterThanOrEqual(disksLeast);
    seed++;
  } while (systemClock.monotonicMs() < until);
}
