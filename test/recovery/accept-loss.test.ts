/*
 * `acceptLoss`: where every way to the state loses commits, the one that loses least; a copy of all that
 * was there is kept, and LSNs that are lost are never given again, whenever the power goes.
 */
import { describe, expect, test } from 'vitest';
import { decodeRecord, encodeRecord } from '../../src/checkpoint/checkpoint-record.ts';
import type { Engine, EngineOptions, EngineWarning } from '../../src/engine/index.ts';
import { lsnsPassedOver } from '../../src/recovery/accept-loss.ts';
import { keepStore, listKept } from '../../src/recovery/given-up.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import {
  codeOf,
  digests,
  errorOf,
  open,
  pathsIn,
  settle,
  worldOn,
  type World,
} from '../engine/engine-fixture.ts';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { cutEverywhere, flipInLog, flipMiddle, fourCommits, shortLog } from './damaged-worlds.ts';

const accepting = { ...shortLog, acceptLoss: true } as const;

function values(engine: Engine): unknown[] {
  const state = engine.operator('op').value('v');
  return ['k', 'k1', 'k2', 'k3', 'k4'].map((key) => state.get(key));
}

/** Another opening finds it as it was. */
class LastingStore extends MemoryObjectStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The third commit is lost: its record and its log are damaged. Two are left. */
async function twoLost(): Promise<World> {
  const world = await fourCommits();
  await flipMiddle(world, (await pathsIn(world.fs, 'checkpoints')).at(-1)!);
  await flipInLog(world, 'third');
  return world;
}

/** All files below a directory, by the path inside it. */
async function filesOf(fs: FaultyFileSystem, directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [path, bytes] of await fs.contents()) {
    if (!path.startsWith(`${directory}/`) || path.endsWith('/LOCK')) continue;
    found.set(path.slice(directory.length + 1), Buffer.from(bytes).toString('base64'));
  }
  return found;
}

