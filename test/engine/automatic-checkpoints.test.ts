/*
 * Checkpoints that nobody asked for: what starts one, what holds it back, and what it says.
 */
import { describe, expect, test } from 'vitest';
import type {
  CheckpointRecord,
  Engine,
  EngineOptions,
  ObjectStore,
} from '../../src/engine/index.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import { injected } from '../tools/faulty-file-system.ts';
import { HeldStore } from './held-store.ts';
import {
  codeOf,
  errorOf,
  gate,
  noise,
  open,
  settle,
  worldOn,
  type World,
} from './engine-fixture.ts';

const minute = 60_000;

async function put(engine: Engine, key: string, value: unknown = key): Promise<void> {
  engine.operator('op').value('v').set(key, value);
  await engine.commit();
}

/** An engine and what it has published. */
async function watched(
  options: Partial<EngineOptions>,
  world: World = worldOn(),
): Promise<{ engine: Engine; taken: CheckpointRecord[]; world: World }> {
  const engine = await open(world, options);
  const taken: CheckpointRecord[] = [];
  engine.on('checkpoint', (record) => taken.push(record));
  return { engine, taken, world };
}

const shape = (taken: readonly CheckpointRecord[]): unknown[] =>
  taken.map(({ lsn, trigger }) => [lsn, trigger]);

describe('what starts one', () => {
  test('entries: as many changes of keys as the bound', async () => {
    const { engine, taken } = await watched({ checkpointing: { entries: 4 } });
    for (let n = 1; n <= 3; n++) await put(engine, `k${n}`);
    await settle();
    // The definition of the state was an entry too.
    expect(shape(taken)).toEqual([[3, 'entries']]);
    await engine.close();
  });

  test('commits', async () => {
    const { engine, taken } = await watched({ checkpointing: { commits: 2 } });
    for (let n = 1; n <= 5; n++) {
      await put(engine, `k${n}`);
      await settle();
    }
    expect(shape(taken)).toEqual([
      [2, 'commits'],
      [4, 'commits'],
    ]);
    await engine.close();
  });

  test('bytes of log', async () => {
    const { engine, taken } = await watched({ checkpointing: { logBytes: 10_000 } });
    await put(engine, 'a', noise(9000));
    await settle();
    expect(taken).toEqual([]);
    await put(engine, 'b', noise(2000));
    await settle();
    expect(shape(taken)).toEqual([[2, 'logBytes']]);
    await engine.close();
  });

  test('time since the first commit behind the last one, and none without commits', async () => {
    const { engine, taken, world } = await watched({ checkpointing: { intervalMs: minute } });
    world.clock.advance(10 * minute);
    await settle();
    expect(taken).toEqual([]);
    await put(engine, 'a');
    world.clock.advance(minute - 1);
    await settle();
    expect(taken).toEqual([]);
    world.clock.advance(1);
    await settle();
    expect(shape(taken)).toEqual([[1, 'time']]);
    world.clock.advance(10 * minute);
    await settle();
    expect(taken).toHaveLength(1);
    await engine.close();
  });

  test('closing, with onClose: the next opening replays nothing; without it, it replays', async () => {
    for (const onClose of [true, false]) {
      const { engine, taken, world } = await watched({ checkpointing: { onClose } });
      await put(engine, 'a');
      await engine.close();
      expect(shape(taken)).toEqual(onClose ? [[1, 'close']] : []);
      const again = await open(world);
      expect(again.recovery.replayedCommits).toBe(onClose ? 0 : 1);
      expect(again.operator('op').value('v').get('a')).toBe('a');
      await again.close();
    }
  });

  test('closing with onClose and nothing new: no record', async () => {
    const { engine, taken } = await watched({ checkpointing: { onClose: true } });
    await put(engine, 'a');
    await engine.checkpoint();
    await engine.close();
    expect(shape(taken)).toEqual([[1, 'call']]);
  });

  test('a budget of a restore: the log alone may not use it up', async () => {
    const { engine, taken } = await watched({
      restoreBytesMax: 100_000,
      checkpointing: { commits: 1000 },
    });
    await put(engine, 'a', noise(80_000));
    await settle();
    expect(taken).toEqual([]);
    await put(engine, 'b', noise(15_000));
    await settle();
    expect(shape(taken)).toEqual([[2, 'budget']]);
    await engine.close();
  });

  test('log that came while the last checkpoint was made: the next begins as much earlier', async () => {
    const store = new HeldStore();
    const bounds = { restoreBytesMax: 1_000_000, checkpointing: { commits: 1000 } };
    const { engine, taken } = await watched({ store, ...bounds });
    await put(engine, 'a', noise(50_000));
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    const first = engine.checkpoint();
    await settle();
    await put(engine, 'b', noise(100_000));
    held.open();
    await first;
    // A third of what the budget leaves, since twice as much again came the first time.
    for (let n = 0; taken.length < 2; n++) {
      const { logBytes } = engine.stats().checkpointing;
      expect(logBytes).toBeLessThan(400_000);
      await put(engine, `k${n}`, noise(50_000, n));
      await settle();
    }
    expect(taken[1]!.trigger).toBe('budget');
    await engine.close();
  });

  test('log that an opening replayed: counts', async () => {
    const first = await watched({ checkpointing: { commits: 3 } });
    await put(first.engine, 'a');
    await put(first.engine, 'b');
    await first.engine.close();
    const { engine, taken } = await watched({ checkpointing: { commits: 3 } }, first.world);
    await put(engine, 'c');
    await settle();
    expect(shape(taken)).toEqual([[3, 'commits']]);
    await engine.close();
  });
});

