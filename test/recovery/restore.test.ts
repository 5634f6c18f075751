/*
 * Restores into a new directory: what they take, what they leave behind, and what they refuse.
 */
import { describe, expect, test } from 'vitest';
import { exportSavepointWith, restoreWith } from '../../src/engine/restore-store.ts';
import type { RestoreOptions } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import type { CopyComponents, CopyProgress } from '../../src/recovery/copy-run.ts';
import type { RestoreReport } from '../../src/recovery/restore-run.ts';
import { openReaderWith, type Reader } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { codeOf, errorOf } from '../engine/engine-fixture.ts';
import { dir, fill, filled, smallSegments, TestStore } from './reader-store.ts';

const to = '/copy';

function on(store: TestStore): CopyComponents {
  return { ...store.components, random: systemRandom, threads: false };
}

function restored(store: TestStore, options: Partial<RestoreOptions> = {}): Promise<RestoreReport> {
  return restoreWith({ from: { dir }, to, ...options }, on(store));
}

function contentOf(reader: Reader): unknown[] {
  return [...reader.entries()].map(({ operator, state, key, subKey, value, lsn, timestamp }) => [
    operator,
    state,
    key,
    subKey,
    value,
    lsn,
    timestamp,
  ]);
}

async function contentAt(store: TestStore, where: string, at = {}): Promise<unknown[]> {
  const reader = await openReaderWith({ dir: where, ...at }, store.components);
  const content = contentOf(reader);
  await reader.close();
  return content;
}

async function faultsIn(store: TestStore, where: string): Promise<unknown[]> {
  const { faults, notes } = await verifyStoreWith({ dir: where }, store.components);
  return [...faults, ...notes];
}

