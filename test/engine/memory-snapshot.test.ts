/*
 * `engine.snapshot()`: the state as of the last commit, held in memory while everything goes on.
 */
import { describe, expect, test } from 'vitest';
import { pinsOf } from '../../src/checkpoint/retention/retention-pins.ts';
import type { Engine, View } from '../../src/engine/index.ts';
import { codeOf, gate, noise, open, settle, worldOn, type World } from './engine-fixture.ts';

const get = (from: Pick<Engine, 'operator'>, key: string): unknown =>
  from.operator('op').value('value').get(key);

function set(engine: Engine, key: string, value: unknown): void {
  engine.operator('op').value('value').set(key, value);
}

test('a snapshot: the last commit at the call, without open changes, whatever comes after', async () => {
  const world = worldOn();
  const engine = await open(world);
  set(engine, 'a', 1);
  await engine.commit({ positions: { source: 1 } });
  set(engine, 'a', 2);
  set(engine, 'b', 2);
  const snapshotting = engine.snapshot();
  await engine.commit({ positions: { source: 2 } });

  const view = await snapshotting;
  const show = (): unknown => [
    get(view, 'a'),
    get(view, 'b'),
    [...view.operator('op').value('value').entries()],
    view.positions,
    view.lsn,
  ];
  const then = [1, undefined, [['a', 1]], { source: 1 }, 1];
  expect(show()).toEqual(then);
  await engine.checkpoint();
  engine.operator('op').value('value').clearAll();
  await engine.commit();
  await engine.checkpoint({ kind: 'base' });
  expect(show()).toEqual(then);
  expect(pinsOf(world.fs, '/store').size).toBe(0);
  await view.close();
  expect([get(engine, 'a'), engine.positions]).toEqual([undefined, { source: 2 }]);
  await engine.close();
});

test('a commit that is not durable yet: a snapshot shows it', async () => {
  const engine = await open(worldOn());
  set(engine, 'a', 1);
  const commit = engine.commit();
  const view = await engine.snapshot();
  expect([get(view, 'a'), view.lsn]).toEqual([1, 1]);
  await commit;
  await engine.close();
});

test('nothing was committed since: another snapshot freezes nothing', async () => {
  const engine = await open(worldOn());
  set(engine, 'a', 1);
  await engine.commit();
  const views = [await engine.snapshot(), await engine.snapshot(), await engine.snapshot()];
  expect(engine.stats().frozenMemtables).toBe(1);
  expect(views.map((view) => get(view, 'a'))).toEqual([1, 1, 1]);
  await engine.close();
});

test('what a snapshot froze: it is due for a checkpoint still, which takes it in once', async () => {
  const engine = await open(worldOn());
  set(engine, 'a', 1);
  await engine.commit();
  const before = engine.stats().checkpointing;
  const view = await engine.snapshot();
  const { entries, commits, logBytes } = engine.stats().checkpointing;
  expect({ entries, commits, logBytes }).toEqual({
    entries: before.entries,
    commits: before.commits,
    logBytes: before.logBytes,
  });
  const record = await engine.checkpoint();
  expect([record.lsn, record.chain[0]!.entryCount]).toEqual([1, before.entries]);
  expect(engine.stats().frozenMemtables).toBe(0);
  expect(get(view, 'a')).toBe(1);
  await engine.close();
});