describe('presets', () => {
  test.each([
    ['low', 50_000, 240],
    ['medium', 10_000, 60],
    ['high', 5000, 15],
  ] as const)('%s: %i entries or %i minutes', async (checkpointing, entries, minutes) => {
    const { engine, taken, world } = await watched({ checkpointing });
    await put(engine, 'a');
    world.clock.advance(minutes * minute - 1);
    await settle();
    expect(taken).toEqual([]);
    world.clock.advance(1);
    await settle();
    expect(shape(taken)).toEqual([[1, 'time']]);
    const state = engine.operator('op').value('v');
    for (let n = 0; n < entries - 1; n++) state.set(n, n);
    await engine.commit();
    await settle();
    expect(taken).toHaveLength(1);
    await put(engine, 'b');
    await settle(200);
    expect(shape(taken).at(-1)).toEqual([3, 'entries']);
    await engine.close();
  });

  test('nothing said: 64 MiB of log or a minute', async () => {
    const { engine, taken, world } = await watched({});
    await put(engine, 'a');
    world.clock.advance(minute - 1);
    await settle();
    expect(taken).toEqual([]);
    world.clock.advance(1);
    await settle();
    expect(shape(taken)).toEqual([[1, 'time']]);
    await engine.close();
  });

  test('false: none, not even for memtables; a call makes room', async () => {
    const memtableBytesMax = 64 * 1024;
    const { engine, taken, world } = await watched({ checkpointing: false, memtableBytesMax });
    for (let n = 0; n < 5; n++) await put(engine, `k${n}`, noise(30_000, n));
    world.clock.advance(1000 * minute);
    await settle();
    expect(taken).toEqual([]);
    expect(await codeOf(() => put(engine, 'more'))).toBe('OVERLOADED');
    await engine.checkpoint();
    await engine.commit();
    expect(shape(taken)).toEqual([[5, 'call']]);
    await engine.close();
  });
});

