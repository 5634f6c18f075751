/*
 * Where checkpoints are kept belongs to a store's identity: opened with another kind of object
 * store, or without the one it was made with, it is refused, and nothing is changed. A log that was
 * trimmed is no state without a checkpoint.
 */
import { describe, expect, test } from 'vitest';
import { encodeSealedJson } from '../../src/codec/sealed-json.ts';
import type { EngineOptions, ObjectStore } from '../../src/engine/index.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import {
  codeOf,
  digests,
  errorOf,
  onlyPath,
  open,
  pathsIn,
  worldOn,
  type World,
} from './engine-fixture.ts';
import { HeldStore, type Objects } from './held-store.ts';
import { fill, opened, threeBases } from './retention-world.ts';

type StoreOf = (world: World) => ObjectStore | undefined;

const objects: Objects = new Map();
const held: StoreOf = () => new HeldStore(objects);
const elsewhere: StoreOf = ({ fs }) => new FileObjectStore(fs, '/elsewhere');
const inside: StoreOf = ({ fs }) => new FileObjectStore(fs, '/store');
const none: StoreOf = () => undefined;

function given(store: ObjectStore | undefined): Pick<EngineOptions, 'store'> {
  return store ? { store } : {};
}

/** A store with a checkpoint and a commit behind it. */
async function made(storeOf: StoreOf): Promise<World> {
  const world = worldOn();
  objects.clear();
  const engine = await open(world, given(storeOf(world)));
  const state = engine.operator('op').value('v');
  state.set('k', 1);
  await engine.commit();
  await engine.checkpoint();
  state.set('k', 2);
  await engine.commit();
  await engine.close();
  return world;
}

describe('a store that was made with one kind of object store', () => {
  test.each<[string, StoreOf, StoreOf, RegExp]>([
    [
      'files elsewhere, opened without',
      elsewhere,
      none,
      /kind file \(\/elsewhere\), not in its dir/,
    ],
    [
      'its directory, opened with files elsewhere',
      none,
      elsewhere,
      /kept in its directory, not in/,
    ],
    ['somebody’s store, opened without', held, none, /kind held, not in its directory/],
    ['somebody’s store, opened with files', held, elsewhere, /kind held, not in .* kind file/],
  ])('%s: STORE_MISMATCH names both, nothing is changed', async (_what, first, second, message) => {
    const world = await made(first);
    const before = await digests(world.fs);
    const store = given(second(world));
    const error = await errorOf(open(world, store));
    expect(error.code).toBe('STORE_MISMATCH');
    expect(error.message).toMatch(message);
    const place = { dir: '/store', ...store };
    expect(await codeOf(openReaderWith(place, world))).toBe('STORE_MISMATCH');
    expect(await codeOf(inspectStoreWith(place, world))).toBe('STORE_MISMATCH');
    expect(await codeOf(verifyStoreWith(place, world))).toBe('STORE_MISMATCH');
    expect(await digests(world.fs)).toEqual(before);
  });

  test.each<[string, StoreOf, StoreOf]>([
    ['the same store', held, held],
    ['files of the directory, made by hand', none, inside],
    ['the directory, made by hand before', inside, none],
  ])('%s: opens from the checkpoint', async (_what, first, second) => {
    const world = await made(first);
    const engine = await open(world, given(second(world)));
    expect(engine.recovery.checkpointLsn).toBe(1);
    expect(engine.operator('op').value('v').get('k')).toBe(2);
    await engine.close();
  });

  test('files that were moved: open at their new place', async () => {
    const world = await made(elsewhere);
    const moved = new FileObjectStore(world.fs, '/moved');
    await moved.open();
    for (const [path, bytes] of await world.fs.contents()) {
      if (path.startsWith('/elsewhere/')) await moved.put(path.slice('/elsewhere/'.length), bytes);
    }
    const engine = await open(world, { store: moved });
    expect(engine.recovery.checkpointLsn).toBe(1);
    await engine.close();
    const identity = await readIdentity(world.fs, '/store');
    expect(identity?.place).toEqual({ kind: 'file', location: '/elsewhere' });
  });

  test.each([
    ['no kind', { kind: '' }],
    ['a long kind', { kind: 'x'.repeat(65) }],
    ['a location that is no text', { location: 7 }],
    ['an empty location', { location: '' }],
  ])('%s: INVALID_OPTION, no store is made', async (_what, members) => {
    const world = worldOn();
    const store = Object.assign(new MemoryObjectStore(), members) as ObjectStore;
    const error = await errorOf(open(world, { store }));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'store']);
    expect(Object.keys(await digests(world.fs))).toEqual([]);
  });

  test.each([[undefined], [null], ['file'], [{}], [{ kind: 7 }], [{ kind: 'a', location: 1 }]])(
    'store.json with %j as the place: CORRUPT_STORE',
    async (place) => {
      const world = await made(none);
      const { storeId, seed, keyGroups } = (await readIdentity(world.fs, '/store'))!;
      const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
      const body = { format: 1, kind: 'engine', storeId: hex(storeId), seed: hex(seed), keyGroups };
      const file = await world.fs.open('/store/store.json', 'write');
      await file.truncate(0);
      await file.write(encodeSealedJson({ ...body, place }), 0);
      await file.close();
      expect(await codeOf(open(world))).toBe('CORRUPT_STORE');
    },
  );
});

describe('a log that was trimmed', () => {
  test('all records gone: BROKEN_CHAIN to engine, reader and verify, nothing is changed', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await fill(engine, threeBases);
    await engine.collect();
    const begins = engine.stats().retention.retained!.logFromLsn;
    expect(begins).toBeGreaterThan(1);
    await engine.close();
    for (const path of await pathsIn(world.fs, 'checkpoints')) await world.fs.unlink(path);
    const before = await digests(world.fs);
    const error = await errorOf(opened(world));
    expect([error.code, error.details['actual']]).toEqual(['BROKEN_CHAIN', begins]);
    expect(await codeOf(openReaderWith({ dir: '/store' }, world))).toBe('BROKEN_CHAIN');
    const { faults } = await inspectStoreWith({ dir: '/store' }, world);
    expect(faults.map(({ code }) => code)).toEqual(['BROKEN_CHAIN']);
    const found = await verifyStoreWith({ dir: '/store' }, world);
    expect(found.faults.map(({ what }) => what)).toEqual([
      expect.stringMatching(/^log begins at LSN \d+, and no checkpoint record is found/),
    ]);
    expect(await digests(world.fs)).toEqual(before);
  });

  test('not trimmed, its only record gone: the whole log is replayed', async () => {
    const world = await made(none);
    await world.fs.unlink(await onlyPath(world.fs, 'checkpoints'));
    const engine = await open(world);
    expect(engine.recovery).toMatchObject({ checkpoint: undefined, replayedCommits: 2 });
    await engine.close();
  });
});
