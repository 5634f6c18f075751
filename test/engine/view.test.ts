/*
 * Views of moments beside the live engine: what they show, what they refuse, what they hold, and
 * that it goes when they are closed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pinsOf } from '../../src/checkpoint/retention/retention-pins.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { codeOf, errorOf, gate, open, settle, worldOn } from './engine-fixture.ts';
import { HeldStore } from './held-store.ts';
import { fill, idsOf, opened, threeBases, write } from './retention-world.ts';

/** Commits one value, and gives its LSN. */
async function put(engine: Engine, key: string, value: unknown): Promise<number> {
  engine.operator('op').value('value').set(key, value);
  const { lsn } = await engine.commit({ positions: { source: value } });
  return lsn;
}

const get = (from: Pick<Engine, 'operator'>, key: string): unknown =>
  from.operator('op').value('value').get(key);

test('a view at an LSN: state, positions, LSN and time of that commit, whatever comes after', async () => {
  const world = worldOn();
  const engine = await open(world);
  world.clock.advance(1000);
  const first = await put(engine, 'a', 1);
  world.clock.advance(1000);
  await put(engine, 'a', 2);

  const view = await engine.viewAt({ lsn: first });
  await put(engine, 'a', 3);
  await engine.checkpoint();

  expect([get(view, 'a'), view.positions, view.lsn, view.timestamp]).toEqual([
    1,
    { source: 1 },
    first,
    1_000_000,
  ]);
  expect(view.operator('op').value('value').getEntry('a')).toMatchObject({ value: 1, lsn: first });
  expect([...view.operator('op').value('value').entries()]).toEqual([['a', 1]]);
  expect(view.operator('op').value('value').count()).toBe(1);
  await view.close();
  await engine.close();
});

test('targets of every kind: each gives its moment', async () => {
  const world = worldOn();
  const engine = await open(world);
  await put(engine, 'a', 1);
  const { id } = await engine.checkpoint();
  world.clock.advance(5000);
  await put(engine, 'a', 2);
  await engine.checkpoint({ savepoint: 'two' });
  world.clock.advance(5000);
  await put(engine, 'a', 3);

  const seen = [];
  for (const target of [
    { lsn: 0 },
    { checkpoint: id },
    { savepoint: 'two' },
    { savepoint: 'two', inclusive: false },
    { timestamp: 5_000_000 },
    { timestamp: 9_999_999 },
    'latest',
  ] as const) {
    const view = await engine.viewAt(target);
    seen.push(get(view, 'a'));
    await view.close();
  }
  expect(seen).toEqual([undefined, 1, 2, 1, 2, 2, 3]);
  await engine.close();
});

test('the latest moment: what was sealed at the call, and nothing later or open', async () => {
  const engine = await open(worldOn());
  engine.operator('op').value('value').set('a', 1);
  const sealed = engine.commit({ durability: 'memory' });
  const opening = engine.viewAt('latest');
  const later = put(engine, 'a', 2);
  engine.operator('op').value('value').set('a', 3);

  const view = await opening;
  const { lsn } = await sealed;
  expect([get(view, 'a'), view.lsn]).toEqual([1, lsn]);
  expect(engine.durableLsn).toBeGreaterThanOrEqual(lsn);
  await later;
  await engine.close();
});

test('a time that is still to come: the message says so, and of a commit that is not there does not', async () => {
  const world = worldOn();
  world.clock.advance(1000);
  const engine = await open(world);
  await put(engine, 'a', 1);
  const later = await errorOf(engine.viewAt({ timestamp: 9_000_000 }));
  expect([later.code, later.message]).toEqual([
    'OUT_OF_RETENTION',
    expect.stringMatching(/^timestamp 9000000 .* is still to come: /),
  ]);
  const beyond = await errorOf(engine.viewAt({ lsn: 9_000_000 }));
  expect(beyond.message).toMatch(/^lsn 9000000 cannot be restored: /);
  await engine.close();
});

test('targets that are not kept, or make no sense: typed errors, and no pin is left', async () => {
  const world = worldOn();
  const engine = await open(world, { retention: false });
  await put(engine, 'a', 1);
  expect(await codeOf(engine.viewAt({ lsn: 2 }))).toBe('OUT_OF_RETENTION');
  expect(await codeOf(engine.viewAt({ checkpoint: 9 }))).toBe('CHECKPOINT_NOT_FOUND');
  expect(await codeOf(engine.viewAt({ savepoint: 'none' }))).toBe('SAVEPOINT_NOT_FOUND');
  const wrong = await errorOf(engine.viewAt({ lsn: -1 }));
  expect([wrong.code, wrong.details['option']]).toEqual(['INVALID_OPTION', 'target.lsn']);
  expect(await codeOf(engine.plan({ lsn: 2 }))).toBe('OUT_OF_RETENTION');
  expect(pinsOf(world.fs, '/store').size).toBe(0);
  await engine.close();
});