describe('what holds one back', () => {
  test('one runs: none is begun, and what came meanwhile asks again at its end', async () => {
    const store = new HeldStore();
    const { engine, taken } = await watched({ store, checkpointing: { commits: 1 } });
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    for (let n = 1; n <= 3; n++) await put(engine, `k${n}`);
    await settle();
    expect(engine.stats()).toMatchObject({ frozenMemtables: 1, checkpointing: { running: true } });
    held.open();
    await settle();
    expect(shape(taken)).toEqual([
      [1, 'commits'],
      [3, 'commits'],
    ]);
    await engine.close();
  });

  test('due while one that was asked for runs, and no commit comes: taken behind it', async () => {
    const store = new HeldStore();
    const { engine, taken, world } = await watched({ store, checkpointing: { commits: 2 } });
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    await put(engine, 'a');
    const asked = engine.checkpoint();
    await settle();
    await put(engine, 'b');
    await put(engine, 'c');
    held.open();
    await asked;
    world.clock.advance(1000);
    await settle();
    expect(shape(taken)).toEqual([
      [1, 'call'],
      [3, 'commits'],
    ]);
    await engine.close();
  });

  test('one failed while a later time is waited for: it is tried again after the back-off', async () => {
    const store = new HeldStore();
    const checkpointing = { commits: 2, intervalMs: minute };
    const { engine, taken, world } = await watched({ store, checkpointing });
    engine.on('failure', () => {});
    store.before = (call) => {
      if (call === 'put') throw injected('EIO');
    };
    await put(engine, 'a');
    await put(engine, 'b');
    await settle();
    store.before = () => {};
    world.clock.advance(1000);
    await settle();
    expect(shape(taken)).toEqual([[2, 'commits']]);
    await engine.close();
  });

  test('one failed, then the log: none is tried any more', async () => {
    const store = new HeldStore();
    const { engine, world } = await watched({ store, checkpointing: { commits: 1 } });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    store.before = (call) => {
      if (call === 'put') throw injected('EIO');
    };
    await put(engine, 'a');
    await settle();
    world.fs.before = ({ call, path }) => {
      if (call === 'sync' && path.includes('/wal/')) throw injected('EIO');
    };
    expect(await codeOf(put(engine, 'b'))).toBe('OUTCOME_UNKNOWN');
    await settle();
    const { length } = failures;
    expect(length).toBe(2);
    for (let minutes = 0; minutes < 5; minutes++) {
      world.clock.advance(minute);
      await settle();
    }
    expect(failures).toHaveLength(length);
    await engine.close().catch(() => {});
  });

  test('one failed: told, and the next waits, twice as long each time; a call does not', async () => {
    const store = new HeldStore();
    const { engine, taken, world } = await watched({ store, checkpointing: { commits: 1 } });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    store.before = (call) => {
      if (call === 'put') throw injected('EIO');
    };
    await put(engine, 'a');
    await settle();
    expect(failures).toMatchObject([{ code: 'IO' }]);
    await put(engine, 'b');
    await settle();
    expect([failures.length, engine.stats().checkpointing.backOffMs]).toEqual([1, 1000]);
    world.clock.advance(1000);
    await settle();
    expect([failures.length, engine.stats().checkpointing.backOffMs]).toEqual([2, 2000]);
    store.before = () => {};
    expect((await engine.checkpoint()).lsn).toBe(2);
    await put(engine, 'c');
    await settle();
    expect(taken).toHaveLength(1);
    world.clock.advance(2000);
    await settle();
    expect(shape(taken)).toEqual([
      [2, 'call'],
      [3, 'commits'],
    ]);
    await engine.close();
  });

  test('another writer has published: told once, and no further one is tried', async () => {
    const { engine, world } = await watched({ checkpointing: { commits: 1 } });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    await world.fs.makeDirectory('/store/checkpoints');
    const record = '/store/checkpoints/0000000001.json';
    const handle = await world.fs.open(record, 'create');
    await handle.close();
    for (let n = 0; n < 3; n++) {
      await put(engine, `k${n}`);
      world.clock.advance(100_000);
      await settle();
    }
    expect(failures).toMatchObject([{ code: 'FENCED' }]);
    await engine.close();
  });

  test('no space: NO_SPACE with what is needed and what is free, before anything is written', async () => {
    const world = worldOn();
    const engine = await open(world, { checkpointing: false });
    await put(engine, 'a', noise(100_000));
    world.fs.freeBytes = () => 50_000;
    let writes = 0;
    world.fs.before = ({ call, path }) => {
      if (call === 'open' && path.includes('~staging')) writes++;
    };
    const error = await errorOf(engine.checkpoint());
    expect(error.code).toBe('NO_SPACE');
    expect(error.details).toMatchObject({ freeBytes: 50_000 });
    expect(error.details['neededBytes']).toBeGreaterThan(100_000);
    expect(writes).toBe(0);
    world.fs.freeBytes = () => 2 ** 40;
    expect((await engine.checkpoint()).lsn).toBe(1);
    await engine.close();
  });

  test.each<[string, (world: World) => ObjectStore, string]>([
    ['files elsewhere', ({ fs }) => new FileObjectStore(fs, '/elsewhere'), '/elsewhere'],
    ['no files', () => new HeldStore(), '/store'],
  ])(
    'no space where %s are staged: NO_SPACE, whatever the log has',
    async (_kind, storeOf, place) => {
      const world = worldOn();
      const engine = await open(world, { checkpointing: false, store: storeOf(world) });
      await put(engine, 'a', noise(100_000));
      const warnings: string[] = [];
      engine.on('warning', ({ code }) => warnings.push(code));
      const asked: string[] = [];
      world.fs.freeBytes = (path) => {
        asked.push(path);
        return path.startsWith(`${place}/`) ? 50_000 : 2 ** 40;
      };
      expect(await codeOf(engine.checkpoint())).toBe('NO_SPACE');
      expect(asked).not.toEqual([]);
      world.fs.freeBytes = (path) => (path.startsWith(`${place}/`) ? 2 ** 29 : 2 ** 40);
      expect((await engine.checkpoint()).lsn).toBe(1);
      expect(warnings).toEqual(['DISK_LOW']);
      await engine.close();
    },
  );

  test('the checkpoint of a close fails: close says so, and everything is in the log', async () => {
    const world = worldOn();
    const engine = await open(world, { checkpointing: { onClose: true } });
    await put(engine, 'a');
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path.includes('~staging')) throw injected('EIO');
    };
    expect(await codeOf(engine.close())).toBe('IO');
    world.fs.before = () => {};
    const again = await open(world);
    expect(again.operator('op').value('v').get('a')).toBe('a');
    await again.close();
  });
});

