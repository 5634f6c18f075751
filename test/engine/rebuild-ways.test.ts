/*
 * The course of a rebuild: what it takes from files is compared with the record, one that is cut off says
 * nothing, and one that a merge has made needless is none.
 */
import { describe, expect, test } from 'vitest';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { createStore } from '../../src/engine/index.ts';
import { copyOf } from './giving-up.ts';
import { gate, open, pathsIn, settle, worldOn, type World } from './engine-fixture.ts';
import {
  damageIn,
  expectWhole,
  firstError,
  opened,
  otherBase,
  rebuildEnded,
  stored,
  type Heard,
} from './rebuild-world.ts';

/** What the newest record says of how it was made. */
async function whyOf({ engine }: Heard): Promise<string | undefined> {
  return (await engine.checkpoints()).at(-1)!.merge?.why;
}

async function rebuilt(world: World, name: string): Promise<Heard> {
  await damageIn(world, name);
  const heard = await opened(world);
  firstError(heard.engine);
  await rebuildEnded(heard);
  expectWhole(heard.engine);
  return heard;
}

describe('what a rebuild takes from files', () => {
  test('a snapshot of another digest, in order otherwise: another way is taken, and it is told', async () => {
    const { world, newest, oldest } = await stored('x', { compression: 'none' });
    const { name } = oldest.chain[0]!;
    await world.fs.put(`/store/${name}`, await otherBase(oldest.chain[0]!));
    const heard = await rebuilt(world, newest.chain[0]!.name);
    expect(await whyOf(heard)).toContain('made anew from the log');
    expect(heard.events).toMatchObject([
      { outcome: 'found', snapshot: newest.chain[0]!.name },
      { outcome: 'found', snapshot: name, error: { code: 'CORRUPT_SNAPSHOT' } },
      { outcome: 'rebuilt' },
    ]);
    await heard.engine.close();
  });

  test.each([
    ['header', { lastTimestamp: 7 }],
    ['place in the chain', { kind: 'delta' }],
  ])('a record that means a snapshot of another %s: another way is taken', async (_, wrong) => {
    const { world, newest } = await stored();
    const record = '/store/checkpoints/0000000002.json';
    const body = decodeSealedJson(await world.fs.read(record)) as { chain: object[] };
    body.chain[0] = { ...body.chain[0]!, ...wrong };
    await world.fs.put(record, encodeSealedJson({ ...body }));
    const heard = await rebuilt(world, newest.chain[0]!.name);
    expect(await whyOf(heard)).toContain('made anew from checkpoint 1 ');
    // Its file is the one of its name: checkpoint 1 names it too.
    expect(heard.events.map(({ outcome }) => outcome)).toEqual(['found', 'rebuilt']);
    await heard.engine.close();
  });

  test('sound: it is taken', async () => {
    const { world, newest } = await stored();
    const heard = await rebuilt(world, newest.chain[0]!.name);
    expect(await whyOf(heard)).toContain('made anew from checkpoint 2 and the log behind it');
    await heard.engine.close();
  });
});

test('the engine closes at any moment of a rebuild: nothing is told as lost, and nothing is left', async () => {
  const { world, newest } = await stored();
  await damageIn(world, newest.chain[0]!.name);
  const outcomes = new Set<string>();
  for (let at = 1; !outcomes.has('found rebuilt'); at += 7) {
    const copy = worldOn(await copyOf(world.fs), world.clock, 3);
    const { engine, events, failures } = await opened(copy);
    const reached = gate();
    let calls = 0;
    copy.fs.before = () => {
      if (++calls === at) reached.open();
    };
    firstError(engine);
    while (calls < at && events.length < 2) await settle(1);
    if (calls >= at) await reached.passed;
    await engine.close();
    expect(failures).toEqual([]);
    const callsOf = (name: string): number =>
      copy.fs.calls.filter(({ call }) => call === name).length;
    expect(callsOf('open')).toBe(callsOf('close'));
    outcomes.add(events.map(({ outcome }) => outcome).join(' '));
    copy.fs.before = () => {};
    const again = await open(copy, { prefetch: 'aggressive' });
    expectWhole(again);
    await again.close();
  }
  expect([...outcomes].sort()).toEqual(['found', 'found rebuilt']);
});

