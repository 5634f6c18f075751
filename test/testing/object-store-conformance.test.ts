import { AssertionError } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { objectStoreConformance } from '../../src/testing/index.ts';
import { brokenStores } from './broken-stores.ts';
import { TinyStore } from './tiny-store.ts';

describe('MemoryObjectStore', () => {
  for (const { name, run } of objectStoreConformance()) {
    test(name, () => run(async () => new MemoryObjectStore()));
  }
});

describe('FileObjectStore in memory', () => {
  const places = new Map<ObjectStore, MemoryFileSystem>();
  function open(fs: MemoryFileSystem): ObjectStore {
    const store = new FileObjectStore(fs, '/objects');
    places.set(store, fs);
    return store;
  }
  const reopenStore = async (closed: ObjectStore): Promise<ObjectStore> =>
    open(places.get(closed)!);
  for (const { name, run } of objectStoreConformance({ reopenStore })) {
    test(name, () => run(async () => open(new MemoryFileSystem())));
  }
});

describe('FileObjectStore on disk', () => {
  let directory: string;
  let count = 0;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-store-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const roots = new Map<ObjectStore, string>();
  function open(root: string): ObjectStore {
    const store = new FileObjectStore(nodeFileSystem, root);
    roots.set(store, root);
    return store;
  }
  const reopenStore = async (closed: ObjectStore): Promise<ObjectStore> => open(roots.get(closed)!);
  for (const { name, run } of objectStoreConformance({ reopenStore })) {
    test(name, () => run(async () => open(join(directory, `store-${count++}`, 'objects'))));
  }
});

describe('a store written by somebody else', () => {
  const reopenStore = async (closed: ObjectStore): Promise<ObjectStore> =>
    new TinyStore((closed as TinyStore).objects);
  for (const { name, run } of objectStoreConformance({ reopenStore })) {
    test(name, () => run(async () => new TinyStore()));
  }
});

describe('a broken store', () => {
  test.each(brokenStores)('it $flaw: fails "$noticedBy"', async (broken) => {
    const reopenStore = async (closed: ObjectStore): Promise<ObjectStore> =>
      broken.reopen ? broken.reopen(closed) : closed;
    const found = objectStoreConformance({ reopenStore }).find(
      ({ name }) => name === broken.noticedBy,
    );
    const run = found!.run(async () => broken.create());
    await expect(run).rejects.toBeInstanceOf(AssertionError);
    await expect(run).rejects.toHaveProperty('message', expect.stringMatching(/\w+ \w+/));
  });

  test('a legal call is rejected: the message says why, and the cause is kept', async () => {
    const cause = new Error('bucket is on fire');
    const store = new TinyStore();
    store.put = () => Promise.reject(cause);
    const found = objectStoreConformance().find(({ name }) => name.startsWith('put of chunks in'));
    await expect(found!.run(async () => store)).rejects.toMatchObject({
      name: 'AssertionError',
      message: expect.stringContaining('bucket is on fire'),
      cause,
    });
    expect(store.isClosed).toBe(true);
  });

  test('every case of the suite: notices at least one of them', () => {
    const reopenStore = async (closed: ObjectStore): Promise<ObjectStore> => closed;
    const names = objectStoreConformance({ reopenStore }).map(({ name }) => name);
    const noticing = new Set(brokenStores.map(({ noticedBy }) => noticedBy));
    expect(names.filter((name) => !noticing.has(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });

  test('a store that outlives nothing: the cases about opening again are left out', () => {
    const names = objectStoreConformance().map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('open again'))).toEqual([]);
  });
});
