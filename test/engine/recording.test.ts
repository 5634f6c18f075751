/*
 * The option `record`: what commits did is in the file, in little space, and nothing that goes wrong
 * with it reaches the engine.
 */
import { describe, expect, test } from 'vitest';
import { readRecording } from '../../src/checkpoint/tuning/workload-reader.ts';
import { WorkloadSampler } from '../../src/checkpoint/tuning/workload-sampler.ts';
import type { WorkloadCommit, WorkloadStart } from '../../src/checkpoint/tuning/workload.ts';
import type { EngineWarning } from '../../src/engine/index.ts';
import { CommitEncoder } from '../../src/state/commit-encoder.ts';
import { codeOf, open, worldOn, type World } from './engine-fixture.ts';

const record = '/workload.tmr';

async function partsIn(
  world: World,
): Promise<{ starts: WorkloadStart[]; commits: WorkloadCommit[]; logBytes: number[] }> {
  const bytes = (await world.fs.contents()).get(record)!;
  const parts = [...readRecording(bytes, record)];
  return {
    starts: parts.flatMap((part) => (part.kind === 'start' ? [part.start] : [])),
    commits: parts.flatMap((part) => (part.kind === 'commit' ? [part.commit] : [])),
    logBytes: parts.flatMap((part) => (part.kind === 'log' ? [part.logBytes] : [])),
  };
}

/** What the recording says of user tables, without reserved ones. */
function userRows({ followed, rows }: WorkloadCommit, first: number): unknown[] {
  return rows
    .filter(({ id }) => (followed[id - first]?.table ?? 16) >= 16)
    .map(({ op, operator, entries, valueBytes }) => [op, operator, entries, valueBytes]);
}

describe('record', () => {
  test('asked for: commits are in the file with sizes; not asked for: there is no file', async () => {
    const world = worldOn();
    const engine = await open(world, { record });
    const op = engine.operator('op');
    const list = op.list<number>('recent', { itemsMax: 2 });
    op.map<number, number>('pairs').set('a', 1, 100);
    op.counter('count').add('x', 5);
    for (let i = 0; i < 5; i++) list.append('k', i);
    await engine.commit();
    op.map<number, number>('pairs').clear('a');
    await engine.commit();
    await engine.close();
    const { starts, commits, logBytes } = await partsIn(world);
    expect(starts).toMatchObject([{ lsn: 0, keyGroups: 4, tables: [] }]);
    expect(commits.map(({ lsn }) => lsn)).toEqual([1, 2]);
    expect(commits[0]!.entryCount).toBe(3 + 1 + 1 + 5);
    const rows = userRows(commits[0]!, 0);
    expect(rows).toHaveLength(3);
    expect(rows).toContainEqual([1, 0, 1, 1]);
    expect(rows).toContainEqual([1, 0, 5, 5]);
    expect(rows).toContainEqual([3, 1, 1, 8]);
    expect(commits[1]!.clears).toHaveLength(1);
    expect(logBytes[0]).toBeGreaterThan(commits[0]!.recordBytes + commits[1]!.recordBytes);

    const silent = worldOn();
    const other = await open(silent);
    other.operator('op').value('v').set('a', 1);
    await other.commit();
    await other.close();
    expect((await silent.fs.contents()).has(record)).toBe(false);
  });

  test('opened again: goes on, and knows what the state held before', async () => {
    const world = worldOn();
    const first = await open(world);
    const words = first.operator('op').value<string>('v');
    words.set('a', 'x'.repeat(50));
    words.set('b', 'y');
    await first.commit();
    await first.checkpoint();
    await first.close();
    for (const key of ['a', 'c']) {
      const engine = await open(world, { record });
      engine.operator('op').value<string>('v').set(key, 'new');
      await engine.commit();
      await engine.close();
    }
    const { starts, commits } = await partsIn(world);
    expect(starts.map(({ lsn }) => lsn)).toEqual([1, 2]);
    expect(starts[0]!.tables.find(({ table }) => table === 16)).toMatchObject({ entries: 2 });
    expect(commits.map(({ lsn }) => lsn)).toEqual([2, 3]);
    const [a, c] = commits.map(({ followed }) => followed.find(({ table }) => table === 16)!);
    expect(a!.before).toEqual({ entries: 1, valueBytes: 52 });
    expect(c!.before).toBeUndefined();
  });

  test('a write fails: the recording ends with a warning, and commits go on', async () => {
    const world = worldOn();
    const engine = await open(world, { record });
    const warnings: EngineWarning[] = [];
    engine.on('warning', (warning) => warnings.push(warning));
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path === record)
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    };
    const state = engine.operator('op').value<number>('v');
    for (let i = 0; i < 5000; i++) {
      state.set('k', i);
      await engine.commit({ durability: 'memory' });
    }
    await engine.close();
    expect(warnings.map(({ code }) => code)).toEqual(['RECORDING_ENDED']);
    expect(warnings[0]!.details).toMatchObject({ path: record, error: { code: 'NO_SPACE' } });
    const again = await open(world);
    expect(again.operator('op').value<number>('v').get('k')).toBe(4999);
    await again.close();
  });

  test.each([
    ['another store', new Uint8Array(0), 'IO'],
    ['something else', new Uint8Array(64).fill(1), 'CORRUPT_RECORDING'],
  ])('the file is of %s: it stays as it is, and a warning says so', async (_, foreign, code) => {
    const world = worldOn();
    if (foreign.length === 0) {
      const other = await open(world, { dir: '/other', record });
      await other.close();
    } else {
      const handle = await world.fs.open(record, 'create');
      await handle.write(foreign, 0);
      await handle.close();
    }
    const before = (await world.fs.contents()).get(record)!;
    const engine = await open(worldOn(world.fs, world.clock, 2), { record });
    const warnings: EngineWarning[] = [];
    engine.on('warning', (warning) => warnings.push(warning));
    engine.operator('op').value('v').set('a', 1);
    await engine.commit();
    await engine.close();
    expect(warnings[0]!.details).toMatchObject({ error: { code } });
    expect((await world.fs.contents()).get(record)).toEqual(before);
  });

  test('not a path: INVALID_OPTION', async () => {
    expect(await codeOf(open(worldOn(), { record: '' }))).toBe('INVALID_OPTION');
    expect(await codeOf(open(worldOn(), { record: 5 as never }))).toBe('INVALID_OPTION');
  });
});

