/*
 * A worker thread is lost, or runs out of memory: nothing hangs, every refusal is typed, nothing that was
 * committed is lost, and the engine goes on with another thread.
 *
 * TIDEMARK_FAULTS=all tries every task (default: some).
 */
import { expect, test } from 'vitest';
import { loseThreads, type LossTime } from './lost-threads.ts';

const all = process.env['TIDEMARK_FAULTS'] === 'all';
const stride = all ? 1 : 8;
/** What a lost thread may refuse: its work, and what needs what that would have made. */
const due = new Set(['THREAD_LOST', 'SAVEPOINT_NOT_FOUND']);

test.each<[LossTime, number]>([
  ['before', 1],
  ['during', 2],
  ['after', 3],
])(
  'a thread is lost %s its Nth task: refused with THREAD_LOST, and nothing else',
  async (when, first) => {
    const refused = new Set<string>();
    let runs = 0;
    for (let nth = first; ; nth += stride) {
      const outcome = await loseThreads({ nth, when });
      runs++;
      for (const code of outcome.refused) refused.add(code);
      if (outcome.tasks < nth) break;
    }
    process.stdout.write(`lost ${when}: ${runs} runs, refused with ${[...refused].join(', ')}\n`);
    expect(runs).toBeGreaterThan(2);
    expect([...refused].filter((code) => !due.has(code))).toEqual([]);
    expect(refused).toContain('THREAD_LOST');
  },
  300_000,
);

test('threads have no memory to work with: what needs one is refused, and says why', async () => {
  const { refused, outOfMemory } = await loseThreads({ maxOldGenerationSizeMb: 4 });
  expect([...refused].filter((code) => !due.has(code))).toEqual([]);
  expect(outOfMemory).toBeGreaterThan(0);
}, 300_000);

test('threads have memory enough: nothing is refused', async () => {
  const { refused, tasks } = await loseThreads({ maxOldGenerationSizeMb: 64 });
  expect([...refused]).toEqual([]);
  expect(tasks).toBeGreaterThan(20);
}, 300_000);
