/*
 * The chain of an open engine under its policy: what is merged and when, what the record, stats and
 * warnings say of it, and that a merge that fails leaves the chain as it was.
 */
import { describe, expect, test } from 'vitest';
import type {
  CheckpointRecord,
  Engine,
  EngineOptions,
  EngineWarning,
} from '../../src/engine/index.ts';
import { InlinePool } from '../../src/threads/task-pool.ts';
import { injected } from '../tools/faulty-file-system.ts';
import {
  codeOf,
  errorOf,
  noise,
  open,
  pathsIn,
  settle,
  worldOn,
  type World,
} from './engine-fixture.ts';

const checkpointing = false;

/** An engine and the merges it has published. */
async function watched(
  options: Partial<EngineOptions>,
  world: World = worldOn(),
): Promise<{
  engine: Engine;
  merges: CheckpointRecord[];
  warnings: EngineWarning[];
  world: World;
}> {
  const engine = await open(world, { checkpointing, ...options });
  const merges: CheckpointRecord[] = [];
  const warnings: EngineWarning[] = [];
  engine.on('merge', (record) => merges.push(record));
  engine.on('warning', (warning) => warnings.push(warning));
  return { engine, merges, warnings, world };
}

/** Puts so many keys from `first` on, each of so many bytes, and takes a checkpoint. */
async function step(engine: Engine, first: number, keys = 20, bytes = 200): Promise<void> {
  const state = engine.operator('op').value('v');
  for (let n = first; n < first + keys; n++) state.set(n, noise(bytes, n));
  await engine.commit();
  await engine.checkpoint();
  await settle();
}

const kinds = ({ chain }: CheckpointRecord): string =>
  chain.map((link) => (link.kind === 'base' ? 'B' : 'd')).join('');
const codes = (warnings: readonly EngineWarning[]): string[] => warnings.map(({ code }) => code);

function contents(engine: Engine): unknown[] {
  return [...engine.operator('op').value('v').entries()];
}

test('E4 a merge long after the last commit: expiry is judged by that commit, not by the clock', async () => {
  const { engine, world } = await watched({ maxChainLength: 10 });
  const state = engine.operator('op').value('v');
  state.set('short', 1, { ttlMs: 1000 });
  await engine.commit();
  await engine.checkpoint();
  state.set('long', 2);
  const { lsn } = await engine.commit();
  await engine.checkpoint();
  world.clock.advance(60_000);
  expect(state.get('short')).toBeUndefined();

  const { chain, timestamp } = await engine.checkpoint({ kind: 'base' });
  // The catalogue's entry is the third.
  expect(chain).toMatchObject([{ kind: 'base', lastTimestamp: timestamp, entryCount: 3 }]);
  const view = await engine.viewAt({ lsn });
  expect(view.operator('op').value('v').get('short')).toBe(1);
  await view.close();
  await engine.close();
});