test('a plan: checkpoint, chain and log of a restore, of what was sealed at the call', async () => {
  const engine = await open(worldOn());
  await put(engine, 'a', 1);
  const record = await engine.checkpoint();
  await put(engine, 'a', 2);
  engine.operator('op').value('value').set('a', 3);
  const committed = engine.commit({ durability: 'memory' });

  const plan = await engine.plan();
  expect(plan).toMatchObject({
    lsn: 3,
    checkpoint: record.id,
    checkpointLsn: 1,
    chain: record.chain,
    replayedCommits: 2,
  });
  expect(plan.logBytes).toBeGreaterThan(0);
  const before = await engine.plan({ checkpoint: record.id });
  expect([before.lsn, before.replayedCommits, before.logBytes]).toEqual([1, 0, 0]);
  await committed;
  await engine.close();
});

test('changes through any handle of a view or snapshot: READ_ONLY, and nothing is changed', async () => {
  const engine = await open(worldOn());
  await put(engine, 'a', 1);
  for (const view of [await engine.viewAt('latest'), await engine.snapshot()]) {
    const op = view.operator('op');
    const reduced = op.reducing<number>('reduced', { reduce: (a, b) => a + b });
    const averaged = op.aggregating<number, number[], number>('averaged', {
      create: () => [],
      add: (all, one) => [...all, one],
      result: (all) => all.length,
    });
    const changes = [
      () => op.value('value').set('a', 2),
      () => op.value('value').update('a', () => 2),
      () => op.value('value').patch('a', {}),
      () => op.value('value').delete('a'),
      () => op.value('value').clearAll(),
      () => op.map('map').set('a', 1, 1),
      () => op.map('map').delete('a', 1),
      () => op.map('map').clear('a'),
      () => op.map('map').clearAll(),
      () => op.list('list').append('a', 1),
      () => op.list('list').clear('a'),
      () => op.list('list').clearAll(),
      () => op.counter('counter').add('a', 1),
      () => op.counter('counter').delete('a'),
      () => op.counter('counter').clearAll(),
      () => op.blob('blob').set('a', new Uint8Array(1)),
      () => op.blob('blob').delete('a'),
      () => op.min('min').update('a', 1),
      () => op.min('min').delete('a'),
      () => op.max('max').update('a', 1),
      () => op.max('max').clearAll(),
      () => reduced.add('a', 1),
      () => reduced.delete('a'),
      () => averaged.add('a', 1),
      () => averaged.clearAll(),
    ];
    for (const change of changes) {
      const error = await errorOf(change);
      expect([error.code, error.kind, error.details]).toEqual(['READ_ONLY', 'invalid', { lsn: 1 }]);
    }
    expect([...op.value('value').entries()]).toEqual([['a', 1]]);
    expect([...op.map('map').keys(), ...op.list('list').keys()]).toEqual([]);
  }
  await engine.close();
});

test('a view or snapshot that was closed: it and its handles throw CLOSED, closing again is fine', async () => {
  const engine = await open(worldOn());
  await put(engine, 'a', 1);
  for (const view of [await engine.viewAt('latest'), await engine.snapshot()]) {
    const value = view.operator('op').value('value');
    await view[Symbol.asyncDispose]();
    await view.close();
    expect(await codeOf(() => value.get('a'))).toBe('CLOSED');
    expect(await codeOf(() => value.entries())).toBe('CLOSED');
    expect(await codeOf(() => value.set('a', 1))).toBe('CLOSED');
    expect(await codeOf(() => view.operator('op'))).toBe('CLOSED');
    expect(await codeOf(() => view.positions)).toBe('CLOSED');
  }
  await engine.close();
});

test('the engine is closed: its views are too, and one that was being opened ends in CLOSED', async () => {
  const world = worldOn();
  const engine = await open(world);
  await put(engine, 'a', 1);
  const view = await engine.viewAt('latest');
  const opening = codeOf(engine.viewAt('latest'));
  await engine.close();
  expect(await opening).toBe('CLOSED');
  expect(await codeOf(() => view.operator('op'))).toBe('CLOSED');
  expect(await codeOf(engine.viewAt('latest'))).toBe('CLOSED');
  expect(await codeOf(engine.snapshot())).toBe('CLOSED');
  expect(await codeOf(engine.plan())).toBe('CLOSED');
  expect(pinsOf(world.fs, '/store').size).toBe(0);
});

