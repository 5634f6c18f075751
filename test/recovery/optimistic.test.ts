/*
 * `optimistic`: where the states of some operators are damaged and nothing else leads to them, the
 * others come up, and those are missing: never empty, never in part, until somebody starts them anew.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, EngineWarning } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { lsnsPassedOver } from '../../src/recovery/accept-loss.ts';
import { listKept } from '../../src/recovery/given-up.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import {
  codeOf,
  errorOf,
  open,
  pathsIn,
  settle,
  worldOn,
  type World,
} from '../engine/engine-fixture.ts';
import { flipIn, flipMiddle, shortLog } from './damaged-worlds.ts';

const optimistic = { ...shortLog, optimistic: true } as const;

/** Two operators, `good` and `bad`, in a base and a delta, and commits behind that; the first log is gone. */
async function made(): Promise<World> {
  const world = worldOn();
  const engine = await open(world, { ...shortLog, compression: 'none' });
  const write = async (n: number): Promise<void> => {
    for (const name of ['good', 'bad']) {
      const operator = engine.operator(name);
      operator.value('v').set('k', `${name} value ${n}`);
      operator.value('v').set(`k${n}`, `${name} of commit ${n}`);
      operator.counter('c').add('k', n);
      operator.blob('b').set('k', new Uint8Array(300).fill(name === 'bad' ? 100 + n : n));
    }
    await engine.commit({ positions: { source: n } });
  };
  await write(1);
  await engine.checkpoint();
  await write(2);
  await engine.checkpoint();
  await write(3);
  await engine.close();
  // Nothing but the newest chain leads to the state.
  await flipIn(world, 'wal', 'good of commit 1');
  return world;
}

/** The base is damaged where the operator `bad` stands. */
async function damaged(): Promise<World> {
  const world = await made();
  await flipIn(world, 'snapshots', 'bad of commit 1');
  return world;
}

function read(engine: Pick<Engine, 'operator'>, name: string): unknown[] {
  const operator = engine.operator(name);
  return [
    operator.value('v').get('k'),
    operator.value('v').get('k1'),
    operator.counter('c').get('k'),
    operator.blob('b').get('k')?.length,
  ];
}

const whole = ['good value 3', 'good of commit 1', 6, 300];

describe('damage in the states of one operator', () => {
  test('off by default: refused; with it: the others are whole, and this one is missing', async () => {
    const world = await damaged();
    const eager = { ...shortLog, prefetch: 'aggressive' } as const;
    expect(await codeOf(open(world, eager))).toBe('CORRUPT_SNAPSHOT');
    const engine = await open(world, optimistic);
    const warnings: EngineWarning[] = [];
    engine.on('warning', (warning) => warnings.push(warning));
    await settle();
    expect(warnings.map(({ code }) => code)).toEqual(['OPERATORS_MISSING']);
    expect(engine.recovery).toMatchObject({
      lsn: 3,
      loss: { missing: ['bad'], lost: undefined, reachedLsn: 3, from: 2 },
    });
    expect(engine.missing).toEqual(['bad']);
    expect(read(engine, 'good')).toEqual(whole);
    expect(engine.positions['source']).toBe(3);
    const error = await errorOf(() => engine.operator('bad'));
    expect([error.code, error.kind, error.details['operator']]).toEqual([
      'OPERATOR_MISSING',
      'corrupt',
      'bad',
    ]);
    // The blobs of the lost one are counted no longer.
    expect(engine.stats().storage.blobs.bytes).toBe(300);
    expect((await engine.commit()).lsn).toBe(4);
    await engine.close();
    expect(await listKept(world.fs, '/store')).toHaveLength(1);
  });

  test('checkpoints, merges and later openings: it stays missing, and is published as nothing', async () => {
    const world = await damaged();
    let engine = await open(world, optimistic);
    engine.operator('good').value('v').set('k', 'good value 4');
    await engine.commit();
    for (const kind of ['delta', 'base'] as const) {
      const record = await engine.checkpoint({ kind });
      expect(record.missing).toEqual(['bad']);
      expect(record.tables.map(({ operator }) => operator)).not.toContain('bad');
    }
    await engine.close();
    for (let opening = 0; opening < 2; opening++) {
      // The option is an act: later openings need it no more.
      engine = await open(world, shortLog);
      expect(engine.recovery.loss).toBeUndefined();
      expect(engine.missing).toEqual(['bad']);
      expect(await codeOf(() => engine.operator('bad'))).toBe('OPERATOR_MISSING');
      expect(engine.operator('good').value('v').get('k')).toBe('good value 4');
      await engine.checkpoint({ kind: 'base' });
      await engine.close();
    }
    const reader = await openReaderWith({ dir: '/store' }, world);
    expect(() => reader.get('bad', 'v', 'k')).toThrow(/bad/);
    await reader.close();
  });

  test('views of now and of the past: missing there too', async () => {
    const world = await damaged();
    const engine = await open(world, optimistic);
    engine.operator('good').value('v').set('k', 'good value 4');
    await engine.commit();
    await engine.checkpoint();
    for (const view of [await engine.viewAt('latest'), await engine.snapshot()]) {
      expect(await codeOf(() => view.operator('bad'))).toBe('OPERATOR_MISSING');
      expect(view.operator('good').value('v').get('k')).toBe('good value 4');
      await view.close();
    }
    await engine.close();
  });

  test('a restore of it: missing there too', async () => {
    const world = await damaged();
    await (await open(world, optimistic)).close();
    await restoreWith({ from: { dir: '/store' }, to: '/copy' }, world);
    const engine = await openEngineWith({ dir: '/copy', ...shortLog }, world);
    expect(engine.missing).toEqual(['bad']);
    expect(read(engine, 'good')).toEqual(whole);
    await engine.close();
  });

  test('startAnew: empty, and after its first commit missing no more; before it, missing again', async () => {
    const world = await damaged();
    let engine = await open(world, optimistic);
    expect(await codeOf(() => engine.startAnew('good'))).toBe('STATE_NOT_FOUND');
    engine.startAnew('bad');
    expect(read(engine, 'bad')).toEqual([undefined, undefined, 0, undefined]);
    await engine.close();
    engine = await open(world, shortLog);
    expect(engine.missing).toEqual(['bad']);
    engine.startAnew('bad');
    engine.operator('bad').value('v').set('k', 'anew');
    await engine.commit();
    await engine.close();
    engine = await open(world, shortLog);
    expect(engine.missing).toEqual([]);
    expect(engine.operator('bad').value('v').get('k')).toBe('anew');
    const record = await engine.checkpoint();
    expect(record.missing).toBeUndefined();
    await engine.close();
    engine = await open(world, shortLog);
    expect(engine.missing).toEqual([]);
    expect(read(engine, 'good')).toEqual(whole);
    await engine.close();
  });
});

