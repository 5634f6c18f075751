/*
 * Readers beside a process that writes at full speed: rotation, checkpoints, compaction, collections
 * and openings go on meanwhile, and it is killed at times. Every reading is of one committed moment: two counters
 * that every commit moves by opposite amounts sum to zero, and what every commit sets alike is alike.
 * Bounded by counts: so many readings, and then the writer is told to stop.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { followStore } from '../../src/recovery/follow-store.ts';
import { inspectStore } from '../../src/recovery/inspect.ts';
import { openReader } from '../../src/recovery/reader.ts';
import { verifyStore } from '../../src/recovery/verify.ts';

const engineUrl = new URL('../../dist/bundle/index.js', import.meta.url).href;

/** Plain JavaScript over the compiled engine, which every Node runs. */
const writerScript = `
  import { openEngine } from ${JSON.stringify(engineUrl)};
  const dir = process.argv[2];
  const commitsMax = 500_000;
  const inFlightMax = 64;
  let stop = false;
  process.on('message', () => { stop = true; });
  for (let commits = 0; !stop && commits < commitsMax; ) {
    const engine = await openEngine({
      dir,
      segmentBytesMax: 65_536,
      undurableBytesMax: 32_768,
      maxChainLength: 3,
      retention: { checkpoints: 1 },
    });
    const operator = engine.operator('op');
    const balance = operator.counter('balance');
    const value = operator.value('value');
    const map = operator.map('map');
    let step = value.get('step') ?? 0;
    let pending = [];
    for (let i = 0; i < 1500 && !stop; i++) {
      step++;
      commits++;
      balance.add('a', step);
      balance.add('b', -step);
      value.set('step', step);
      map.set('steps', step % 100, step);
      pending.push(engine.commit({ positions: { step } }));
      if (i % 150 === 149) pending.push(engine.checkpoint());
      if (pending.length < inFlightMax) continue;
      await Promise.all(pending);
      pending = [];
      process.send('wrote');
    }
    await Promise.all(pending);
    await engine.close();
  }
  process.disconnect();
`;