describe('strategies', () => {
  test('each reaches the same state; the whole chain into a base, or the cheapest run', async () => {
    const states: unknown[] = [];
    const shapes: Record<string, string[]> = {};
    for (const strategy of ['sequential', 'optimal', 'parallel'] as const) {
      const { engine, merges, world } = await watched({ maxChainLength: 4, merge: { strategy } });
      await step(engine, 0, 400);
      for (let n = 1; n < 8; n++) await step(engine, n * 10);
      expect(engine.stats().chainLength).toBeLessThan(4);
      states.push(contents(engine));
      shapes[strategy] = merges.map(kinds);
      await engine.close();
      const again = await open(world);
      expect(contents(again)).toEqual(states[0]);
      await again.close();
    }
    expect(states[1]).toEqual(states[0]);
    expect(states[2]).toEqual(states[0]);
    expect(shapes['sequential']!.every((shape) => shape === 'B')).toBe(true);
    expect(shapes['parallel']).toEqual(shapes['sequential']);
    expect(shapes['optimal']!.some((shape) => shape.startsWith('Bd'))).toBe(true);
  });

  test('the record says what was chosen, why, from what, and what was written so far', async () => {
    const { engine, merges } = await watched({ maxChainLength: 3, merge: { strategy: 'optimal' } });
    await step(engine, 0, 400);
    await step(engine, 0);
    await step(engine, 0);
    expect(merges).toHaveLength(1);
    const [merged] = merges;
    const records = await engine.checkpoints();
    const inputs = records.at(-2)!.chain.slice(1);
    expect(merged!.trigger).toBe('merge');
    expect(merged!.merge).toMatchObject({
      strategy: 'optimal',
      inputs: inputs.map((link) => link.name),
      inputBytes: inputs.reduce((sum, link) => sum + link.bytes, 0),
      outputBytes: merged!.chain[1]!.bytes,
    });
    expect(merged!.merge!.why).toContain('one delta of 2');
    const { totals } = merged!;
    const deltas = records.filter(({ kind }) => kind !== 'merge');
    expect(totals.mergeBytes).toBe(merged!.chain[1]!.bytes);
    expect(totals.logBytes).toBe(deltas.reduce((sum, { logBytes }) => sum + logBytes, 0));
    expect(totals.checkpointBytes).toBe(
      deltas.reduce((sum, { chain }) => sum + chain.at(-1)!.bytes, 0),
    );
    await engine.close();
  });

  test('deltas of a run that are merged hide nothing: deletes, clears, sums and lists', async () => {
    for (const strategy of ['optimal', 'sequential'] as const) {
      const { engine, world } = await watched({ maxChainLength: 3, merge: { strategy } });
      const op = engine.operator('op');
      await step(engine, 0, 300);
      for (let n = 0; n < 6; n++) {
        op.counter('c').add('k', n + 1);
        op.list('l', { itemsMax: 3 }).append('k', n);
        op.map('m').set('k', n, n);
        if (n === 3) op.map('m').clear('k');
        op.value('v').delete(n);
        await engine.commit();
        await engine.checkpoint();
        await settle();
      }
      const shown = (from: Engine): unknown => {
        const op = from.operator('op');
        const [list, map] = [op.list('l', { itemsMax: 3 }), op.map('m')];
        return [op.counter('c').get('k'), list.get('k'), [...map.entries('k')], contents(from)];
      };
      const before = shown(engine);
      expect((before as unknown[]).slice(0, 3)).toEqual([
        21,
        [3, 4, 5],
        [
          [3, 3],
          [4, 4],
          [5, 5],
        ].slice(1),
      ]);
      await engine.close();
      const again = await open(world);
      expect(shown(again)).toEqual(before);
      await again.close();
    }
  });
});

test('the policy in force: as the options say, in each record', async () => {
  const { engine } = await watched({ maxChainLength: 7, logBytesPerBaseByteMax: 9 });
  await step(engine, 0);
  expect((await engine.checkpoints())[0]!.policy).toEqual({
    strategy: 'optimal',
    maxChainLength: 7,
    mergeBytesPerLogByteMax: 10,
    logBytesPerBaseByteMax: 9,
  });
  await engine.close();
});

describe('a merge that somebody asks for', () => {
  test('merges below every bound; a dry run says what it would, and does nothing', async () => {
    const { engine, merges } = await watched({});
    await step(engine, 0, 300);
    await step(engine, 0);
    await step(engine, 0);
    const planned = await engine.merge({ dryRun: true });
    expect(planned).toMatchObject({
      record: undefined,
      plan: { start: 1, count: 2, cause: 'call' },
    });
    expect(merges).toEqual([]);
    const done = await engine.merge();
    expect([done.record?.id, done.why]).toEqual([merges[0]!.id, merges[0]!.merge!.why]);
    expect(kinds(done.record!)).toBe('Bd');
    expect(kinds((await engine.merge({ strategy: 'sequential' })).record!)).toBe('B');
    expect(await engine.merge()).toEqual({
      why: 'the chain is one snapshot',
      record: undefined,
      plan: undefined,
    });
    await engine.close();
  });

  test('several at once: one after the other, and nothing is lost', async () => {
    const { engine, merges } = await watched({ maxChainLength: 100 });
    for (let n = 0; n < 8; n++) await step(engine, n * 10);
    const before = contents(engine);
    await Promise.all([1, 2, 3, 4].map(() => engine.merge({ strategy: 'optimal' })));
    expect(contents(engine)).toEqual(before);
    // The first makes one snapshot of all; the others find nothing left to do.
    expect(merges.map(({ chain }) => chain.length)).toEqual([1]);
    await engine.close();
  });

  test('bad options, and a closed engine: refused', async () => {
    const { engine } = await watched({});
    expect(await codeOf(engine.merge({ strategy: 'best' as 'optimal' }))).toBe('INVALID_OPTION');
    expect(await codeOf(engine.merge({ dryRun: 1 as unknown as boolean }))).toBe('INVALID_OPTION');
    expect(await codeOf(engine.merge({ force: true } as object))).toBe('INVALID_OPTION');
    await engine.close();
    expect(await codeOf(engine.merge())).toBe('CLOSED');
  });

  test('it fails: the error, the old chain, and a later one works', async () => {
    const { engine, world } = await watched({});
    await step(engine, 0);
    await step(engine, 5);
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path.includes('merge')) throw injected('EIO');
    };
    expect(await codeOf(engine.merge())).toBe('IO');
    world.fs.before = () => {};
    expect(engine.stats().chainLength).toBe(2);
    await engine.merge();
    expect(engine.stats().chainLength).toBe(1);
    await engine.close();
  });
});

