import { describe, expect, test } from 'vitest';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { changes } from '../tools/faulty-file-system.ts';
import { codeOf, errorOf, open, pathsIn, settle, worldOn } from './engine-fixture.ts';
import { count, expectWhole, firstError, flip, opened, stored } from './rebuild-world.ts';

describe('a slice of the newest chain cannot be read', () => {
  test.each([
    { what: 'base', link: 0 },
    { what: 'delta', link: 1 },
  ])('of its $what: reads throw, then it is made anew', async ({ link }) => {
    const { world, newest } = await stored();
    const { name } = newest.chain[link]!;
    await flip(world.fs, `/store/${name}`);
    const { engine, events, failures } = await opened(world);
    expect(engine.recovery.path).toBe('newest');
    const error = firstError(engine);
    expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details: { path: `/store/${name}` } });
    // Every reading of the slice, wherever the damage is.
    expect(firstError(engine)).toBe(error);
    expect(() => [...engine.operator('o').value('v').keys()]).toThrow('block');
    await settle(300);
    const of = { snapshot: name, operator: 'o', state: 'v', error };
    expect(events).toMatchObject([
      { outcome: 'found', ...of, checkpoint: undefined },
      { outcome: 'rebuilt', ...of, checkpoint: expect.any(Number) as number },
    ]);
    expect(failures).toEqual([]);
    expectWhole(engine);
    const [rebuilt] = (await engine.checkpoints()).slice(-1);
    expect(rebuilt).toMatchObject({ id: events[1]!.checkpoint, lsn: newest.lsn });
    const record = await engine.checkpoint();
    expect(record.chain.map((one) => one.name)).not.toContain(name);
    await engine.close();
    const again = await open(world, { prefetch: 'aggressive', verification: 'full' });
    expect(again.recovery).toMatchObject({ path: 'newest', skipped: [] });
    expectWhole(again);
    await again.close();
  });

  test('nobody reads it: the loading behind the opening finds it', async () => {
    const { world, newest } = await stored();
    await flip(world.fs, `/store/${newest.chain[0]!.name}`);
    const { engine, events } = await opened(world, { prefetch: 'adaptive' });
    await settle(300);
    expect(events.map(({ outcome }) => outcome)).toEqual(['found', 'rebuilt']);
    expectWhole(engine);
    await engine.close();
  });

  test('nobody listens: a warning is kept for the first who does', async () => {
    const { world, newest } = await stored();
    await flip(world.fs, `/store/${newest.chain[0]!.name}`);
    const engine = await open(world, { prefetch: 'adaptive', checkpointing: false });
    await settle(300);
    const codes: string[] = [];
    engine.on('warning', ({ code }) => codes.push(code));
    await settle();
    expect(codes).toEqual(['SNAPSHOT_DAMAGED']);
    await engine.close();
  });

  test('the older way is damaged too: the one below it is taken, here the log alone', async () => {
    const { world, newest } = await stored();
    await flip(world.fs, `/store/${newest.chain[0]!.name}`);
    const others = (await pathsIn(world.fs, 'snapshots')).filter(
      (path) => !newest.chain.some(({ name }) => path.endsWith(name)),
    );
    for (const path of others) await flip(world.fs, path);
    const { engine, events } = await opened(world, { prefetch: 'adaptive' });
    await settle(400);
    expect(events.map(({ outcome }) => outcome)).toEqual(['found', 'found', 'rebuilt']);
    expectWhole(engine);
    await engine.close();
  });
});

test('of a view of an older moment: its reads throw, and one that is opened then goes another way', async () => {
  const { world, newest } = await stored();
  const { engine, events } = await opened(world);
  const [first] = await engine.checkpoints();
  await flip(world.fs, `/store/${first!.chain[0]!.name}`);
  const at = { checkpoint: first!.id };
  const view = await engine.viewAt(at);
  const reads = (of: typeof view): unknown[] =>
    Array.from({ length: count }, (_, i) => of.operator('o').value<string>('v').get(i));
  const error = await errorOf(() => reads(view));
  expect(error.code).toBe('CORRUPT_SNAPSHOT');
  expect(events).toMatchObject([{ outcome: 'found', snapshot: first!.chain[0]!.name }]);
  const again = await engine.viewAt(at);
  expect(reads(again).every((text) => String(text).startsWith('round 1'))).toBe(true);
  await view.close();
  await again.close();
  // The chain is sound, and nothing is made anew.
  expect((await engine.checkpoints()).at(-1)!.id).toBe(newest.id);
  await engine.checkpoint();
  expectWhole(engine);
  await engine.close();
});

describe('checkpoints while something is damaged', () => {
  test('one that is asked for waits until the chain is made anew', async () => {
    const { world, newest } = await stored();
    const { name } = newest.chain[0]!;
    await flip(world.fs, `/store/${name}`);
    const { engine, events } = await opened(world);
    firstError(engine);
    engine.operator('o').value('v').set(599, 'round 1 again');
    await engine.commit();
    const record = await engine.checkpoint();
    expect(events.map(({ outcome }) => outcome)).toEqual(['found', 'rebuilt']);
    expect(record.chain.map((link) => link.name)).not.toContain(name);
    expectWhole(engine);
    await engine.close();
  });

  test('no way is left: they fail with the damage, reads of the slice too, until there is one', async () => {
    const { world, newest } = await stored();
    const base = `/store/${newest.chain[0]!.name}`;
    await flip(world.fs, base);
    const { engine, events, failures } = await opened(world);
    const snapshots = await pathsIn(world.fs, 'snapshots');
    const others = snapshots.filter(
      (path) => !newest.chain.some(({ name }) => path.endsWith(name)),
    );
    for (const path of others) await flip(world.fs, path);
    const logs = await pathsIn(world.fs, 'wal');
    const oldest = logs.find((path) => path.endsWith('.wal'))!;
    await flip(world.fs, oldest, 0.05);
    const error = firstError(engine);
    await settle(400);
    expect(events.map(({ outcome }) => outcome)).toEqual(['found', 'found', 'lost']);
    expect(events[2]!.cause).toMatchObject({ kind: 'corrupt' });
    expect(failures).toEqual([events[2]!.cause]);
    expect(firstError(engine)).toBe(error);
    engine.operator('o').value('v').set(599, 'round 1 again');
    await engine.commit();
    expect(await errorOf(engine.checkpoint())).toBe(error);
    const records = (await engine.checkpoints()).length;
    expect(await codeOf(engine.merge())).toBe('CORRUPT_SNAPSHOT');
    expect(await engine.checkpoints()).toHaveLength(records);

    for (const path of others) await flip(world.fs, path);
    await flip(world.fs, oldest, 0.05);
    const record = await engine.checkpoint();
    expect(record.lsn).toBe(engine.sealedLsn);
    expectWhole(engine);
    await engine.close();
  });
});

test('a power loss at any change of it: the next opening finds the state by another way', async () => {
  const { world, newest } = await stored();
  await flip(world.fs, `/store/${newest.chain[0]!.name}`);
  const { engine } = await opened(world);
  const moments: FaultyFileSystem[] = [];
  world.fs.before = async (call) => {
    if (!changes(call)) return;
    moments.push(await world.fs.crash('dropped'), await world.fs.crash('kept'));
  };
  firstError(engine);
  await settle(300);
  world.fs.before = () => {};
  await engine.close();
  expect(moments.length).toBeGreaterThan(10);
  for (const fs of moments) {
    const again = await open(worldOn(fs), { prefetch: 'aggressive' });
    expectWhole(again);
    await again.close();
  }
});
