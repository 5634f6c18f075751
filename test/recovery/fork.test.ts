/*
 * Forks: everything of the parent up to the last commit, and from then on two stores that know
 * nothing of each other, whatever either does with the files that they share.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions, ForkReport } from '../../src/engine/index.ts';
import { forkWith, type ForkOptions } from '../../src/engine/fork-store.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { backupWith } from '../../src/engine/backup-store.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { listTimelinesWith } from '../../src/recovery/list-timelines.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { codeOf, errorOf } from '../engine/engine-fixture.ts';
import { dir, fill, filled, smallSegments, TestStore } from './reader-store.ts';

const to = '/fork';

function on(store: TestStore): CopyComponents {
  return { ...store.components, random: systemRandom, threads: false };
}

function forked(store: TestStore, options: Partial<ForkOptions> = {}): Promise<ForkReport> {
  return forkWith({ from: { dir }, to, ...options }, on(store));
}

async function contentOf(store: TestStore, where: string, at = {}): Promise<unknown[]> {
  const reader = await openReaderWith({ dir: where, ...at }, store.components);
  const entries = [...reader.entries()].map(({ operator, state, key, subKey, value, lsn }) => [
    operator,
    state,
    key,
    subKey,
    value,
    lsn,
  ]);
  const found = [entries, reader.positions(), reader.lsn];
  await reader.close();
  return found;
}

async function faultsIn(store: TestStore, where: string): Promise<unknown[]> {
  const { faults, notes } = await verifyStoreWith({ dir: where, level: 'full' }, store.components);
  return [...faults, ...notes];
}

async function within(
  store: TestStore,
  where: string,
  act: (engine: Engine) => void | Promise<void>,
  options: Partial<EngineOptions> = {},
): Promise<void> {
  const engine = await openEngineWith({ dir: where, ...smallSegments, ...options }, on(store));
  await act(engine);
  await engine.close();
}

const names = (files: readonly { path: string }[], where: string): string[] =>
  files.map(({ path }) => path.slice(where.length));

describe('a fork', () => {
  test('has the state, the checkpoints and every moment of its parent', async () => {
    const store = await filled();
    const report = await forked(store);
    expect(report).toMatchObject({ dir: to, lsn: 30, timeline: 2, unprovedCommits: 0 });
    expect(report.storeId).not.toBe(report.parentId);
    expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
    for (const lsn of [3, 7, 18, 29]) {
      expect(await contentOf(store, to, { at: { lsn } })).toEqual(
        await contentOf(store, dir, { at: { lsn } }),
      );
    }
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('T3 shares every snapshot and sealed segment, and copies the one that takes appends', async () => {
    const store = await filled();
    const { sharedFiles, copiedFiles, checkpoints } = await forked(store);
    const snapshots = await store.fs.list(`${dir}/snapshots`);
    const segments = await store.fs.list(`${to}/wal`);
    expect(copiedFiles).toBe(1);
    expect(sharedFiles).toBe(
      snapshots.length + segments.filter((n) => n.endsWith('.wal')).length - 1,
    );
    expect(await store.fs.list(`${to}/snapshots`)).toEqual(snapshots);
    expect(checkpoints).toBe((await store.fs.list(`${dir}/checkpoints`)).length);
  });

  test('goes its own way: commits, checkpoints, merges, openings; so does its parent', async () => {
    const store = await filled();
    const { storeId, parentId } = await forked(store);
    for (let i = 0; i < 3; i++) {
      await within(store, to, async (engine) => {
        expect(engine.recovery.lsn).toBe(30 + i * 14);
        await fill(engine, 14);
        await engine.merge();
        await engine.collect();
      });
      await within(store, dir, async (engine) => {
        engine.operator('parent').value('v').set(i, i);
        await engine.commit();
        await engine.checkpoint({ kind: 'base' });
        await engine.collect();
      });
    }
    expect(await faultsIn(store, to)).toEqual([]);
    expect(await faultsIn(store, dir)).toEqual([]);
    await within(store, to, async (engine) => {
      expect(engine.operator('routes').counter('flights').get('JFK')).toBe(2 * (30 + 42));
      expect((await engine.checkpoints()).every((record) => record.storeId === storeId)).toBe(true);
    });
    expect((await contentOf(store, dir))[2]).toBe(33);
    const { timelines } = await listTimelinesWith({ dir: to }, store.components);
    expect(timelines).toMatchObject([
      { id: 1, parent: undefined, parentStore: undefined },
      { id: 2, parent: 1, parentStore: parentId, forkLsn: 30, current: true },
    ]);
  });

  test('outlives its parent, whose files all go', async () => {
    const store = await filled();
    await forked(store);
    const due = await contentOf(store, dir);
    for (const { path } of await store.files(dir)) await store.fs.unlink(path);
    expect(await contentOf(store, to)).toEqual(due);
    await within(store, to, async (engine) => {
      await fill(engine, 3);
      await engine.checkpoint();
    });
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('collects what it shares, and its parent has it still', async () => {
    const store = await filled();
    await forked(store);
    const due = await contentOf(store, dir);
    await within(
      store,
      to,
      async (engine) => {
        for (let i = 0; i < 4; i++) {
          await fill(engine, 4);
          await engine.checkpoint({ kind: 'base' });
        }
        await engine.collect();
      },
      { retention: { checkpoints: 1 } },
    );
    expect(await contentOf(store, dir)).toEqual(due);
    expect(await faultsIn(store, dir)).toEqual([]);
    expect(await faultsIn(store, to)).toEqual([]);
    const own = new Set(await store.fs.list(`${to}/snapshots`));
    const parents = await store.fs.list(`${dir}/snapshots`);
    expect(parents.filter((name) => own.has(name))).toEqual([]);
  });

  test('of a fork: has what both had before it', async () => {
    const store = await filled(20);
    await forked(store);
    await within(store, to, (engine) => fill(engine, 8));
    const second = await forked(store, { from: { dir: to }, to: '/second' });
    expect(second).toMatchObject({ lsn: 28, timeline: 3 });
    expect(await contentOf(store, '/second')).toEqual(await contentOf(store, to));
    for (const lsn of [4, 20, 23]) {
      expect(await contentOf(store, '/second', { at: { lsn } })).toEqual(
        await contentOf(store, to, { at: { lsn } }),
      );
    }
    await within(store, '/second', (engine) => fill(engine, 8));
    expect(await faultsIn(store, '/second')).toEqual([]);
    expect((await contentOf(store, '/second'))[2]).toBe(36);
  });

  test('can be restored and backed up as any store', async () => {
    const store = await filled();
    await forked(store);
    await within(store, to, (engine) => fill(engine, 3));
    await restoreWith({ from: { dir: to }, to: '/restored' }, on(store));
    await backupWith({ from: { dir: to }, to: '/copied' }, on(store));
    for (const where of ['/restored', '/copied']) {
      expect(await contentOf(store, where)).toEqual(await contentOf(store, to));
      expect(await faultsIn(store, where)).toEqual([]);
    }
  });

  test('of a store that was rewound: its past, and not the future that was left', async () => {
    const store = await filled(20);
    await within(store, dir, (engine) => fill(engine, 5), { recoverTo: { lsn: 10 } });
    const { lsn, timeline } = await forked(store);
    expect([lsn, timeline]).toEqual([15, 3]);
    expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
    expect(await faultsIn(store, to)).toEqual([]);
    for (const at of [{ lsn: 4 }, { lsn: 12 }]) {
      expect(await contentOf(store, to, { at })).toEqual(await contentOf(store, dir, { at }));
    }
    await within(store, to, (engine) => fill(engine, 8));
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('goes back to a moment of its parent, and on from there', async () => {
    const store = await filled(20);
    await forked(store);
    await within(store, to, (engine) => fill(engine, 8));
    const due = await contentOf(store, dir, { at: { lsn: 9 } });
    await within(store, to, () => {}, { recoverTo: { lsn: 9 } });
    expect(await contentOf(store, to)).toEqual(due);
    await within(store, to, async (engine) => {
      expect(engine.recovery.lsn).toBe(9);
      await fill(engine, 14);
      await engine.merge();
      await engine.collect();
    });
    expect(await faultsIn(store, to)).toEqual([]);
    const left = { at: { lsn: 25, timeline: 2 } };
    expect((await contentOf(store, to, left))[2]).toBe(25);
  });

  test('of a store that stands where it was rewound to, in the middle of a group', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    const stats = engine.operator('routes').value('stats');
    const commits = [1, 2, 3, 4].map((i) => {
      stats.set('all', i);
      return engine.commit();
    });
    await Promise.all(commits);
    await engine.close();
    await within(store, dir, () => {}, { recoverTo: { lsn: 2 } });
    await forked(store);
    expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
    await within(store, to, async (other) => {
      expect(other.operator('routes').value('stats').get('all')).toBe(2);
      expect((await other.commit()).lsn).toBe(3);
    });
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('joins with its parent: the same seed', async () => {
    const store = await filled();
    await forked(store);
    const from = [
      { dir, keyGroups: { from: 0, to: 64 } },
      { dir: to, keyGroups: { from: 64, to: 128 } },
    ];
    await restoreWith({ from, to: '/joined' }, on(store));
    expect((await contentOf(store, '/joined'))[0]).toEqual((await contentOf(store, dir))[0]);
  });

  test('of a store whose snapshots are elsewhere: copies them, and is a directory', async () => {
    const store = new TestStore();
    const objects = Object.assign(new MemoryObjectStore(), { close: async () => {} });
    const engine = await store.open({ ...smallSegments, store: objects });
    await fill(engine, 20);
    await engine.close();
    const { copiedFiles } = await forked(store, { from: { dir, store: objects } });
    expect(copiedFiles).toBeGreaterThan(2);
    expect((await contentOf(store, to))[2]).toBe(20);
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('of a store without a checkpoint, and without a commit', async () => {
    const store = await filled(3);
    await forked(store);
    expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
    await within(store, '/empty', () => {});
    const { lsn } = await forked(store, { from: { dir: '/empty' }, to: '/still-empty' });
    expect(lsn).toBe(0);
    await within(store, '/still-empty', (engine) => fill(engine, 3));
    expect(await faultsIn(store, '/still-empty')).toEqual([]);
  });

  test('dropped savepoints stay dropped', async () => {
    const store = await filled(7);
    await within(store, dir, async (engine) => {
      await engine.checkpoint({ savepoint: 'mine' });
      await engine.dropSavepoint('mine');
      await engine.checkpoint({ savepoint: 'other' });
    });
    await forked(store);
    await within(store, to, async (engine) => {
      const points = (await engine.checkpoints()).filter(({ savepoint }) => savepoint);
      expect(points.map(({ savepoint, dropped }) => [savepoint, dropped])).toEqual([
        ['mine', true],
        ['other', false],
      ]);
    });
  });
});

describe('engine.fork', () => {
  test('of an open engine: everything that was sealed, durable or not, and it goes on', async () => {
    const store = new TestStore();
    const engine = await store.open({ ...smallSegments, durability: 'memory' });
    await fill(engine, 8);
    engine.operator('routes').value('stats').set('last', 1);
    const commit = engine.commit();
    const report = await engine.fork(to);
    await commit;
    expect(report).toMatchObject({ lsn: 9, unprovedCommits: 0 });
    await fill(engine, 4);
    await engine.close();
    expect((await contentOf(store, to))[2]).toBe(9);
    expect(await faultsIn(store, to)).toEqual([]);
    expect(await faultsIn(store, dir)).toEqual([]);
    expect((await contentOf(store, dir))[2]).toBe(13);
  });

  test('of a closed engine: CLOSED; of a directory that is full: STATE_EXISTS', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 2);
    expect(await codeOf(engine.fork(dir))).toBe('STATE_EXISTS');
    await engine.close();
    expect(await codeOf(engine.fork(to))).toBe('CLOSED');
  });
});

/** Where no file of the store gets a second name. */
function onTwoVolumes(store: TestStore): CopyComponents {
  const plain = on(store);
  const fs = new Proxy(plain.fs, {
    get(target, name) {
      const link = (existing: string, path: string): Promise<void> =>
        existing.startsWith(`${dir}/`)
          ? Promise.reject(Object.assign(new Error('another volume'), { code: 'EXDEV' }))
          : target.link(existing, path);
      const found: unknown = name === 'link' ? link : Reflect.get(target, name);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
  return { ...plain, fs };
}

describe('a fork that is refused or ended', () => {
  const wrong: readonly (readonly [string, Record<string, unknown>])[] = [
    ['other', { other: 1 }],
    ['from.other', { from: { dir, other: 1 } }],
    ['to', { to: '' }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['signal', { signal: 1 }],
    ['onProgress', { onProgress: 1 }],
  ];
  test.each(wrong)('a bad %s: INVALID_OPTION', async (option, options) => {
    const store = await filled(1);
    const error = await errorOf(forked(store, options));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
  });

  test('into its parent, and where there is no store', async () => {
    const store = await filled(2);
    expect(await codeOf(forked(store, { to: dir }))).toBe('STATE_EXISTS');
    expect(await codeOf(forked(store, { from: { dir: '/none' } }))).toBe('NOT_A_STORE');
    expect(await store.fs.stat(to)).toBeUndefined();
  });

  test('by its signal: ABORTED, nothing stays but the lock, and it can be done again', async () => {
    const store = await filled();
    const abort = new AbortController();
    const onProgress = ({ bytes }: { bytes: number }): void => void (bytes > 0 && abort.abort());
    expect(await codeOf(forked(store, { signal: abort.signal, onProgress }))).toBe('ABORTED');
    expect(names(await store.files(to), to)).toEqual(['/LOCK']);
    await forked(store);
    expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
  });

  test('where files get no second name: all are copied, to the same end', async () => {
    const store = await filled();
    const apart = onTwoVolumes(store);
    const { sharedFiles, copiedFiles } = await forkWith({ from: { dir }, to }, apart);
    expect(sharedFiles).toBe(0);
    expect(copiedFiles).toBeGreaterThan(3);
    expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test.each(['no-claim', 'claim'] as const)(
    'where files are copied and a snapshot is not that of its name, %s: CORRUPT_SNAPSHOT, and the parent stays',
    async (ownership) => {
      const store = await filled();
      const { path } = (await store.files(`${dir}/snapshots`))[0]!;
      await store.flip(path, 100);
      const error = await errorOf(forkWith({ from: { dir }, to, ownership }, onTwoVolumes(store)));
      expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details: { path } });
      expect(names(await store.files(to), to)).toEqual(['/LOCK']);
      const parent = await store.open({ ...smallSegments });
      expect(parent.recovery.loss).toBeUndefined();
      await parent.close();
    },
  );
});