describe('a restore of everything', () => {
  test('of the latest moment: another store with the same state and positions', async () => {
    const store = await filled();
    const report = await restored(store);
    expect(report).toMatchObject({ lsn: 30, dir: to, partial: false });
    expect(report.sources).toMatchObject([{ dir, lsn: 30, unprovedCommits: 0 }]);
    expect(report.storeId).not.toBe(report.sources[0]!.storeId);
    expect(await contentAt(store, to)).toEqual(await contentAt(store, dir));
    expect(await faultsIn(store, to)).toEqual([]);
    const engine = await openEngineWith({ dir: to }, on(store));
    expect(engine.positions).toEqual({ flights: 29 });
    expect(engine.recovery).toMatchObject({ lsn: 30, checkpoint: 1, damagedHistory: false });
    await engine.close();
  });

  test('of an older commit: goes on behind it, with checkpoints and openings', async () => {
    const store = await filled();
    const { sources } = await restored(store, { target: { lsn: 20 } });
    expect(sources).toMatchObject([{ checkpoint: 2, replayedCommits: 2 }]);
    expect(await contentAt(store, to)).toEqual(await contentAt(store, dir, { at: { lsn: 20 } }));
    let engine = await openEngineWith({ dir: to, ...smallSegments }, on(store));
    await fill(engine, 14);
    expect((await engine.checkpoint()).origin).toMatchObject({ lsn: 20, partial: false });
    await engine.close();
    engine = await openEngineWith({ dir: to, ...smallSegments }, on(store));
    expect(engine.recovery.lsn).toBe(34);
    expect(engine.operator('routes').counter('flights').get('JFK')).toBe(68);
    await engine.close();
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('of the moment before the first commit: an empty store that works', async () => {
    const store = await filled();
    await restored(store, { target: { lsn: 0 } });
    expect(await contentAt(store, to)).toEqual([]);
    const engine = await openEngineWith({ dir: to }, on(store));
    await fill(engine, 2);
    await engine.close();
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('of a log without a checkpoint: the same state', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 5);
    await engine.close();
    expect((await restored(store)).sources[0]!.checkpoint).toBeUndefined();
    expect(await contentAt(store, to)).toEqual(await contentAt(store, dir));
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('its record says where it came from, and counts the blobs', async () => {
    const store = await filled(9);
    const engine = await store.open();
    engine.operator('routes').blob('model').set('other', new Uint8Array(500).fill(7));
    await engine.commit();
    await engine.close();
    const { sources } = await restored(store);
    const copy = await openEngineWith({ dir: to }, on(store));
    const [record] = await copy.checkpoints();
    await copy.close();
    expect(record?.origin).toEqual({
      storeId: sources[0]!.storeId,
      timeline: 1,
      lsn: 10,
      partial: false,
    });
    expect(record).toMatchObject({ trigger: 'restore', lsn: 10 });
    expect(record?.blobs).toEqual({ bytes: 1000, chunkCount: 1, chunkBytes: 500 });
  });

  test('of a savepoint: exportSavepoint is the same', async () => {
    const store = await filled(9);
    const engine = await store.open();
    await engine.checkpoint({ savepoint: 'mine' });
    await fill(engine, 3);
    await engine.close();
    const components = on(store);
    const report = await exportSavepointWith({ dir, savepoint: 'mine', to }, components);
    expect(report.lsn).toBe(9);
    const again = exportSavepointWith({ dir, savepoint: 'none', to: '/none' }, components);
    expect(await codeOf(again)).toBe('SAVEPOINT_NOT_FOUND');
    expect(await store.fs.stat('/none')).toBeUndefined();
    expect(await contentAt(store, to)).toEqual(
      await contentAt(store, dir, { at: { savepoint: 'mine' } }),
    );
  });

  test('of a savepoint of a timeline that was left: it is named', async () => {
    const store = await filled(4);
    let engine = await store.open();
    await engine.checkpoint({ savepoint: 'mine' });
    await engine.close();
    engine = await store.open({ recoverTo: { lsn: 2 } });
    await engine.close();
    const call = { dir, savepoint: 'mine', to };
    const error = await errorOf(exportSavepointWith(call, on(store)));
    expect([error.code, error.details['timeline']]).toEqual(['SAVEPOINT_NOT_FOUND', 1]);
    const wrong = { ...call, timeline: '1' as never };
    expect((await errorOf(exportSavepointWith(wrong, on(store)))).details['option']).toBe(
      'timeline',
    );
    expect((await exportSavepointWith({ ...call, timeline: 1 }, on(store))).lsn).toBe(4);
  });

  test('of a store whose snapshots are elsewhere: the copy has its own', async () => {
    const store = new TestStore();
    // An engine closes the store that it was given.
    const objects = Object.assign(new MemoryObjectStore(), { close: async () => {} });
    const engine = await store.open({ ...smallSegments, store: objects });
    await fill(engine, 20);
    await engine.checkpoint();
    await engine.close();
    await restored(store, { from: { dir, store: objects } });
    const reader = await openReaderWith({ dir, store: objects }, store.components);
    expect(await contentAt(store, to)).toEqual(contentOf(reader));
    await reader.close();
    expect(await faultsIn(store, to)).toEqual([]);
  });
});

describe('a restore of a part', () => {
  async function twoOperators(): Promise<TestStore> {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    const shared = new Uint8Array(3000).fill(1);
    for (let i = 0; i < 40; i++) {
      for (const name of ['left', 'right'] as const) {
        const operator = engine.operator(name);
        operator.value('v').set(i, { name, i });
        operator.map('m').set(i, 'x', name);
        operator.blob('b').set(i, i % 2 === 0 ? shared : new Uint8Array(100).fill(i));
      }
      if (i === 20) engine.operator('left').map('m').clearAll();
      await engine.commit({ positions: { source: i } });
      if (i === 25) await engine.checkpoint();
    }
    await engine.close();
    return store;
  }

  test('some operators: their states, the positions, and no chunk of others', async () => {
    const store = await twoOperators();
    const { partial } = await restored(store, { operators: ['left'] });
    expect(partial).toBe(true);
    const whole = await contentAt(store, dir);
    expect(await contentAt(store, to)).toEqual(
      whole.filter((entry) => (entry as string[])[0] === 'left'),
    );
    const reader = await openReaderWith({ dir: to }, store.components);
    expect(reader.definitions().map(({ operator }) => operator)).toEqual(['left', 'left', 'left']);
    expect(reader.positions()).toEqual({ source: 39 });
    await reader.close();
    expect(await faultsIn(store, to)).toEqual([]);
  });

  test('blobs of a part: chunks are counted anew, and go with their last blob', async () => {
    const store = await twoOperators();
    await restored(store, { operators: ['left'] });
    const engine = await openEngineWith({ dir: to }, on(store));
    const blobs = engine.operator('left').blob('b');
    expect(engine.stats().storage.blobs).toEqual({
      bytes: 62_000,
      chunkCount: 21,
      chunkBytes: 5000,
    });
    for (const key of blobs.keys()) blobs.delete(key);
    await engine.commit();
    const after = await engine.checkpoint({ kind: 'base' });
    expect(after.blobs).toEqual({ bytes: 0, chunkCount: 0, chunkBytes: 0 });
    await engine.close();
    const reader = await openReaderWith({ dir: to }, store.components);
    expect(reader.measureChunks().entryCount).toBe(0);
    await reader.close();
  });

  test('key groups, half-open: the two halves are disjoint and make the whole', async () => {
    const store = await twoOperators();
    await restored(store, { keyGroups: { from: 0, to: 64 } });
    await restored(store, { to: '/upper', keyGroups: { from: 64, to: 128 } });
    const lower = await contentAt(store, to);
    const upper = await contentAt(store, '/upper');
    const whole = await contentAt(store, dir);
    const sorted = (entries: unknown[]): string[] =>
      entries.map((entry) => JSON.stringify(entry)).sort();
    expect(lower.length).toBeGreaterThan(0);
    expect(upper.length).toBeGreaterThan(0);
    expect(sorted([...lower, ...upper])).toEqual(sorted(whole));
    expect([...(await faultsIn(store, to)), ...(await faultsIn(store, '/upper'))]).toEqual([]);
  });

  test('an operator that was not there: STATE_NOT_FOUND, which names those that were', async () => {
    const store = await twoOperators();
    const error = await errorOf(restored(store, { operators: ['left', 'middle'] }));
    expect(error).toMatchObject({
      code: 'STATE_NOT_FOUND',
      details: { operator: 'middle', known: ['left', 'right'] },
    });
  });

  test('more key groups than there are: INVALID_OPTION', async () => {
    const store = await twoOperators();
    const error = await errorOf(restored(store, { keyGroups: { from: 0, to: 129 } }));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'keyGroups.to' } });
  });
});

describe('a restore that is refused', () => {
  test('into a directory with a file: STATE_EXISTS, and the file stays alone', async () => {
    const store = await filled(3);
    await store.fs.makeDirectory(to);
    await (await store.fs.open(`${to}/notes`, 'create')).close();
    expect(await codeOf(restored(store))).toBe('STATE_EXISTS');
    expect(await store.fs.list(to)).toEqual(['notes']);
  });

  test('into a store, and into its own source: STATE_EXISTS', async () => {
    const store = await filled(3);
    await restored(store);
    expect(await codeOf(restored(store))).toBe('STATE_EXISTS');
    expect(await codeOf(restored(store, { to: dir }))).toBe('STATE_EXISTS');
  });

  test('beside another restore into the same directory: LOCKED', async () => {
    const store = await filled(3);
    const codes = await Promise.allSettled([restored(store), restored(store)]);
    const reasons = codes.map((result) =>
      result.status === 'rejected' ? (result.reason as { code: string }).code : 'fine',
    );
    expect(reasons.sort()).toEqual(['LOCKED', 'fine']);
  });

  test('of a moment that is not there: OUT_OF_RETENTION, and no directory is made', async () => {
    const store = await filled(3);
    expect(await codeOf(restored(store, { target: { lsn: 4 } }))).toBe('OUT_OF_RETENTION');
    expect(await store.fs.stat(to)).toBeUndefined();
  });

  const wrong: readonly (readonly [string, Record<string, unknown>])[] = [
    ['from.other', { from: { dir, other: 1 } }],
    ['from', { from: undefined }],
    ['dir', { from: { dir: 1 } }],
    ['to', { to: '' }],
    ['target', { target: 'newest' }],
    ['operators', { operators: [] }],
    ['operators', { operators: [1] }],
    ['keyGroups.from', { keyGroups: { from: -1, to: 2 } }],
    ['keyGroups.to', { keyGroups: { from: 2, to: 2 } }],
    ['keyGroups.other', { keyGroups: { from: 2, to: 3, other: 1 } }],
    ['threadsMax', { threadsMax: 0 }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['signal', { signal: {} }],
    ['onProgress', { onProgress: 1 }],
    ['other', { other: 1 }],
  ];
  test.each(wrong)('with a bad %s: INVALID_OPTION', async (option, options) => {
    const store = await filled(1);
    const error = await errorOf(restored(store, options));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
  });
});

describe('a restore that is ended', () => {
  test('by its signal: ABORTED, and the directory can be restored into', async () => {
    const store = await filled();
    const abort = new AbortController();
    const seen: CopyProgress[] = [];
    const onProgress = (progress: CopyProgress): void => {
      seen.push(progress);
      if (progress.phase === 'write') abort.abort();
    };
    const failed = restored(store, { signal: abort.signal, onProgress });
    expect(await codeOf(failed)).toBe('ABORTED');
    expect(seen.map(({ phase }) => phase)).toEqual(['plan', 'replay', 'write']);
    expect((await store.files(to)).map(({ path }) => path)).toEqual([`${to}/LOCK`]);
    await restored(store);
    expect(await contentAt(store, to)).toEqual(await contentAt(store, dir));
  });

  test('by its time: TIMEOUT', async () => {
    const store = await filled();
    const clock = {
      ...store.components.clock,
      nowMicros: () => store.clock.nowMicros(),
      monotonicMs: () => 0,
      setTimer(delayMs: number, fire: () => void) {
        if (delayMs === 77) fire();
        return { cancel: () => {} };
      },
    };
    const late = restoreWith({ from: { dir }, to, timeoutMs: 77 }, { ...on(store), clock });
    expect(await codeOf(late)).toBe('TIMEOUT');
    const inTime = await restoreWith({ from: { dir }, to }, { ...on(store), clock });
    expect(inTime.lsn).toBe(30);
  });

  test('its progress ends with all of it', async () => {
    const store = await filled();
    const seen: CopyProgress[] = [];
    const { entryCount } = await restored(store, { onProgress: (p) => void seen.push(p) });
    const last = seen.at(-1)!;
    expect(last.bytes).toBe(last.bytesTotal);
    expect(last).toMatchObject({ phase: 'write', entries: entryCount });
  });
});

describe('beside a writer', () => {
  test('that has proved nothing of its last commits: only what is proved, once it is waited for', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 5);
    const clock = {
      nowMicros: () => store.clock.nowMicros(),
      monotonicMs: () => store.clock.micros / 1000,
      setTimer(delayMs: number, fire: () => void) {
        // The limit of time never comes; a wait is over at once, and time has passed.
        if (delayMs < 1000) {
          store.clock.micros += delayMs * 1000;
          setImmediate(fire);
        }
        return { cancel: () => {} };
      },
    };
    const report = await restoreWith({ from: { dir }, to }, { ...on(store), clock });
    expect(report.lsn).toBeLessThan(5);
    expect(report.lsn + report.sources[0]!.unprovedCommits).toBe(5);
    expect(await contentAt(store, to)).toEqual(
      await contentAt(store, dir, { at: { lsn: report.lsn } }),
    );
    await engine.close();
    expect((await restored(store, { to: '/after' })).lsn).toBe(5);
  });
});
