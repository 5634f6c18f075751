/*
 * Backups: what they copy and drop, that a copy opens as the same store, and what is refused.
 */
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { writeLowWater } from '../../src/wal/low-water.ts';
import { describe, expect, test } from 'vitest';
import { backupWith, type BackupOptions } from '../../src/engine/backup-store.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import type { FileSystem } from '../../src/fs/file-system.ts';
import type { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import type { BackupReport } from '../../src/recovery/backup-run.ts';
import type { CopyComponents, CopyProgress } from '../../src/recovery/copy-run.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { systemRandom } from '../../src/std/random.ts';
import { errorOf, codeOf } from '../engine/engine-fixture.ts';
import { dir, fill, filled, smallSegments, TestStore } from './reader-store.ts';

const to = '/copy';

function on(store: TestStore): CopyComponents {
  return { ...store.components, random: systemRandom, threads: false };
}

function backedUp(store: TestStore, options: Partial<BackupOptions> = {}): Promise<BackupReport> {
  return backupWith({ from: { dir }, to, ...options }, on(store));
}

async function contentOf(store: TestStore, where: string): Promise<unknown> {
  const reader = await openReaderWith({ dir: where }, store.components);
  const entries = [...reader.entries()].map(({ key, subKey, state, value, lsn }) => [
    state,
    key,
    subKey,
    value,
    lsn,
  ]);
  const found = [reader.lsn, entries, reader.positions()];
  await reader.close();
  return found;
}

async function namesIn(store: TestStore, where: string, part: string): Promise<string[]> {
  if (!(await store.fs.stat(`${where}/${part}`))) return [];
  return (await store.fs.list(`${where}/${part}`)).filter(
    (name) => name.endsWith('.wal') || part !== 'wal',
  );
}

async function expectSame(store: TestStore): Promise<void> {
  expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
  const { faults } = await verifyStoreWith({ dir: to }, store.components);
  expect(faults).toEqual([]);
  for (const part of ['checkpoints', 'snapshots', 'wal']) {
    expect(await namesIn(store, to, part)).toEqual(await namesIn(store, dir, part));
  }
}

/** The files of a store, whose directories are listed by something else. */
function withList(store: TestStore, list: FileSystem['list']): FileSystem {
  return new Proxy(store.fs, {
    get(target, name: keyof MemoryFileSystem) {
      if (name === 'list') return list;
      const found: unknown = target[name];
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}

describe('a backup', () => {
  test('of a closed store: the same store, with its past', async () => {
    const store = await filled();
    const report = await backedUp(store);
    expect(report).toMatchObject({ lsn: 30, unprovedCommits: 0, copiedSnapshots: 3 });
    await expectSame(store);
    const engine = await openEngineWith({ dir: to, ...smallSegments }, on(store));
    expect(engine.recovery).toMatchObject({ lsn: 30, damagedHistory: false, tornTail: undefined });
    await fill(engine, 3);
    await engine.close();
    const { faults } = await verifyStoreWith({ dir: to }, store.components);
    expect(faults).toEqual([]);
  });

  test('again without a change: copies nothing', async () => {
    const store = await filled();
    await backedUp(store);
    const again = await backedUp(store);
    expect(again).toMatchObject({ copiedSnapshots: 0, copiedRecords: 0, copiedBytes: 0 });
    expect(again.droppedFiles).toBe(0);
    await expectSame(store);
  });

  test('again after the store was rewound, twice: the new timelines, and the futures that were left', async () => {
    const store = await filled();
    await backedUp(store);
    for (const recoverTo of [{ lsn: 17 }, { lsn: 19 }]) {
      const engine = await openEngineWith({ dir, ...smallSegments, recoverTo }, on(store));
      await fill(engine, 4);
      await engine.checkpoint();
      await fill(engine, 3);
      await engine.close();
      await backedUp(store);
      await expectSame(store);
      expect(await namesIn(store, to, 'timelines')).toEqual(await namesIn(store, dir, 'timelines'));
    }
    for (const at of [{ timeline: 1 }, { timeline: 2 }, { lsn: 18, timeline: 1 }, { lsn: 18 }]) {
      const [a, b] = [dir, to].map((where) => openReaderWith({ dir: where, at }, store.components));
      const [reader, copy] = [await a!, await b!];
      expect(copy.lsn).toBe(reader.lsn);
      expect([...copy.entries()]).toEqual([...reader.entries()]);
      await reader.close();
      await copy.close();
    }
    const again = await backedUp(store);
    expect(again).toMatchObject({ copiedSnapshots: 0, copiedRecords: 0, copiedBytes: 0 });
    const engine = await openEngineWith({ dir: to, ...smallSegments }, on(store));
    expect(engine.recovery).toMatchObject({ timeline: 3, damagedHistory: false });
    await engine.close();
  });

  test('again after more commits, checkpoints, openings and collections: only what is new', async () => {
    const store = await filled();
    const first = await backedUp(store);
    for (const retention of [false, { checkpoints: 1 }] as const) {
      const engine = await store.open({ ...smallSegments, retention });
      await fill(engine, 14);
      await engine.checkpoint({ kind: 'base' });
      await engine.checkpoint();
      await engine.collect();
      await engine.close();
      const next = await backedUp(store);
      expect(next.copiedSnapshots).toBeGreaterThan(0);
      expect(next.copiedSnapshots).toBeLessThan(6);
      await expectSame(store);
      if (retention) expect(next.droppedFiles).toBeGreaterThan(0);
      else expect(next.lsn).toBe(first.lsn + 14);
    }
  });

  test('F3 of a store that is open: all that was acknowledged, once its writer has proved it', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 5);
    let isProved = false;
    const clock = {
      nowMicros: () => store.clock.nowMicros(),
      monotonicMs: () => store.clock.micros / 1000,
      setTimer(delayMs: number, fire: () => void) {
        if (delayMs < 1000) {
          // What an idle writer does within a second: it proves.
          const proving = isProved ? Promise.resolve() : engine.checkpoint();
          isProved = true;
          void proving.then(fire);
        }
        return { cancel: () => {} };
      },
    };
    const report = await backupWith({ from: { dir }, to }, { ...on(store), clock });
    expect(report).toMatchObject({ lsn: 5, unprovedCommits: 0 });
    await fill(engine, 3);
    await engine.checkpoint();
    expect((await backedUp(store)).lsn).toBe(8);
    await engine.close();
    await backedUp(store);
    await expectSame(store);
  });

  test('of a store whose process was killed: what was not proved is part of it', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 5);
    // The files as a process that is gone has left them, without a lock.
    const left = new TestStore();
    for (const { path } of await store.files()) {
      await left.fs.makeDirectory(path.slice(0, path.lastIndexOf('/')));
      const handle = await left.fs.open(path, 'create');
      await handle.write(await store.read(path), 0);
      await handle.close();
    }
    await engine.close();
    expect((await backedUp(left)).lsn).toBe(5);
    expect(await contentOf(left, to)).toEqual(await contentOf(left, dir));
    const again = await left.open(smallSegments);
    await fill(again, 4);
    await again.close();
    await backedUp(left);
    await expectSame(left);
  });

  test('of a store whose newest record, or a snapshot of it, has gone bad: what is left, and nothing is taken away', async () => {
    for (const part of ['checkpoints', 'snapshots'] as const) {
      const store = await filled();
      await backedUp(store);
      const due = await contentOf(store, to);
      const names = await store.fs.list(`${dir}/${part}`);
      const newest = names.toSorted((a, b) => a.slice(-10).localeCompare(b.slice(-10))).at(-1);
      if (part === 'checkpoints') await store.flip(`${dir}/${part}/${names.at(-1)}`, 40);
      else await store.fs.unlink(`${dir}/${part}/${newest}`);
      const report = await backedUp(store);
      expect(report).toMatchObject({ lsn: 30, droppedFiles: 0 });
      expect(await contentOf(store, to)).toEqual(due);
      expect((await store.fs.list(`${to}/${part}`)).length).toBe(3);
      await backedUp(store, { to: '/fresh' });
      expect(await contentOf(store, '/fresh')).toEqual(due);
    }
  });

  test('again when the log has been trimmed past the copy and a record has gone bad: whole, without a gap', async () => {
    const store = await filled();
    await backedUp(store);
    const before = await namesIn(store, to, 'wal');
    const engine = await store.open({ ...smallSegments, retention: { checkpoints: 2 } });
    for (let base = 0; base < 4; base++) {
      await fill(engine, 30);
      await engine.checkpoint({ kind: 'base' });
      await engine.collect();
    }
    await engine.close();
    const now = await namesIn(store, dir, 'wal');
    expect(now[0]! > before.at(-1)!.replace('-', '.')).toBe(true);
    const [oldest] = (await store.fs.list(`${dir}/checkpoints`)).toSorted();
    await store.flip(`${dir}/checkpoints/${oldest}`, 40);
    const report = await backedUp(store);
    expect(report.droppedFiles).toBeGreaterThan(0);
    expect(await namesIn(store, to, 'wal')).toEqual(now);
    expect(await contentOf(store, to)).toEqual(await contentOf(store, dir));
  });

  test('beside a collection that takes a record and its snapshot meanwhile: as if it had come before', async () => {
    const store = new TestStore();
    const engine = await store.open({ ...smallSegments, retention: false });
    await fill(engine, 10);
    await engine.checkpoint({ kind: 'base' });
    await fill(engine, 10);
    await engine.checkpoint({ kind: 'base' });
    await engine.close();
    await backedUp(store);
    // Those of the first chain: the base begins another one.
    const oldest = async (part: string): Promise<string[]> => {
      const names = await store.fs.list(`${dir}/${part}`);
      return names
        .filter((name) => /0000000[12](\.json)?$/.test(name))
        .map((name) => `${dir}/${part}/${name}`);
    };
    const collected = [...(await oldest('checkpoints')), ...(await oldest('snapshots'))];
    expect(collected).toHaveLength(4);
    const list = async (path: string): Promise<string[]> => {
      const isMet = path === `${dir}/snapshots`;
      for (const gone of isMet ? collected.splice(0) : []) await store.fs.unlink(gone);
      return store.fs.list(path);
    };
    const fs = withList(store, list);
    const report = await backupWith({ from: { dir }, to }, { ...on(store), fs });
    expect(report.droppedFiles).toBe(4);
    await expectSame(store);
  });

  test.each([1, 2, 3])(
    'beside a trim that comes before listing %i of the log: as if it had come before all',
    async (trimAt) => {
      const store = new TestStore();
      for (let opening = 0; opening < 4; opening++) {
        const engine = await store.open({ ...smallSegments, retention: false });
        await fill(engine, 30);
        await engine.checkpoint();
        await engine.close();
      }
      const { log } = await inspectStoreWith({ dir }, store.components);
      const [first, second, kept] = log.segments;
      const wal = `${dir}/wal`;
      let listed = 0;
      const list = async (path: string): Promise<string[]> => {
        // The first time the way of an opening is planned, the second time the segments are looked up.
        if (path === wal && ++listed === trimAt) {
          const { timeline, firstLsn: lsn, number: segment } = kept!;
          await writeLowWater(store.fs, wal, { timeline, lsn, segment });
          for (const { name } of [first!, second!]) await store.fs.unlink(`${wal}/${name}`);
        }
        return store.fs.list(path);
      };
      const fs = withList(store, list);
      await backupWith({ from: { dir }, to }, { ...on(store), fs });
      expect(listed).toBeGreaterThanOrEqual(trimAt);
      expect(await namesIn(store, to, 'wal')).toEqual(await namesIn(store, dir, 'wal'));
    },
  );

  test('verify: false checks nothing', async () => {
    const store = await filled();
    expect((await backedUp(store, { verify: false })).verifiedBytes).toBeUndefined();
    expect((await backedUp(store)).verifiedBytes).toBeGreaterThan(0);
  });

  test('its progress: what is copied, up to all of it, then the check', async () => {
    const store = await filled();
    const seen: CopyProgress[] = [];
    const { copiedBytes } = await backedUp(store, { onProgress: (p) => void seen.push(p) });
    const copies = seen.filter(({ phase }) => phase === 'copy');
    expect(copies.at(-1)).toMatchObject({ bytes: copiedBytes, bytesTotal: copiedBytes });
    expect(seen.at(-1)).toMatchObject({ phase: 'verify' });
  });
});

