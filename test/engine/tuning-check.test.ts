/*
 * Paper against fact: a workload is recorded once, and what the paper says of other settings is held
 * against engines that ran with them.
 */
import { describe, expect, test } from 'vitest';
import { PaperReplay, type PaperOutcome } from '../../src/checkpoint/tuning/tuning-replay.ts';
import { workloadOf } from '../../src/checkpoint/tuning/tuning-source.ts';
import type { CodecModel } from '../../src/checkpoint/tuning/tuning-size.ts';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { resolveOptions } from '../../src/engine/options.ts';
import { open, settle, small, worldOn, type World } from './engine-fixture.ts';

const record = '/workload.tmr';

const whole = { tables: new Map(), data: 1, index: 1 };
const raw: CodecModel = {
  codec: 'none',
  level: undefined,
  base: whole,
  delta: whole,
  loadSecondsPerByte: 1e-8,
};

/** The same changes whatever the settings: values that grow, clears, deletes, lists, operands. */
async function run(
  options: Partial<EngineOptions>,
  commits: number,
  { world = worldOn(), from = 0 }: { world?: World; from?: number } = {},
): Promise<[World, Engine]> {
  const engine = await open(world, { compression: 'none', ...options });
  const op = engine.operator('op');
  const values = op.value<string>('values');
  const pairs = op.map<number, string>('pairs');
  const recent = op.list<number>('recent', { itemsMax: 4 });
  const counts = op.counter('counts');
  const sessions = op.value<number>('sessions', { ttlMs: 3 });
  for (let i = from; i < commits; i++) {
    for (let j = 0; j < 40; j++) {
      const key = `key-${(i * i * 7 + j * 13) % 900}`;
      if (j % 9 === 8) values.delete(key);
      else values.set(key, 'x'.repeat(20 + ((i + j) % 60)));
      pairs.set(`pair-${(i + j) % 30}`, (i * j) % 50, 'y'.repeat(j % 30));
      recent.append(`list-${(i * j) % 17}`, i);
      counts.add(`count-${j % 25}`, i);
      sessions.set(`session-${i}-${j}`, j);
    }
    if (i % 10 === 9) pairs.clear(`pair-${i % 30}`);
    if (i % 70 === 69) counts.clearAll();
    world.clock.advance(1);
    await engine.commit({ positions: { source: i } });
    // On paper checkpoints and merges take no time.
    await idle(engine);
  }
  await engine.close();
  return [world, engine];
}

async function idle(engine: Engine): Promise<void> {
  for (;;) {
    await settle(1);
    const { compacting, checkpointing, frozenMemtables } = engine.stats();
    if (!compacting && !checkpointing.running && frozenMemtables === 0) {
      await settle(3);
      if (!engine.stats().compacting) return;
    }
  }
}

function paperOf(bytes: Uint8Array, options: Partial<EngineOptions>): PaperOutcome {
  const { workload } = workloadOf(bytes, record)!;
  const { checkpointing, chain, retention } = resolveOptions({ ...small, ...options });
  const settings = {
    triggers: checkpointing!,
    policy: chain.policy,
    codec: raw,
    retention: retention.settings,
    segmentBytesMax: small.segmentBytesMax!,
  };
  const rates = { replayBytesPerSecond: 50e6, overheadSeconds: 0.05 };
  return new PaperReplay(workload, settings, rates).run();
}

describe('the paper replay', () => {
  test('settings that were never run: bytes and write amplification within 5 % of the fact', async () => {
    const commits = 90;
    const settings: Partial<EngineOptions>[] = [
      { checkpointing: { commits: 7 }, maxChainLength: 4 },
      { checkpointing: { entries: 1500 }, maxChainLength: 10 },
      { checkpointing: { logBytes: 40_000 }, maxChainLength: 3, merge: { strategy: 'sequential' } },
    ];
    const [world] = await run({ record, checkpointing: { commits: 31 } }, commits);
    const bytes = (await world.fs.contents()).get(record)!;
    for (const options of settings) {
      const [real] = await run(options, commits);
      const engine = await open(real);
      const newest = (await engine.checkpoints()).at(-1)!;
      await engine.close();
      const { totals } = newest;
      const fact = (totals.checkpointBytes + totals.mergeBytes) / totals.logBytes;
      const paper = paperOf(bytes, options);
      const off = (a: number, b: number): number => Math.abs(a / b - 1);
      const shown = JSON.stringify({ options, paper, totals, fact });
      expect(off(paper.totals.logBytes, totals.logBytes), shown).toBeLessThan(0.05);
      expect(off(paper.totals.checkpointBytes, totals.checkpointBytes), shown).toBeLessThan(0.05);
      expect(off(paper.totals.mergeBytes, totals.mergeBytes), shown).toBeLessThan(0.05);
      expect(off(paper.writeAmplification, fact), shown).toBeLessThan(0.05);
    }
  });

  test('recorded over a state that is there: bases are the size that they come to', async () => {
    const before = { checkpointing: { commits: 31 } };
    const options = { checkpointing: { commits: 5 }, maxChainLength: 4 };
    const worlds: World[] = [];
    // Retention drops the record; the sums in it are what the second half is counted from.
    let first = { mergeBytes: 0, checkpointBytes: 0 };
    for (const after of [{ record, ...before }, options]) {
      const [world] = await run(before, 45);
      const between = await open(world, { compression: 'none', checkpointing: false });
      ({ totals: first } = await between.checkpoint({ kind: 'base' }));
      await between.close();
      await run(after, 90, { world, from: 45 });
      worlds.push(world);
    }
    const bytes = (await worlds[0]!.fs.contents()).get(record)!;
    const paper = paperOf(bytes, options);
    const engine = await open(worlds[1]!, { checkpointing: false });
    const records = await engine.checkpoints();
    await engine.close();
    const made = records.at(-1)!.totals;
    const merged = made.mergeBytes - first.mergeBytes;
    const written = made.checkpointBytes - first.checkpointBytes;
    expect(paper.merges).toBeGreaterThan(1);
    expect(Math.abs(paper.totals.mergeBytes / merged - 1)).toBeLessThan(0.05);
    expect(Math.abs(paper.totals.checkpointBytes / written - 1)).toBeLessThan(0.05);
  });
});