test('the engine closes, and the log has ended when another way is looked for: nothing is told as lost', async () => {
  const { world, oldest, newest } = await stored();
  for (const { name } of [oldest.chain[0]!, newest.chain[0]!]) await damageIn(world, name);
  const { engine, events, failures } = await opened(world);
  await engine.commit({ durability: 'memory', positions: { source: 4 } });
  const held = { reading: gate(), closing: gate() };
  const reached = { reading: gate(), closing: gate() };
  let isClosing = false;
  world.fs.before = async ({ call, path }) => {
    if (call === 'open' && path.endsWith(oldest.chain[0]!.name)) {
      reached.reading.open();
      await held.reading.passed;
    }
    if (isClosing && (call === 'write' || call === 'sync') && path.includes('/wal/')) {
      reached.closing.open();
      await held.closing.passed;
    }
  };
  firstError(engine);
  await reached.reading.passed;
  isClosing = true;
  const closed = engine.close();
  await reached.closing.passed;
  held.reading.open();
  while (events.length < 2) await settle(1);
  await settle();
  held.closing.open();
  await closed;
  expect(events.map(({ outcome }) => outcome)).toEqual(['found', 'found']);
  expect(failures).toEqual([]);
});

test('a merge that had begun heals the chain: the rebuild is needless, whatever is published behind it', async () => {
  const { world, newest } = await stored();
  const heard = await opened(world, { prefetch: 'aggressive' });
  const { engine, events, failures } = heard;
  const [base] = newest.chain;
  await damageIn(world, base!.name);
  const [building, putting] = [gate(), gate()];
  const at = { building: gate(), putting: gate() };
  world.fs.before = async ({ call, path }) => {
    if (call === 'open' && path.includes('checkpoint-')) {
      at.building.open();
      await building.passed;
    }
    if (call === 'link' && path.includes('/checkpoints/')) {
      at.putting.open();
      await putting.passed;
    }
  };
  engine.operator('o').value('v').set(599, 'round 1 again');
  await engine.commit();
  const checkpoint = engine.checkpoint({ kind: 'delta' });
  await at.building.passed;
  const merge = engine.merge();
  await at.putting.passed;
  await engine.verify({ level: 'standard' });
  expect(events.map(({ outcome }) => outcome)).toEqual(['found']);
  putting.open();
  expect((await merge).record).toBeDefined();
  building.open();
  const record = await checkpoint;
  await rebuildEnded(heard);
  expect(events).toMatchObject([{ outcome: 'found' }, { outcome: 'rebuilt' }]);
  expect(failures).toEqual([]);
  expect(record.chain).toHaveLength(2);
  expectWhole(engine);
  world.fs.before = () => {};
  await engine.close();
});

test('merges that are given up, by their signal: a rebuild is none of them', async () => {
  const { world, newest } = await stored();
  await damageIn(world, newest.chain[0]!.name);
  const heard = await opened(world, { merge: { signal: AbortSignal.abort() } });
  firstError(heard.engine);
  await rebuildEnded(heard);
  expect(heard.events.at(-1)!.outcome).toBe('rebuilt');
  await heard.engine.close();
});

test('a copy of a snapshot whose handle cannot be closed: the copy goes, and that is told', async () => {
  const world = worldOn();
  const engine = await open(world, { store: createStore({ kind: 'memory' }) });
  const failures: unknown[] = [];
  engine.on('failure', (error) => failures.push(error));
  const state = engine.operator('o').value<string>('v', { resident: false });
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 100; i++) state.set(i, `round ${round} `.padEnd(300, 'x'));
    await engine.commit();
    await engine.checkpoint();
  }
  const copies = await pathsIn(world.fs, 'staging');
  expect(copies).toHaveLength(2);
  // Workers open and close them too; the last to close is who has held them open.
  const handles = new Map(copies.map((path) => [path, 1]));
  world.fs.before = ({ call, path }) => {
    const count = handles.get(path);
    if (count === undefined || (call !== 'open' && call !== 'close')) return;
    handles.set(path, count + (call === 'open' ? 1 : -1));
    if (handles.get(path) !== 0) return;
    throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
  };
  await engine.merge();
  await settle(20);
  world.fs.before = () => {};
  expect(failures).toMatchObject([{ code: 'IO' }, { code: 'IO' }]);
  const left = await pathsIn(world.fs, 'staging');
  expect(left.filter((path) => copies.includes(path))).toEqual([]);
  await engine.close();
});