describe('beside a writer', () => {
  let directory: string;
  let store: string;
  let writer: ChildProcess;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemark-reader-'));
    store = join(directory, 'store');
    await writeFile(join(directory, 'writer.mjs'), writerScript);
    await start();
  });
  afterEach(async () => {
    await kill();
    await rm(directory, { recursive: true, force: true });
  });

  /** Starts a writer and waits until it has committed. */
  async function start(): Promise<void> {
    writer = fork(join(directory, 'writer.mjs'), [store]);
    await once(writer, 'message');
  }

  async function kill(): Promise<void> {
    if (writer.exitCode !== null || writer.signalCode !== null) return;
    writer.kill('SIGKILL');
    await once(writer, 'exit');
  }

  /** Lets the writer end by itself; it has to have been well until then. */
  async function stop(): Promise<void> {
    expect(writer.exitCode).toBeNull();
    const exited = once(writer, 'exit');
    writer.send('stop');
    expect(await exited).toEqual([0, null]);
  }

  /** One reading; what it found is of one moment. The moment's LSN and proved LSN. */
  async function readOnce(): Promise<{ lsn: number; provedLsn: number }> {
    const reader = await openReader({ dir: store });
    try {
      const { lsn, provedLsn } = reader;
      const step = reader.get('op', 'value', 'step')!.value as number;
      const a = reader.get('op', 'balance', 'a')!.value as number;
      const b = reader.get('op', 'balance', 'b')!.value as number;
      expect(step).toBe(lsn);
      expect(reader.positions()).toEqual({ step });
      expect(a).toBe((step * (step + 1)) / 2);
      expect(a + b).toBe(0);
      const steps = [...reader.entries('op', 'map')].map((entry) => entry.value as number);
      expect(steps.toSorted((x, y) => x - y)).toEqual(
        Array.from({ length: Math.min(100, step) }, (_, i) => step - Math.min(100, step) + 1 + i),
      );
      return { lsn, provedLsn };
    } finally {
      await reader.close();
    }
  }

  test('forty readings: each of one committed moment, none before what was proved', async () => {
    let proved = 0;
    let last = 0;
    for (let reading = 0; reading < 40; reading++) {
      const { lsn, provedLsn } = await readOnce();
      expect(lsn).toBeGreaterThanOrEqual(proved);
      proved = provedLsn;
      last = lsn;
    }
    await stop();
    expect((await readOnce()).lsn).toBeGreaterThanOrEqual(last);
  });

  test('commits of the log: without a gap up to the moment, each whole, while it is collected', async () => {
    let trimmedBelow: number | undefined;
    for (let reading = 0; reading < 5 || (reading < 60 && trimmedBelow === undefined); reading++) {
      const reader = await openReader({ dir: store });
      let next: number | undefined;
      // From wherever the log is kept, which moves on meanwhile.
      for await (const commit of reader.commits()) {
        next ??= commit.lsn;
        expect(commit.lsn).toBe(next);
        expect(commit.positions).toEqual({ step: next });
        expect(commit.entries).toHaveLength(4);
        next++;
      }
      expect(next).toBe(reader.lsn + 1);
      await reader.close();
      ({ trimmedBelow } = (await inspectStore({ dir: store })).log);
    }
    await stop();
    expect(trimmedBelow).toBeGreaterThan(1);
    expect((await inspectStore({ dir: store })).checkpoints.length).toBeLessThan(15);
  });

  test('a follower: each commit once, with what was before it, however it falls behind', async () => {
    let next: number | undefined;
    let given = 0;
    let fellBehind = 0;
    while (given < 1500 && fellBehind < 50) {
      try {
        for await (const { lsn, positions, effects } of followStore({
          dir: store,
          before: true,
          intervalMs: 1,
          ...(next === undefined ? {} : { from: next }),
        })) {
          expect(lsn).toBe(next ?? lsn);
          expect(positions).toEqual({ step: lsn });
          const step = effects!.find(({ state }) => state === 'value')!;
          expect([step.oldValue ?? 0, step.newValue]).toEqual([lsn - 1, lsn]);
          const balances = effects!.filter(({ state }) => state === 'balance');
          const moved = balances.map(({ key, oldValue, newValue }) => [
            key as string,
            (newValue as number) - ((oldValue as number | undefined) ?? 0),
          ]);
          expect(Object.fromEntries(moved)).toEqual({ a: lsn, b: -lsn });
          next = lsn + 1;
          if (++given >= 1500) break;
        }
      } catch (error) {
        // The writer keeps little: who reads more slowly than it writes is told so, and starts again.
        expect(error).toMatchObject({ code: 'OUT_OF_RETENTION' });
        fellBehind++;
        next = undefined;
      }
    }
    expect(given).toBe(1500);
    await stop();
  });

  test('inspect and verify: no fault', async () => {
    for (let reading = 0; reading < 4; reading++) {
      expect((await verifyStore({ dir: store })).faults).toEqual([]);
      expect((await inspectStore({ dir: store })).faults).toEqual([]);
    }
    await stop();
    expect((await verifyStore({ dir: store })).faults).toEqual([]);
  });

  test('a writer that is killed, and the next one: nothing that was proved goes', async () => {
    let proved = 0;
    for (let killed = 0; killed < 3; killed++) {
      for (let reading = 0; reading < 4; reading++) {
        const { lsn, provedLsn } = await readOnce();
        expect(lsn).toBeGreaterThanOrEqual(proved);
        proved = provedLsn;
      }
      await kill();
      expect((await readOnce()).lsn).toBeGreaterThanOrEqual(proved);
      expect((await verifyStore({ dir: store })).faults).toEqual([]);
      await start();
    }
    await stop();
  });
});