describe('limits of a merge', () => {
  test('it takes too long: TIMEOUT, the old chain, and a later one works', async () => {
    const { engine, world } = await watched({ merge: { timeoutMs: 50 } });
    await step(engine, 0);
    await step(engine, 5);
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path.includes('merge')) world.clock.advance(60);
    };
    expect(await codeOf(engine.merge())).toBe('TIMEOUT');
    world.fs.before = () => {};
    expect(engine.stats().chainLength).toBe(2);
    expect(await pathsIn(world.fs, 'snapshots')).toHaveLength(2);
    await engine.merge();
    expect(engine.stats().chainLength).toBe(1);
    await engine.close();
  });

  test('its signal is aborted: ABORTED with the reason, now and later; the chain stays', async () => {
    const abort = new AbortController();
    const { engine, world } = await watched({ merge: { signal: abort.signal } });
    await step(engine, 0);
    await step(engine, 5);
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path.includes('merge')) abort.abort(new Error('enough'));
    };
    const error = await errorOf(engine.merge());
    expect([error.code, error.cause]).toMatchObject(['ABORTED', { message: 'enough' }]);
    world.fs.before = () => {};
    expect(await codeOf(engine.merge())).toBe('ABORTED');
    expect(engine.stats().chainLength).toBe(2);
    await step(engine, 9);
    expect(engine.stats().chainLength).toBe(3);
    await engine.close();
  });

  test('its signal is aborted while merges run by themselves: no failure, checkpoints go on', async () => {
    for (const abortAt of ['before', 'in the middle'] as const) {
      const abort = new AbortController();
      const merge = { signal: abort.signal };
      const { engine, merges, world } = await watched({ maxChainLength: 2, merge });
      if (abortAt === 'before') abort.abort();
      world.fs.before = ({ call, path }) => {
        if (call === 'write' && path.includes('merge')) abort.abort();
      };
      for (let i = 0; i < 4; i++) await step(engine, 5 * i);
      expect(abort.signal.aborted).toBe(true);
      expect(merges).toEqual([]);
      expect(engine.stats()).toMatchObject({
        chainLength: 4,
        failure: undefined,
      });
      await engine.close();
    }
  });

  test('threadsMax: as many ranges at once, and at most what the machine leaves', async () => {
    for (const [threadsMax, backgroundThreads, atOnce] of [
      [1, 3, 1],
      [2, 3, 2],
      [9, 3, 3],
      [undefined, 2, 2],
    ] as const) {
      const world = { ...worldOn(), backgroundThreads };
      const merge = threadsMax === undefined ? {} : { threadsMax };
      const limits = { threadsMax: 4, segmentBytesMax: 64 * 1024 * 1024 };
      const { engine } = await watched({ merge, ...limits }, world);
      expect(engine.stats().mergeThreadsMax).toBe(atOnce);
      await engine.close();
    }
  });
});

