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
  [undefined, 'options must be an object', undefined],
  [{}, 'option kind must be one of file, memory', 'kind'],
  [{ kind: 's3' }, 'option kind must be one of file, memory: "s3"', 'kind'],
  [{ kind: 'toString' }, 'option kind must be one of file, memory', 'kind'],
  [{ kind: 'memory', path: '/x' }, 'option path is unknown, there are kind', 'path'],
  [{ kind: 'file', path: '/x', root: 1 }, 'option root is unknown, there are kind, path', 'root'],
  [{ kind: 'file' }, 'option path must be the path of a directory', 'path'],
  [{ kind: 'file', path: '' }, 'option path must be the path of a directory', 'path'],
  [{ kind: 'file', path: 'a\0b' }, 'option path must be the path of a directory', 'path'],
])('%j: INVALID_OPTION that says what is wrong', (options, message, option) => {
  const create = (): unknown => createStore(options as StoreOptions);
  expect(create).toThrow(InvalidArgumentError);
  const [code, text] = ['INVALID_OPTION', expect.stringContaining(message)];
  expect(create).toThrow(expect.objectContaining({ code, message: text }));
  const details: unknown = option === undefined ? {} : expect.objectContaining({ option });
  expect(create).toThrow(expect.objectContaining({ details }));
});
