import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';

import { InvalidArgumentError } from '../../src/errors.ts';
import { createStore, type StoreOptions } from '../../src/store/create-store.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';

test('memory: a store in memory, without local files', async () => {
  const store = createStore({ kind: 'memory' });
  expect(store).toBeInstanceOf(MemoryObjectStore);
  expect(store.kind).toBe('memory');
  expect(store.local).toBeUndefined();
});

test('file: objects are files below the path, a relative one too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-create-'));
  try {
    const store = createStore({ kind: 'file', path: relative(process.cwd(), `${directory}/sub`) });
    expect(store.kind).toBe('file');
    await store.open();
    await store.put('a/b', Uint8Array.of(1));
    expect(existsSync(join(directory, 'sub/a/b'))).toBe(true);
    expect(store.local?.path('a/b')).toBe(join(directory, 'sub/a/b'));
    await store.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.each([
  [undefined, 'store options must be an object'],
  [{}, 'store kind must be one of file, memory'],
  [{ kind: 's3' }, 'store kind must be one of file, memory: kind: s3'],
  [{ kind: 'toString' }, 'store kind must be one of file, memory'],
  [{ kind: 'memory', path: '/x' }, 'a memory store has no such option: path'],
  [{ kind: 'file', path: '/x', root: 1, dir: 2 }, 'a file store has no such option: root, dir'],
  [{ kind: 'file' }, 'path of a file store must be a path'],
  [{ kind: 'file', path: '' }, 'path of a file store must be a path'],
  [{ kind: 'file', path: 'a\0b' }, 'path of a file store must be a path'],
])('%j: INVALID_OPTION that says what is wrong', (options, message) => {
  const create = (): unknown => createStore(options as StoreOptions);
  expect(create).toThrow(InvalidArgumentError);
  expect(create).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
  );
});