describe('options', () => {
  test.each([
    ['checkpointing', { checkpointing: 'sometimes' }],
    ['checkpointing', { checkpointing: true }],
    ['checkpointing.entries', { checkpointing: { entries: 0 } }],
    ['checkpointing.commits', { checkpointing: { commits: 1.5 } }],
    ['checkpointing.intervalMs', { checkpointing: { intervalMs: -1 } }],
    ['checkpointing.onClose', { checkpointing: { onClose: 1 } }],
    ['checkpointing.every', { checkpointing: { every: 1 } }],
    ['maxChainLength', { maxChainLength: 0 }],
    ['maxChainLength', { maxChainLength: 1001 }],
    ['restoreSecondsMax', { restoreSecondsMax: 0 }],
    ['restoreBytesMax', { restoreBytesMax: '1 GB' }],
    ['mergeBytesPerLogByteMax', { mergeBytesPerLogByteMax: Number.NaN }],
    ['logBytesPerBaseByteMax', { logBytesPerBaseByteMax: -4 }],
    ['merge', { merge: null }],
    ['merge.threadsMax', { merge: { threadsMax: 0 } }],
    ['merge.compressionBytesMin', { merge: { compressionBytesMin: -1 } }],
    ['merge.strategy', { merge: { strategy: 'best' } }],
    ['merge.timeoutMs', { merge: { timeoutMs: 0 } }],
    ['merge.signal', { merge: { signal: {} } }],
    ['merge.conflicts', { merge: { conflicts: 'last-write-wins' } }],
  ])('a bad %s: INVALID_OPTION with its path', async (option, options) => {
    const error = await errorOf(open(worldOn(), options as Partial<EngineOptions>));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
  });
});