test('expiry in a view: judged by its target, and not by the clock', async () => {
  const world = worldOn();
  const engine = await open(world);
  const value = engine.operator('op').value('value', { ttlMs: 1000 });
  value.set('a', 1);
  const { lsn } = await engine.commit();
  const fresh = await engine.snapshot();
  world.clock.advance(2000);
  engine.operator('op').counter('other').add('x', 1);
  await engine.commit();

  // The moment of a commit has the time of that commit; a time is itself; the latest is now.
  const views = [
    await engine.viewAt({ lsn }),
    await engine.viewAt({ timestamp: 999_999 }),
    await engine.viewAt({ timestamp: 1_000_000 }),
    await engine.viewAt('latest'),
    fresh,
  ];
  const seen = views.map((view) => get(view, 'a'));
  expect(seen).toEqual([1, 1, undefined, undefined, 1]);
  expect(views.map((view) => view.operator('op').value('value').count())).toEqual([1, 1, 0, 0, 1]);
  await engine.close();
});

test('settings of a state: those that the store holds count, and another kind is refused', async () => {
  const engine = await open(worldOn());
  const list = engine.operator('op').list('list', { itemsMax: 2 });
  for (const item of [1, 2, 3]) list.append('a', item);
  await engine.commit();
  for (const view of [await engine.viewAt('latest'), await engine.snapshot()]) {
    expect(view.operator('op').list('list').get('a')).toEqual([2, 3]);
    expect(view.operator('op').list('list', { itemsMax: 1 }).get('a')).toEqual([2, 3]);
    expect(await codeOf(() => view.operator('op').map('list'))).toBe('SCHEMA_CHANGED');
  }
  await engine.close();
});

test('retention beside an open view: what it is made of stays, and goes once it is closed', async () => {
  const world = worldOn();
  const engine = await opened(world, { retention: { checkpoints: 1 }, maxChainLength: 2 });
  await put(engine, 'a', 0);
  const { id } = await engine.checkpoint();
  const lsn = await put(engine, 'a', 1);
  const view = await engine.viewAt({ lsn });
  const pins = pinsOf(world.fs, '/store');
  const reason = `a view of LSN ${lsn}`;
  expect(pins.list()).toEqual([
    { reason, recordId: id },
    { reason, lsn },
  ]);
  for (let round = 2; round < 12; round++) {
    await put(engine, 'a', round);
    await write(engine, 2);
    await engine.checkpoint({ kind: round % 3 === 0 ? 'base' : 'auto' });
  }
  await engine.collect();
  expect(await idsOf(engine)).toContain(id);
  expect(get(view, 'a')).toBe(1);

  // Still a moment that can be looked at: another view, which shares what the first one holds.
  const again = await engine.viewAt({ lsn });
  expect(get(again, 'a')).toBe(1);
  await view.close();
  expect(get(again, 'a')).toBe(1);
  expect(pins.size).toBe(2);
  await again.close();
  expect(pins.size).toBe(0);
  await engine.collect();
  expect(await idsOf(engine)).not.toContain(id);
  expect(await codeOf(engine.viewAt({ lsn }))).toBe('OUT_OF_RETENTION');
  await engine.close();
});

test('a view asked for while something is collected: it is planned with what is left', async () => {
  const world = worldOn();
  const first = await opened(world, { retention: false });
  await fill(first, threeBases);
  await first.close();
  const engine = await opened(world, { retention: { checkpoints: 1 } });
  const deleting = gate();
  world.fs.before = async ({ call, path }) => {
    if (call === 'unlink' && path.includes('/checkpoints/0')) await deleting.passed;
  };
  await write(engine);
  await engine.checkpoint({ kind: 'base' });
  const collecting = engine.collect();
  await settle();
  expect((await engine.checkpoints())[0]?.id).toBe(1);
  const viewing = codeOf(engine.viewAt({ checkpoint: 1 }));
  await settle();
  deleting.open();
  await collecting;
  expect(await viewing).toBe('CHECKPOINT_NOT_FOUND');
  await engine.close();
});