describe('every way loses commits', () => {
  test('without acceptLoss: refused; with it: the best way, what is lost told, and it goes on', async () => {
    const world = await twoLost();
    const before = await filesOf(world.fs, '/store');
    expect(await codeOf(open(world, shortLog))).toBe('CORRUPT_RECORD');
    const engine = await open(world, accepting);
    const { loss, lsn, checkpoint } = engine.recovery;
    expect(loss).toMatchObject({
      from: 1,
      reachedLsn: 2,
      lost: { fromLsn: 3, throughLsn: 4 },
      keptIn: '/store/given-up/0001',
    });
    const label = loss!.lost!.mayBeMore ? 4 + lsnsPassedOver : 4;
    expect([lsn, checkpoint]).toEqual([label, loss!.checkpoint]);
    expect(values(engine)).toEqual(['second', 'first', 'second', undefined, undefined]);
    expect(engine.operator('op').blob('b').get('big')).toEqual(new Uint8Array(1500).fill(1));
    expect(engine.positions['source']).toBe(2);
    const warnings: EngineWarning[] = [];
    engine.on('warning', (warning) => warnings.push(warning));
    await settle();
    expect(warnings.map(({ code }) => code)).toEqual(['COMMITS_LOST']);
    engine.operator('op').value('v').set('k', 'after');
    expect((await engine.commit()).lsn).toBe(label + 1);
    await engine.close();
    // Everything is kept as it was.
    const kept = await filesOf(world.fs, '/store/given-up/0001');
    for (const [path, bytes] of before) expect([path, kept.get(path)]).toEqual([path, bytes]);
    expect([...kept.keys()].filter((path) => !before.has(path))).toEqual(['given-up.json']);
  });

  test('what follows: opened again without acceptLoss, checkpointed, collected, read, verified', async () => {
    const world = await twoLost();
    const first = await open(world, accepting);
    const { lsn } = first.recovery;
    await first.close();
    let engine = await open(world, shortLog);
    expect(engine.recovery).toMatchObject({ path: 'newest', loss: undefined, lsn });
    engine.operator('op').value('v').set('k4', 'again');
    await engine.commit();
    await engine.checkpoint();
    await engine.checkpoint({ kind: 'base' });
    await engine.collect();
    await engine.close();
    const reader = await openReaderWith({ dir: '/store' }, world);
    expect(reader.get('op', 'v', 'k4')?.value).toBe('again');
    await reader.close();
    engine = await open(world, shortLog);
    expect(values(engine)).toEqual(['second', 'first', 'second', undefined, 'again']);
    const record = (await engine.checkpoints()).find(({ loss }) => loss);
    expect(record?.loss).toMatchObject({ fromLsn: 3, throughLsn: 4 });
    const shown = (await inspectStoreWith({ dir: '/store' }, world)).checkpoints;
    expect(shown.find(({ id }) => id === record?.id)).toMatchObject({ loss: record?.loss });
    expect(shown.filter(({ loss }) => loss)).toHaveLength(1);
    await engine.close();
    const { faults } = await verifyStoreWith({ dir: '/store' }, world);
    // The mark goes on saying that commits were lost.
    for (const { what } of faults) expect(what).toContain('commits behind it may be lost');
    expect(await listKept(world.fs, '/store')).toEqual(['given-up/0001']);
  });

  test('the log behind a sound checkpoint is damaged: its commits, and no more, are lost', async () => {
    const world = await fourCommits();
    await flipInLog(world, 'fourth');
    expect(await codeOf(open(world, shortLog))).toBe('CORRUPT_FRAME');
    const engine = await open(world, accepting);
    expect(engine.recovery.loss).toMatchObject({
      from: 2,
      reachedLsn: 3,
      lost: { fromLsn: 4, throughLsn: 4, mayBeMore: false },
    });
    expect(values(engine)).toEqual(['third', 'first', 'second', 'third', undefined]);
    expect((await engine.commit()).lsn).toBe(5);
    await engine.close();
  });

  test('the header of the newest segment is damaged: how much was in it is not known, and is passed over', async () => {
    const world = await fourCommits();
    const newest = (await pathsIn(world.fs, 'wal')).findLast((path) => path.endsWith('.wal'))!;
    const bytes = (await world.fs.read(newest)).slice();
    bytes[20]! ^= 1;
    await world.fs.put(newest, bytes);
    expect(await codeOf(open(world, shortLog))).toBe('CORRUPT_SEGMENT');
    const engine = await open(world, accepting);
    expect(engine.recovery.loss).toMatchObject({ reachedLsn: 3, lost: { mayBeMore: true } });
    expect((await engine.commit()).lsn).toBe(3 + lsnsPassedOver + 1);
    await engine.close();
    const again = await open(world, shortLog);
    expect(again.recovery.lsn).toBe(3 + lsnsPassedOver + 1);
    expect(values(again)).toEqual(['third', 'first', 'second', 'third', undefined]);
    await again.close();
  });

  test('the mark of the log is damaged: nothing is lost, and the mark is put anew', async () => {
    const world = await fourCommits();
    await flipMiddle(world, '/store/log-mark.json');
    expect(await codeOf(open(world, shortLog))).toBe('CORRUPT_RECORD');
    const engine = await open(world, accepting);
    expect(engine.recovery.loss).toMatchObject({ reachedLsn: 4, lost: undefined });
    expect(values(engine)[0]).toBe('fourth');
    expect((await engine.commit()).lsn).toBe(5);
    await engine.close();
    await (await open(world, shortLog)).close();
  });

  test('no way is left at all: refused, and nothing is changed', async () => {
    const world = await fourCommits();
    for (const path of await pathsIn(world.fs, 'checkpoints')) await flipMiddle(world, path);
    for (const path of await pathsIn(world.fs, 'wal')) await world.fs.remove(path);
    const before = await digests(world.fs);
    const error = await errorOf(open(world, accepting));
    expect([error.code, error.details['paths']]).toEqual(['CORRUPT_RECORD', []]);
    expect(error.message).toContain('with optimistic there may be one');
    expect(await digests(world.fs)).toEqual(before);
  });

  test('a sound store: nothing is given up and nothing is kept', async () => {
    const world = await fourCommits();
    const engine = await open(world, accepting);
    expect(engine.recovery).toMatchObject({ loss: undefined, lsn: 4 });
    await engine.close();
    expect(await listKept(world.fs, '/store')).toEqual([]);
  });

  test('snapshots in a store of the caller: copied, and the way is taken', async () => {
    const world = worldOn();
    const store = new LastingStore();
    const engine = await open(world, { store, ...shortLog });
    const state = engine.operator('op').value('v');
    for (const value of ['first', 'second']) {
      state.set('k', value);
      await engine.commit();
      if (value === 'first') await engine.checkpoint();
    }
    await engine.close();
    await flipInLog(world, 'second');
    const again = await open(world, { store, ...accepting });
    expect(again.operator('op').value('v').get('k')).toBe('first');
    await again.close();
    const kept = [...(await filesOf(world.fs, '/store/given-up/0001')).keys()];
    expect(kept.some((path) => path.startsWith('snapshots/'))).toBe(true);
    expect(kept).toContain('checkpoints/0000000001.json');
  });

  test('with recover: false, or no boolean: INVALID_OPTION', async () => {
    const wrong: Partial<EngineOptions>[] = [
      { acceptLoss: true, recover: false },
      { acceptLoss: 1 as unknown as boolean },
    ];
    for (const options of wrong) {
      const { code, details } = await errorOf(open(worldOn(), options));
      expect([code, details['option']]).toEqual(['INVALID_OPTION', 'acceptLoss']);
    }
  });
});