test('four memtables are frozen: the next snapshot waits for a checkpoint, and all are exact', async () => {
  const engine = await open(worldOn());
  const views: View[] = [];
  for (let round = 1; round <= 10; round++) {
    set(engine, 'a', round);
    await engine.commit();
    views.push(await engine.snapshot());
    expect(engine.stats().frozenMemtables).toBeLessThanOrEqual(4);
  }
  expect(views.map((view) => get(view, 'a'))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect((await engine.checkpoints()).length).toBeGreaterThan(0);
  for (const view of views) await view.close();
  expect(get(engine, 'a')).toBe(10);
  await engine.close();
});

test('a checkpoint that a snapshot needs fails: so does the snapshot, and the next one works', async () => {
  const world = worldOn();
  const engine = await open(world);
  for (let round = 1; round <= 4; round++) {
    set(engine, 'a', round);
    await engine.commit();
    await (await engine.snapshot()).close();
  }
  set(engine, 'a', 5);
  await engine.commit();
  world.fs.before = ({ call, path }) => {
    if (call === 'open' && !path.includes('/wal/')) {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    }
  };
  expect(await codeOf(engine.snapshot())).toBe('NO_SPACE');
  world.fs.before = () => {};
  const view = await engine.snapshot();
  expect(get(view, 'a')).toBe(5);
  await engine.close();
});

test('a snapshot inside a transaction: what the transaction changed is not in it', async () => {
  const engine = await open(worldOn());
  set(engine, 'a', 1);
  await engine.commit();
  let snapshotting: Promise<View> | undefined;
  await engine.transact(() => {
    set(engine, 'a', 2);
    snapshotting = engine.snapshot();
    set(engine, 'b', 3);
  });
  const view = await snapshotting!;
  expect([get(view, 'a'), get(view, 'b')]).toEqual([1, undefined]);
  expect([get(engine, 'a'), get(engine, 'b')]).toEqual([2, 3]);
  await engine.close();
});

test('a commit that waits for the checkpoint of a snapshot: it goes on when that has ended', async () => {
  const world = worldOn();
  const bytes = 64 * 1024;
  const engine = await open(world, { memtableBytesMax: 8 * bytes, checkpointing: false });
  for (let round = 1; round <= 4; round++) {
    set(engine, 'a', noise(bytes, round));
    await engine.commit();
    await (await engine.snapshot()).close();
  }
  set(engine, 'a', noise(5 * bytes, 5));
  const held = gate();
  world.fs.before = async ({ call, path }) => {
    if (call === 'open' && !path.includes('/wal/')) await held.passed;
  };
  const order: string[] = [];
  const first = engine.commit();
  await settle();
  const snapshotting = engine.snapshot();
  await settle();
  set(engine, 'b', 1);
  const committing = engine.commit().then(() => order.push('commit'));
  await settle();
  expect(engine.stats().waitingFor).toBe('memtable');
  expect(order).toEqual([]);
  held.open();
  await Promise.all([first, committing]);
  // It waited behind four frozen memtables, and is the state as of when there was room.
  const view = await snapshotting;
  expect([view.lsn, get(view, 'b')]).toEqual([6, 1]);
  await engine.close();
});

describe('a snapshot in memory of which something is not in memory', () => {
  test('merges and collections meanwhile: its files are kept, loaded and read, until it is closed', async () => {
    const world = worldOn();
    const made = await open(world, { checkpointing: false });
    for (let i = 0; i < 500; i++) set(made, `k${i}`, `value ${i} `.padEnd(400, 'x'));
    await made.commit();
    const { chain } = await made.checkpoint();
    await made.close();
    const base = `/store/${chain[0]!.name}`;

    const options = {
      checkpointing: false,
      prefetch: 'none',
      retention: { checkpoints: 1 },
    } as const;
    const engine = await open(world, options);
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    const view = await engine.snapshot();
    for (let round = 0; round < 3; round++) {
      set(engine, 'k1', round);
      await engine.commit();
      await engine.checkpoint({ kind: 'base' });
    }
    const { plan } = await engine.collect();
    const why = plan.lines.find(({ name }) => base.endsWith(name))!;
    expect(why).toMatchObject({ action: 'keep', rules: ['pin'] });
    // What is looked into is loaded behind it, by the name of the file.
    world.fs.calls.length = 0;
    for (let i = 0; i < 500; i++) expect(get(view, `k${i}`)).toMatch(`value ${i} `);
    while (!isRead(world, base)) await settle(1);
    await settle();
    expect(failures).toEqual([]);
    for (let i = 0; i < 500; i++) expect(get(view, `k${i}`)).toMatch(`value ${i} `);
    await view.close();
    expect(pinsOf(world.fs, '/store').size).toBe(0);
    await engine.collect();
    expect(await world.fs.stat(base)).toBeUndefined();
    await engine.close();
  });
});

/** A worker has opened the file, and closed it. */
function isRead({ fs }: World, path: string): boolean {
  return fs.calls.some((call) => call.path === path && call.call === 'close');
}