describe('a backup that is refused', () => {
  test('into a directory with a file, and into its source: STATE_EXISTS', async () => {
    const store = await filled(3);
    await store.fs.makeDirectory(to);
    await (await store.fs.open(`${to}/notes`, 'create')).close();
    expect(await codeOf(backedUp(store))).toBe('STATE_EXISTS');
    expect(await store.fs.list(to)).toEqual(['notes']);
    const itself = await errorOf(backedUp(store, { to: dir }));
    expect([itself.code, itself.message]).toEqual([
      'STATE_EXISTS',
      `the copy would be the store itself: ${dir}`,
    ]);
  });

  test('into a copy that was opened for writing: STATE_EXISTS, and the copy stays', async () => {
    const store = await filled(9);
    await backedUp(store);
    const engine = await openEngineWith({ dir: to }, on(store));
    expect(await codeOf(backedUp(store))).toBe('LOCKED');
    await fill(engine, 1);
    await engine.close();
    const before = await contentOf(store, to);
    const error = await errorOf(backedUp(store));
    expect(error).toMatchObject({ code: 'STATE_EXISTS', details: { path: to } });
    expect(await contentOf(store, to)).toEqual(before);
  });

  test('into the copy of another store: STORE_MISMATCH', async () => {
    const store = await filled(3);
    await backedUp(store);
    const other = await openEngineWith({ dir: '/other' }, on(store));
    await other.close();
    expect(await codeOf(backedUp(store, { from: { dir: '/other' } }))).toBe('STORE_MISMATCH');
  });

  test('with a copy that is damaged: CORRUPT_STORE, which names the file', async () => {
    const store = await filled();
    await backedUp(store);
    const [name] = await store.fs.list(`${to}/snapshots`);
    await store.flip(`${to}/snapshots/${name}`, 200);
    const error = await errorOf(backedUp(store));
    expect(error).toMatchObject({
      code: 'CORRUPT_STORE',
      details: { path: `${to}/snapshots/${name}` },
    });
  });

  test('of a snapshot that is damaged in the source: CORRUPT_SNAPSHOT, and nothing opens', async () => {
    const store = await filled();
    const [name] = await store.fs.list(`${dir}/snapshots`);
    await store.flip(`${dir}/snapshots/${name}`, 200);
    expect(await codeOf(backedUp(store))).toBe('CORRUPT_SNAPSHOT');
    expect(await codeOf(openReaderWith({ dir: to }, store.components))).toBe('NOT_A_STORE');
  });

  test('with a manifest that is none: CORRUPT_RECORD or UNSUPPORTED_FORMAT', async () => {
    const store = await filled(3);
    await backedUp(store);
    const path = `${to}/backup.json`;
    const sound = decodeSealedJson(await store.read(path)) as Record<string, unknown>;
    const codes = [];
    for (const change of [
      { format: 'x' },
      { format: 2 },
      { segments: 1 },
      { segments: [1] },
      { head: {} },
      { head: { name: 'x', end: -1 } },
    ]) {
      await store.fs.unlink(path);
      const handle = await store.fs.open(path, 'create');
      await handle.write(encodeSealedJson({ ...sound, ...change }), 0);
      await handle.close();
      codes.push(await codeOf(backedUp(store)));
    }
    const corrupt = 'CORRUPT_RECORD';
    expect(codes).toEqual([corrupt, 'UNSUPPORTED_FORMAT', corrupt, corrupt, corrupt, corrupt]);
    await store.flip(path, 30);
    expect(await codeOf(backedUp(store))).toBe(corrupt);
  });

  const wrong: readonly (readonly [string, Record<string, unknown>])[] = [
    ['from.other', { from: { dir, other: 1 } }],
    ['to', { to: 1 }],
    ['verify', { verify: 1 }],
    ['timeoutMs', { timeoutMs: -1 }],
    ['signal', { signal: 1 }],
    ['onProgress', { onProgress: 1 }],
    ['other', { other: 1 }],
  ];
  test.each(wrong)('with a bad %s: INVALID_OPTION', async (option, options) => {
    const store = await filled(1);
    const error = await errorOf(backedUp(store, options));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
  });

  test('by its signal, in the middle: ABORTED, and the next one finishes', async () => {
    const store = await filled();
    const abort = new AbortController();
    const onProgress = ({ bytes }: CopyProgress): void => void (bytes > 0 && abort.abort());
    expect(await codeOf(backedUp(store, { signal: abort.signal, onProgress }))).toBe('ABORTED');
    await backedUp(store);
    await expectSame(store);
  });
});