describe('the sample', () => {
  /** A commit that sets keys from a number on. */
  function recordOf(from: number, count: number): Uint8Array {
    const encoder = new CommitEncoder(1 << 20);
    encoder.begin(1000 + from, undefined);
    for (let i = 0; i < count; i++) {
      encoder.add({
        table: 16,
        op: 1,
        operator: 0,
        expiry: 0,
        eventTime: 0,
        key: from + i,
        subKey: undefined,
        value: new Uint8Array(8),
      });
    }
    return encoder.finish().slice();
  }

  test('more keys than are followed: every second is let go, and counts stay in proportion', () => {
    const sampler = new WorkloadSampler({
      seed: { low: 1, high: 2 },
      itemsMax: () => undefined,
      before: () => undefined,
      keysMax: 1000,
    });
    let exponent = 0;
    const rows: number[] = [];
    for (let i = 0; i < 100; i++) {
      const commit = sampler.commit(i + 1, recordOf(i * 200, 200));
      for (const table of commit.tables) exponent = table.exponent;
      rows.push(commit.rows.length);
    }
    expect(exponent).toBe(5);
    // 20,000 keys, one in 2^5 of them.
    const last = rows.slice(-20).reduce((sum, count) => sum + count, 0);
    expect(last).toBeGreaterThan((20 * 200) / 32 / 1.4);
    expect(last).toBeLessThan(((20 * 200) / 32) * 1.4);
  });

  test('more rows than are of use: keys are let go though there are few', () => {
    const sampler = new WorkloadSampler({
      seed: { low: 1, high: 2 },
      itemsMax: () => undefined,
      before: () => undefined,
      rowsMax: 500,
    });
    const exponents: number[] = [];
    for (let i = 0; i < 20; i++) {
      const commit = sampler.commit(i + 1, recordOf(0, 100));
      exponents.push(...commit.tables.map(({ exponent }) => exponent));
    }
    expect(exponents[0]).toBe(0);
    expect(exponents.at(-1)).toBeGreaterThanOrEqual(1);
  });
});