test('snapshots of the chain that are in memory: shared, and only what is missing is read', async () => {
  const world = worldOn();
  const engine = await opened(world, { retention: false, prefetch: 'aggressive' });
  await put(engine, 'a', 1);
  const old = await engine.checkpoint();
  await put(engine, 'b', 2);
  await engine.checkpoint();
  let reads = 0;
  world.fs.before = ({ call, path }) => {
    if (call === 'open' && path.includes('/snapshots/')) reads++;
  };
  const current = await engine.viewAt('latest');
  const older = await engine.viewAt({ checkpoint: old.id });
  expect([get(current, 'a'), get(current, 'b'), get(older, 'b')]).toEqual([1, 2, undefined]);
  expect(reads).toBe(0);

  // The merged chain is another one; what the views still hold is shared by the next.
  await put(engine, 'b', 3);
  await engine.checkpoint({ kind: 'base' });
  reads = 0;
  const shared = await engine.viewAt({ checkpoint: old.id });
  expect(reads).toBe(0);
  for (const view of [current, older, shared]) await view.close();
  const loaded = await engine.viewAt({ checkpoint: old.id });
  expect(reads).toBe(1);
  expect([get(loaded, 'a'), get(loaded, 'b'), get(engine, 'b')]).toEqual([1, undefined, 3]);
  await engine.close();
});

test('a snapshot that is damaged, and nothing else leads there: the view fails, and holds nothing', async () => {
  const world = worldOn();
  const engine = await opened(world, { retention: false });
  await put(engine, 'a', 1);
  const old = await engine.checkpoint();
  await engine.checkpoint({ kind: 'base' });
  await put(engine, 'a', 2);
  await engine.checkpoint({ kind: 'base' });
  const path = `/store/${old.chain[0]!.name}`;
  const bytes = (await world.fs.contents()).get(path)!;
  const handle = await world.fs.open(path, 'write');
  await handle.write(
    bytes.map((byte, i) => (i > 100 && i < bytes.length - 100 ? ~byte : byte)),
    0,
  );
  await handle.close();
  // The log would lead there from its beginning.
  const log = [...(await world.fs.contents()).keys()].find((name) => name.endsWith('.wal'));
  const segment = await world.fs.open(log!, 'write');
  await segment.write(new Uint8Array(64).fill(1), 200);
  await segment.close();
  expect(await codeOf(engine.viewAt({ checkpoint: old.id }))).toBe('CORRUPT_SNAPSHOT');
  expect(pinsOf(world.fs, '/store').size).toBe(0);
  expect(get(engine, 'a')).toBe(2);
  await engine.close();
});

test('snapshots that are kept elsewhere: a view loads them from there', async () => {
  const world = worldOn();
  const store = new HeldStore();
  const engine = await opened(world, { store, retention: false });
  await put(engine, 'a', 1);
  const { id } = await engine.checkpoint();
  await put(engine, 'a', 2);
  await engine.checkpoint({ kind: 'base' });
  const view = await engine.viewAt({ checkpoint: id });
  expect([get(view, 'a'), get(engine, 'a')]).toEqual([1, 2]);
  await engine.close();
});

test('an engine that stopped: open views go on, and no more are made', async () => {
  const world = worldOn();
  const engine = await open(world);
  await put(engine, 'a', 1);
  const views = [await engine.viewAt('latest'), await engine.snapshot()];
  world.fs.before = ({ call }) => {
    if (call === 'sync') throw Object.assign(new Error('broken'), { code: 'EIO' });
  };
  expect(await codeOf(put(engine, 'a', 2))).toBe('OUTCOME_UNKNOWN');
  expect(views.map((view) => get(view, 'a'))).toEqual([1, 1]);
  expect(await codeOf(engine.viewAt('latest'))).toBe('POISONED');
  expect(await codeOf(engine.snapshot())).toBe('POISONED');
  expect(await codeOf(engine.plan())).toBe('POISONED');
  world.fs.before = () => {};
  await engine.close().catch(() => {});
  expect(await codeOf(() => views[0]!.positions)).toBe('CLOSED');
});

test('a file system and threads of the machine: views of old moments load in workers', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-view-'));
  try {
    await using engine = await openEngine({ dir, maxChainLength: 100, retention: false });
    for (let round = 1; round <= 15; round++) {
      await put(engine, 'a', round);
      await engine.checkpoint();
    }
    await engine.checkpoint({ kind: 'base' });
    await put(engine, 'a', 16);
    const lsns = [3, 15, 16];
    const views = await Promise.all(lsns.map((lsn) => engine.viewAt({ lsn })));
    expect(views.map((view) => get(view, 'a'))).toEqual(lsns);
  } finally {
    await rm(dir, { recursive: true });
  }
});
