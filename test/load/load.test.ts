/*
 * Some time of mixed work at full speed (TIDEMARK_LOAD_SECONDS, 10; a minute in continuous integration): what has to stay
 * bounded does. The second half of the run is held to the most that the first half took, so a leak
 * shows however fast the machine is. Latencies are printed by load.mjs, and not judged.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const program = fileURLToPath(new URL('load.mjs', import.meta.url));
const seconds = Number(process.env['TIDEMARK_LOAD_SECONDS'] ?? 10);

interface Sample {
  readonly commits: number;
  readonly views: number;
  readonly changes: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  readonly handles: number | undefined;
  readonly threads: number | undefined;
  readonly diskMiB: number;
}

test(
  `${seconds} s of everything at once: memory, handles, threads and disk stay bounded`,
  async () => {
    const { stdout } = await run(process.execPath, [program, String(seconds), '--json'], {
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const samples = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Sample);
    expect(samples.length).toBeGreaterThanOrEqual(20);
    const last = samples.at(-1)!;
    expect(last.commits).toBeGreaterThanOrEqual(1000);
    expect(last.views).toBeGreaterThanOrEqual(4);
    expect(last.changes).toBeGreaterThan(last.commits / 3);
    const most = (part: readonly Sample[], of: (sample: Sample) => number): number =>
      Math.max(...part.map(of));
    const half = samples.slice(0, samples.length / 2);
    const later = samples.slice(samples.length / 2);
    // Room for what comes and goes: a merge, a collection that has not run yet.
    const bounded: [string, (sample: Sample) => number, number][] = [
      // In its first seconds a process has not had what it needs yet.
      ['resident memory, MiB', ({ rssMiB }) => rssMiB, seconds < 60 ? 256 : 128],
      ['heap, MiB', ({ heapMiB }) => heapMiB, 96],
      ['handles', ({ handles = 0 }) => handles, 12],
      ['threads', ({ threads = 0 }) => threads, 2],
      ['disk, MiB', ({ diskMiB }) => diskMiB, 96],
    ];
    for (const [name, of, slack] of bounded) {
      expect(most(later, of), name).toBeLessThanOrEqual(most(half, of) + slack);
    }
  },
  seconds * 1000 + 300_000,
);
