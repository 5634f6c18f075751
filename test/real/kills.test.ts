/*
 * Real processes, the real file system, SIGKILL: what was acknowledged is there, what is there is
 * whole, whatever the process was doing. Each process compares its whole state with the model before
 * it goes on, and checkpoints, merges and collects on the way. What a kill leaves in the page cache
 * survives it; power losses are simulated elsewhere (test/crash).
 *
 * TIDEMARK_KILLS=N kills N times (default 40), TIDEMARK_SEED=N strikes at other moments.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SeededRandom } from '../../src/testing/index.ts';
import { LedgerProcess } from './ledger.ts';

const kills = Number(process.env['TIDEMARK_KILLS'] ?? 40);
const seed = Number(process.env['TIDEMARK_SEED'] ?? 1);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemark-kills-'));
});
afterAll(() => rm(root, { recursive: true }));

/** What the process is doing when it is struck, a short random time later. */
const phases = {
  opening: () => true,
  committing: (line: string) => line.startsWith('ack'),
  checkpoint: (line: string) => line === 'checkpoint',
  merge: (line: string) => line === 'merge',
  collect: (line: string) => line === 'collect',
} as const;
const names = Object.keys(phases) as (keyof typeof phases)[];
const delayMsMax = 60;
/** A process that comes this far without the event it waits for is struck all the same. */
const patienceMs = 3000;

test(
  `${kills} kills, seed ${seed}: every acknowledged commit is there, whole, and the work goes on`,
  async () => {
    const random = new SeededRandom(seed);
    const dir = join(root, 'store');
    const struck = new Map<string, number>();
    let ledger = 0;
    for (let kill = 0; kill < kills; kill++) {
      const phase = names[kill % names.length]!;
      const child = new LedgerProcess(dir, { inFlight: 1 + random.below(32) });
      if (phase !== 'opening') await strikeTime(child, phases[phase]);
      else await pause(20 + random.below(250));
      await pause(random.below(delayMsMax));
      child.kill();
      const { signal, errors } = await child.ended;
      expect(errors).toBe('');
      expect(signal).toBe('SIGKILL');
      if (child.opened !== undefined) {
        expect(child.opened).toBeGreaterThanOrEqual(ledger);
        ledger = Math.max(child.opened, child.acknowledged);
      }
      const found = child.opened === undefined ? 'before it had opened' : phase;
      struck.set(found, (struck.get(found) ?? 0) + 1);
    }
    const last = new LedgerProcess(dir, { commits: ledger + 100 });
    expect(await last.ended).toMatchObject({ code: 0, errors: '' });
    expect(last.opened).toBeGreaterThanOrEqual(ledger);
    expect(last.lines.at(-1)).toBe('closed');
    // Every phase was struck at least once, or the kills prove less than they say.
    for (const name of ['before it had opened', 'committing', 'checkpoint', 'merge', 'collect']) {
      expect(struck.get(name) ?? 0, name).toBeGreaterThan(0);
    }
  },
  20_000 + kills * 5000,
);

test('stopped for a while in the middle of its work: goes on as if nothing had been', async () => {
  const dir = join(root, 'stopped');
  const child = new LedgerProcess(dir, { inFlight: 4 });
  for (let i = 0; i < 3; i++) {
    await child.line((line) => line.startsWith('ack'));
    child.kill('SIGSTOP');
    // Longer than the idleness after which a mark is written.
    await pause(1200);
    child.kill('SIGCONT');
  }
  await child.line((line) => line === 'checkpoint');
  child.kill();
  expect(await child.ended).toMatchObject({ signal: 'SIGKILL', errors: '' });
  const again = new LedgerProcess(dir, { commits: 1 });
  expect(await again.ended).toMatchObject({ code: 0, errors: '' });
  expect(again.opened).toBeGreaterThanOrEqual(child.acknowledged);
});

async function strikeTime(child: LedgerProcess, fits: (line: string) => boolean): Promise<void> {
  await Promise.race([child.line(fits).catch(() => {}), pause(patienceMs)]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