test('merge.compressionBytesMin: smaller blocks of a merge stay as they are', async () => {
  const bytesOf = async (compressionBytesMin: number): Promise<number> => {
    const { engine } = await watched({ merge: { compressionBytesMin } });
    const state = engine.operator('op').value('v');
    for (let n = 0; n < 2; n++) {
      for (let key = 0; key < 100; key++) state.set(key, 'the same text again and again');
      await engine.commit();
      await engine.checkpoint();
    }
    const { record } = await engine.merge();
    await engine.close();
    return record!.chain[0]!.bytes;
  };
  expect(await bytesOf(100_000)).toBeGreaterThan(2 * (await bytesOf(1024)));
});

describe('the bound on rewriting', () => {
  test('a merge beyond it: held, said once in a warning and in stats, and done when the log has grown', async () => {
    const { engine, merges, warnings } = await watched({
      maxChainLength: 2,
      mergeBytesPerLogByteMax: 0.5,
      merge: { strategy: 'sequential' },
    });
    for (let n = 0; n < 3; n++) await step(engine, n * 20);
    const held = codes(warnings).filter((code) => code === 'MERGE_HELD');
    expect(held).toEqual(merges.length === 0 ? ['MERGE_HELD'] : []);
    while (!engine.stats().checkpointing.mergeHeld) await step(engine, 0);
    expect(codes(warnings)).toContain('MERGE_HELD');
    const before = merges.length;
    for (let n = 0; n < 12 && merges.length === before; n++) await step(engine, 0, 60);
    expect(merges.length).toBeGreaterThan(before);
    const { totals } = merges.at(-1)!;
    expect(totals.mergeBytes).toBeLessThan(totals.logBytes);
    await engine.close();
  });
});

describe('the budget of a restore', () => {
  test('in bytes: the chain is merged before it breaks, and stats show where it stands', async () => {
    const { engine, merges, warnings } = await watched({
      restoreBytesMax: 40_000,
      maxChainLength: 100,
    });
    for (let n = 0; n < 30; n++) {
      await step(engine, 0);
      const { restore } = engine.stats();
      expect(restore.bytes).toBeLessThanOrEqual(40_000);
      expect(['within', 'near']).toContain(restore.state);
      expect(restore.bytesMax).toBe(40_000);
    }
    expect(merges.length).toBeGreaterThan(1);
    expect(merges[0]!.merge!.why).toContain('a restore is estimated at');
    expect(codes(warnings)).toContain('BUDGET_NEAR');
    await engine.close();
  });

  test('below one base: unreachable, with the floor, in stats and once as a warning', async () => {
    const { engine, merges, warnings } = await watched({ restoreBytesMax: 5000 });
    await step(engine, 0, 100);
    await step(engine, 0);
    await step(engine, 0);
    const { state, floor } = engine.stats().restore;
    expect(state).toBe('unreachable');
    expect(floor!.bytes).toBeGreaterThan(5000);
    expect(codes(warnings)).toEqual(['BUDGET_UNREACHABLE']);
    expect(merges).toEqual([]);
    await engine.close();
  });

  test('without one: an estimate all the same, from assumptions until something was measured', async () => {
    const { engine } = await watched({});
    await step(engine, 0);
    const { state, seconds, bytes, measured, secondsMax } = engine.stats().restore;
    expect([state, measured, secondsMax]).toEqual(['none', false, undefined]);
    expect(bytes).toBe((await engine.checkpoints()).at(-1)!.chain[0]!.bytes);
    expect(seconds).toBeGreaterThan(0);
    await engine.close();
  });

  test('rates that were measured: kept in the record, and the next opening is told its estimate', async () => {
    const world = worldOn();
    // Each look at the clock takes a millisecond, so that what is measured is not nothing.
    const { clock } = world;
    const monotonicMs = clock.monotonicMs.bind(clock);
    let looks = 0;
    clock.monotonicMs = () => monotonicMs() + ++looks;
    const { engine } = await watched({ segmentBytesMax: 4 * 1024 * 1024 }, world);
    await step(engine, 0, 400, 6000);
    await step(engine, 0, 400, 6000);
    const record = (await engine.checkpoints()).at(-1)!;
    expect(record.rates!.loadBytesPerSecond).toBeGreaterThan(0);
    expect(engine.stats().restore).toMatchObject({ measured: true, rates: record.rates });
    await engine.close();
    const again = await open(world, { checkpointing });
    expect(again.recovery.estimatedMs).toBeGreaterThan(0);
    await again.close();
  });
});