describe('no such way', () => {
  const refused = async (world: World): Promise<string> => codeOf(open(world, optimistic));

  test('another way loses nothing: nothing is missing', async () => {
    const world = await made();
    const engine = await open(world, optimistic);
    expect([engine.recovery.loss, engine.missing]).toEqual([undefined, []]);
    expect(read(engine, 'bad')[0]).toBe('bad value 3');
    await engine.close();
  });

  test('the log is damaged as well: commits are not given up without acceptLoss', async () => {
    const world = await damaged();
    await flipIn(world, 'wal', 'good of commit 3');
    expect(await refused(world)).toBe('CORRUPT_SNAPSHOT');
  });

  test('a table that is of everybody: positions', async () => {
    const world = await made();
    await flipIn(world, 'snapshots', 'source');
    expect(await refused(world)).toBe('CORRUPT_SNAPSHOT');
  });

  test('the head of the file', async () => {
    const world = await damaged();
    for (const path of await pathsIn(world.fs, 'snapshots')) {
      await world.fs.put(path, (await world.fs.read(path)).slice(0, -8));
    }
    expect(await refused(world)).toBe('CORRUPT_SNAPSHOT');
  });

  test('both options: operators before commits, commits where that is no way', async () => {
    const both = { ...optimistic, acceptLoss: true } as const;
    let world = await damaged();
    let engine = await open(world, both);
    expect(engine.recovery.loss).toMatchObject({ missing: ['bad'], lost: undefined });
    await engine.close();
    world = await made();
    const records = await pathsIn(world.fs, 'checkpoints');
    await flipMiddle(world, records.at(-1)!);
    await flipIn(world, 'wal', 'good of commit 2');
    engine = await open(world, both);
    expect(engine.recovery.loss).toMatchObject({ missing: [], reachedLsn: 1, from: 1 });
    expect(engine.recovery.lsn).toBe(3 + lsnsPassedOver);
    expect(read(engine, 'bad')[0]).toBe('bad value 1');
    await engine.close();
  });

  test('with recover: false, or no boolean: INVALID_OPTION', async () => {
    for (const options of [{ optimistic: true, recover: false }, { optimistic: 1 as never }]) {
      const { code, details } = await errorOf(open(worldOn(), options));
      expect([code, details['option']]).toEqual(['INVALID_OPTION', 'optimistic']);
    }
  });
});