describe('a power loss at any change while a loss is accepted', () => {
  const choices = ['dropped', new SeededRandom(11)] as const;

  /** What is there after a power loss: the damage as it was, or what was accepted, with its copy. */
  async function judge(fs: FaultyFileSystem, before: Map<string, string>): Promise<string> {
    const world = worldOn(fs, undefined, 5);
    const error = await open(world, shortLog).then(
      (engine) => engine.close().then(() => undefined),
      (thrown: unknown) => thrown,
    );
    if (error !== undefined) {
      expect(error).toMatchObject({ code: 'CORRUPT_RECORD' });
      const engine = await open(world, accepting);
      expect(values(engine)[0]).toBe('second');
      const { lsn } = engine.recovery;
      expect((await engine.commit()).lsn).toBe(lsn + 1);
      await engine.close();
    }
    const kept = await listKept(fs, '/store');
    // One that was whole before the loss of power is left beside that of the second attempt.
    expect([1, 2]).toContain(kept.length);
    for (const name of kept) {
      const copy = await filesOf(fs, `/store/${name}`);
      for (const [path, bytes] of before) expect([path, copy.get(path)]).toEqual([path, bytes]);
    }
    const engine = await open(world, shortLog);
    expect(engine.recovery.lsn).toBeGreaterThanOrEqual(4);
    expect(values(engine)).toEqual(['second', 'first', 'second', undefined, undefined]);
    expect((await engine.commit()).lsn).toBeGreaterThan(4);
    await engine.close();
    return error === undefined ? 'accepted' : 'as it was';
  }

  test('as it was, or accepted with a whole copy; both go on, above every LSN that was lost', async () => {
    const world = await twoLost();
    const before = await filesOf(world.fs, '/store');
    const cuts = await cutEverywhere(world, choices, async () => {
      await (await open(world, accepting)).close();
    });
    const found = new Map<string, number>();
    const seen = new Set<string>();
    for (const fs of cuts) {
      const state = JSON.stringify(await digests(fs));
      if (seen.has(state)) continue;
      seen.add(state);
      const judged = await judge(fs, before);
      found.set(judged, (found.get(judged) ?? 0) + 1);
    }
    expect(found.get('as it was')).toBeGreaterThan(20);
    expect(found.get('accepted')).toBeGreaterThan(10);
  });
});

describe('the copy of what is given up', () => {
  test('a second one has the next number; one that was cut off is gone on with', async () => {
    const world = await fourCommits();
    const objects = new FileObjectStore(world.fs, '/store', world.random);
    await objects.open();
    const store = { fs: world.fs, dir: '/store', objects };
    world.fs.before = ({ call, path }) => {
      if (call === 'link' && path.endsWith('given-up.json')) throw new Error('cut off');
    };
    await expect(keepStore(store, {})).rejects.toThrow('cut off');
    world.fs.before = () => {};
    expect(await listKept(world.fs, '/store')).toEqual([]);
    expect(await keepStore(store, {})).toBe('given-up/0001');
    expect(await keepStore(store, {})).toBe('given-up/0002');
    expect(await listKept(world.fs, '/store')).toEqual(['given-up/0001', 'given-up/0002']);
  });

  test('a file system without second names: files are copied', async () => {
    const world = await fourCommits();
    const before = await filesOf(world.fs, '/store');
    const objects = new FileObjectStore(world.fs, '/store', world.random);
    await objects.open();
    world.fs.before = ({ call, path }) => {
      if (call !== 'link' || path.endsWith('given-up.json')) return;
      throw Object.assign(new Error('no links'), { code: 'EPERM' });
    };
    await keepStore({ fs: world.fs, dir: '/store', objects }, {});
    world.fs.before = () => {};
    const synced = await world.fs.crash('dropped');
    const copy = await filesOf(synced, '/store/given-up/0001');
    for (const [path, bytes] of before) expect([path, copy.get(path)]).toEqual([path, bytes]);
  });

  test('the note of a loss in a record: read as written; without its parts: CORRUPT_RECORD', async () => {
    const world = await twoLost();
    const engine = await open(world, accepting);
    const made = (await engine.checkpoints()).find(({ loss }) => loss);
    await engine.close();
    expect(made?.loss).toBeDefined();
    expect(decodeRecord(encodeRecord(made!), 'r').loss).toEqual(made!.loss);
    for (const name of ['fromLsn', 'throughLsn', 'mayBeMore', 'keptIn']) {
      const loss = { ...made!.loss, [name]: undefined } as never;
      expect(() => decodeRecord(encodeRecord({ ...made!, loss }), 'r')).toThrow(
        /checkpoint record/,
      );
    }
  });
});