describe('warnings', () => {
  test('little free space: told once, again after there was more', async () => {
    const { engine, warnings, world } = await watched({});
    await step(engine, 0);
    world.fs.freeBytes = () => 900 * 1024 * 1024;
    await step(engine, 1);
    await step(engine, 2);
    expect(codes(warnings)).toEqual(['DISK_LOW']);
    expect(warnings[0]!.details).toEqual({ freeBytes: 900 * 1024 * 1024 });
    world.fs.freeBytes = () => 2 ** 40;
    await step(engine, 3);
    world.fs.freeBytes = () => 0.5 * 1024 * 1024 * 1024;
    await step(engine, 4);
    expect(codes(warnings)).toEqual(['DISK_LOW', 'DISK_LOW']);
    await engine.close();
  });

  test('memtables at four fifths of their bound: told', async () => {
    const { engine, warnings } = await watched({ memtableBytesMax: 64 * 1024 });
    engine.operator('op').value('v').set('a', noise(40_000));
    await engine.commit();
    expect(warnings).toEqual([]);
    engine.operator('op').value('v').set('b', noise(15_000));
    await engine.commit();
    expect(codes(warnings)).toEqual(['BUFFERS_FULL']);
    await engine.close();
  });
});

describe('merge.deduplicate', () => {
  /** A base of 400 keys, three deltas that write the same again, and one merge of these. */
  async function merged(deduplicate: boolean, world: World = worldOn()): Promise<Engine> {
    const { engine, merges } = await watched({ merge: { deduplicate } }, world);
    await step(engine, 0, 400);
    for (let i = 0; i < 3; i++) {
      engine.operator('op').value('v').delete(`absent ${i}`);
      await step(engine, 10 * i);
    }
    engine.operator('op').value('v').set(5, 'changed');
    await step(engine, 10);
    await engine.merge();
    expect(merges.map(kinds)).toEqual(['Bd']);
    return engine;
  }
  const deltaOf = async (engine: Engine): Promise<{ entryCount: number; name: string }> =>
    (await engine.checkpoints()).at(-1)!.chain.at(-1)!;

  test('deltas that change nothing: left out of the merged one, and the state is the same', async () => {
    const worlds = [worldOn(), worldOn()];
    const lean = await merged(true, worlds[0]);
    const full = await merged(false, worlds[1]);
    // What is left: the value that changed, and what the engine keeps for itself.
    const saved = (await deltaOf(full)).entryCount - (await deltaOf(lean)).entryCount;
    expect(saved).toBe(3 + 40 - 1);
    const expected = contents(full);
    expect(contents(lean)).toEqual(expected);
    await lean.close();
    await full.close();
    const again = await open(worlds[0]!, { checkpointing: false });
    expect(contents(again)).toEqual(expected);
    await again.close();
  });

  test('a delta without them: names the chain below, also merged again in a later opening', async () => {
    const world = worldOn();
    const engine = await merged(true, world);
    const [base] = (await engine.checkpoints()).at(-1)!.chain;
    const parentsOf = async (name: string): Promise<readonly string[]> => {
      const paths = await pathsIn(world.fs, 'snapshots');
      const path = paths.find((one) => one.endsWith(name))!;
      return (await new InlinePool(world.fs).run('loadSnapshot', { path })).parents;
    };
    expect(await parentsOf((await deltaOf(engine)).name)).toEqual([base!.sha256]);
    await engine.close();
    const { engine: later, merges } = await watched({}, world);
    await step(later, 30);
    await later.merge();
    expect(merges.map(kinds)).toEqual(['Bd']);
    expect(await parentsOf((await deltaOf(later)).name)).toEqual([base!.sha256]);
    await later.close();
  });

  test('no boolean: INVALID_OPTION', async () => {
    const merge = { deduplicate: 1 as unknown as boolean };
    expect(await codeOf(open(worldOn(), { merge }))).toBe('INVALID_OPTION');
  });
});
