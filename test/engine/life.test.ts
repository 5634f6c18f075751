/*
 * Opening, locking, closing, and what a directory has to be.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createStore, openEngine, openReader, type Engine } from '../../src/engine/index.ts';
import { openLog, openLogWith } from '../../src/wal/log.ts';
import { codeOf, digests, errorOf, open, worldOn } from './engine-fixture.ts';

async function inDirectory(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-life-'));
  try {
    await act(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

describe('close', () => {
  test('called twice, and by `await using`: the same', async () => {
    const engine = await open(worldOn());
    const [first, second] = [engine.close(), engine.close()];
    await Promise.all([first, second, engine[Symbol.asyncDispose]()]);
    await engine.close();
  });

  test('calls after it: CLOSED from every method of engine and handles', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    const [value, map, list] = [op.value('v'), op.map('m'), op.list('l')];
    const [counter, blob] = [op.counter('c'), op.blob('b')];
    value.set('k', 1);
    await engine.commit({ positions: { s: 1 } });
    const running = value.entries();
    await engine.close();
    const holder = {
      name: 'h',
      schemaVersion: '1.0.0',
      serialize: () => new Uint8Array(0),
      deserialize: () => {},
    };
    const calls: Record<string, () => unknown> = {
      operator: () => engine.operator('op'),
      register: () => engine.register(holder),
      commit: () => engine.commit(),
      transact: () => engine.transact(() => {}),
      rollback: () => engine.rollback(),
      checkpoint: () => engine.checkpoint(),
      dropSavepoint: () => engine.dropSavepoint('s'),
      checkpoints: () => engine.checkpoints(),
      on: () => engine.on('checkpoint', () => {}),
      'op.value': () => op.value('v'),
      'op.map': () => op.map('m'),
      'op.list': () => op.list('l'),
      'op.counter': () => op.counter('c'),
      'op.blob': () => op.blob('b'),
      'value.get': () => value.get('k'),
      'value.getEntry': () => value.getEntry('k'),
      'value.has': () => value.has('k'),
      'value.set': () => value.set('k', 1),
      'value.update': () => value.update('k', () => 1),
      'value.delete': () => value.delete('k'),
      'value.keys': () => value.keys(),
      'value.entries': () => value.entries(),
      'value.count': () => value.count(),
      'value.clearAll': () => value.clearAll(),
      'map.get': () => map.get('k', 1),
      'map.has': () => map.has('k', 1),
      'map.set': () => map.set('k', 1, 1),
      'map.delete': () => map.delete('k', 1),
      'map.clear': () => map.clear('k'),
      'map.clearAll': () => map.clearAll(),
      'map.keys': () => map.keys(),
      'map.entries': () => map.entries('k'),
      'list.append': () => list.append('k', 1),
      'list.get': () => list.get('k'),
      'list.clear': () => list.clear('k'),
      'list.clearAll': () => list.clearAll(),
      'list.keys': () => list.keys(),
      'counter.add': () => counter.add('k'),
      'counter.get': () => counter.get('k'),
      'counter.delete': () => counter.delete('k'),
      'counter.clearAll': () => counter.clearAll(),
      'counter.keys': () => counter.keys(),
      'counter.entries': () => counter.entries(),
      'blob.get': () => blob.get('k'),
      'blob.has': () => blob.has('k'),
      'blob.set': () => blob.set('k', new Uint8Array(1)),
      'blob.delete': () => blob.delete('k'),
      'blob.keys': () => blob.keys(),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect([name, await codeOf(call)]).toEqual([name, 'CLOSED']);
    }
    // Figures and what was found can be looked at afterwards.
    expect([engine.positions, engine.durableLsn, engine.stats().openChanges]).toEqual([
      { s: 1 },
      1,
      0,
    ]);
    expect([...running]).toEqual([['k', 1]]);
  });

  test('open changes: gone', async () => {
    const world = worldOn();
    const engine = await open(world);
    engine.operator('op').value('v').set('k', 1);
    await engine.close();
    const again = await open(world);
    expect(again.operator('op').value('v').has('k')).toBe(false);
    await again.close();
  });
});

describe('one writer', () => {
  test('O1 a second opener in the process: LOCKED, the first goes on, and it is free when that is closed', async () => {
    const world = worldOn();
    const engine = await open(world);
    const error = await errorOf(open(world));
    expect([error.code, error.kind, error.name]).toEqual(['LOCKED', 'conflict', 'LockedError']);
    engine.operator('op').value('v').set('k', 1);
    await engine.commit();
    await engine.close();
    await (await open(world)).close();
  });

  test('another process has it: LOCKED; it is killed: free, with what it had committed', async () => {
    await inDirectory(async (dir) => {
      const entry = new URL('../../dist/bundle/index.js', import.meta.url).href;
      const code = `
        const { openEngine } = await import(${JSON.stringify(entry)});
        const engine = await openEngine({ dir: ${JSON.stringify(dir)}, segmentBytesMax: 65536 });
        engine.operator('op').value('v').set('k', 7);
        await engine.commit();
        // In a thread, whatever flags the process was started with.
        await engine.checkpoint();
        process.stdout.write('ready');
        setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((resolve) => child.stdout.once('data', resolve));
      expect(await codeOf(openEngine({ dir }))).toBe('LOCKED');
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
      const engine = await openEngine({ dir, segmentBytesMax: 65_536 });
      expect(engine.operator('op').value('v').get('k')).toBe(7);
      await engine.close();
    });
  });
});

describe('what a directory holds', () => {
  test('recover: false over state: STATE_EXISTS, nothing changed; over an empty one: taken', async () => {
    const world = worldOn();
    const engine = await open(world, { recover: false });
    await engine.close();
    const second = await open(world, { recover: false });
    await second.commit();
    await second.close();
    const before = await digests(world.fs);
    const error = await errorOf(open(world, { recover: false }));
    expect([error.code, error.details['lsn']]).toEqual(['STATE_EXISTS', 1]);
    expect(await digests(world.fs)).toEqual(before);
    await (await open(world)).close();
  });

  test('files of somebody else: NOT_A_STORE, nothing of them changed', async () => {
    await inDirectory(async (dir) => {
      await writeFile(join(dir, 'notes.txt'), 'mine');
      const error = await errorOf(openEngine({ dir }));
      expect([error.code, error.details['path']]).toEqual(['NOT_A_STORE', dir]);
    });
  });

  test('a path of a file, or below one: NOT_A_STORE, however it is opened', async () => {
    await inDirectory(async (folder) => {
      const path = join(folder, 'file');
      await writeFile(path, 'mine');
      for (const dir of [path, join(path, 'x'), join(path, 'x', 'y')]) {
        for (const open of [openEngine, openLog, openReader]) {
          const error = await errorOf(open({ dir }));
          expect([error.code, error.details['path']]).toEqual(['NOT_A_STORE', dir]);
        }
      }
    });
  });

  test('a log opened as an engine, and an engine as a log: NOT_A_STORE, nothing changed', async () => {
    const world = worldOn();
    const log = await openLogWith({ dir: '/store' }, world);
    await log.close();
    const before = await digests(world.fs);
    expect(await codeOf(open(world))).toBe('NOT_A_STORE');
    expect(await digests(world.fs)).toEqual(before);
    const other = worldOn();
    await (await open(other)).close();
    const engineBefore = await digests(other.fs);
    expect(await codeOf(openLogWith({ dir: '/store' }, other))).toBe('NOT_A_STORE');
    expect(await digests(other.fs)).toEqual(engineBefore);
  });

  test("':memory:': an engine of its own each time, which leaves nothing", async () => {
    const engines: Engine[] = [];
    for (let n = 0; n < 2; n++) {
      const engine = await openEngine({ dir: ':memory:', segmentBytesMax: 65_536 });
      engine
        .operator('op')
        .counter('c')
        .add('k', n + 1);
      await engine.commit();
      await engine.checkpoint();
      engines.push(engine);
    }
    expect(engines.map((engine) => engine.operator('op').counter('c').get('k'))).toEqual([1, 2]);
    for (const engine of engines) await engine.close();
    const again = await openEngine({ dir: ':memory:', recover: false });
    await again.close();
  });
});

describe('stores', () => {
  test('a memory store beside a directory on disk: checkpoints go there, the log holds the rest', async () => {
    await inDirectory(async (dir) => {
      const engine = await openEngine({ dir, store: createStore({ kind: 'memory' }) });
      engine.operator('op').value('v').set('k', 1);
      await engine.commit();
      expect((await engine.checkpoint()).chain).toHaveLength(1);
      await engine.close();
      const again = await openEngine({ dir, store: createStore({ kind: 'memory' }) });
      expect(again.operator('op').value('v').get('k')).toBe(1);
      expect(again.recovery.checkpoint).toBeUndefined();
      await again.close();
    });
  });

  test('a file store elsewhere: found again, and records of another directory are refused', async () => {
    await inDirectory(async (dir) => {
      const path = join(dir, 'objects');
      const at = (name: string): Parameters<typeof openEngine>[0] => ({
        dir: join(dir, name),
        store: createStore({ kind: 'file', path }),
        segmentBytesMax: 65_536,
      });
      await mkdir(join(dir, 'one'));
      const engine = await openEngine(at('one'));
      engine.operator('op').value('v').set('k', 1);
      await engine.commit();
      await engine.checkpoint();
      await engine.close();
      const again = await openEngine(at('one'));
      expect(again.recovery).toMatchObject({ checkpointLsn: 1, replayedCommits: 0 });
      await again.close();
      expect(await codeOf(openEngine(at('two')))).toBe('STORE_MISMATCH');
    });
  });
});
