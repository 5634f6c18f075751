import { beforeEach, describe, expect, test } from 'vitest';

import { ClosedError, InvalidArgumentError, StorageError } from '../../src/errors.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import { FaultyFileSystem, type NotedCall } from './faulty-file-system.ts';

const bytes = Uint8Array.of(1, 2, 3);

let memory: MemoryFileSystem;
let fs: FaultyFileSystem;
let store: FileObjectStore;

beforeEach(async () => {
  memory = new MemoryFileSystem();
  fs = new FaultyFileSystem(memory);
  store = new FileObjectStore(fs, '/objects');
  await store.open();
  fs.notes.length = 0;
});

/** Calls since the last look, without those that change nothing. */
function changes(): string[] {
  const quiet = /^(stat|list|read|size|close) /;
  return fs.notes.splice(0).filter((note) => !quiet.test(note));
}

function failOnce(call: NotedCall, code: string, where = ''): void {
  let done = false;
  fs.fault = (actual, path) => {
    if (done || actual !== call || !path.includes(where)) return undefined;
    done = true;
    return code;
  };
}

const staged = (): Promise<string[]> => memory.list('/objects/~staging');

describe('open', () => {
  test('nothing there: the root is made, and its parent is synced again', async () => {
    const fresh = new FileObjectStore(fs, '/a/b/');
    await fresh.open();
    expect(changes()).toEqual([
      'makeDirectory /a/b',
      'syncDirectory /a',
      'makeDirectory /a/b/~staging',
    ]);
  });

  test('a root with objects in it: no directory above it is touched', async () => {
    const again = new FileObjectStore(fs, '/objects');
    await again.open();
    expect(changes()).toEqual(['makeDirectory /objects', 'makeDirectory /objects/~staging']);
  });

  test.each(['makeDirectory', 'list', 'syncDirectory'] as const)(
    'the file system fails at %s: IO with the cause',
    async (call) => {
      failOnce(call, 'EROFS');
      const opening = new FileObjectStore(fs, '/new').open();
      await expect(opening).rejects.toBeInstanceOf(StorageError);
      await expect(opening).rejects.toMatchObject({ code: 'IO', cause: { code: 'EROFS' } });
    },
  );
});

describe('order of what makes an object durable', () => {
  test('put: staged file, write, sync, rename, directory sync', async () => {
    await store.put('name', bytes);
    expect(changes()).toEqual([
      'open /objects/~staging/*',
      'write /objects/~staging/*',
      'sync /objects/~staging/*',
      'makeDirectory /objects',
      'rename /objects/name',
      'syncDirectory /objects',
    ]);
  });

  test('put below new directories: each of them is synced into its parent, once', async () => {
    await store.put('a/b/name', bytes);
    expect(changes().slice(3)).toEqual([
      'makeDirectory /objects/a/b',
      'syncDirectory /objects/a',
      'syncDirectory /objects',
      'rename /objects/a/b/name',
      'syncDirectory /objects/a/b',
    ]);
    await store.put('a/b/other', bytes);
    expect(changes().slice(3)).toEqual(['rename /objects/a/b/other', 'syncDirectory /objects/a/b']);
  });

  test('put below directories that a crash may have left unsynced: synced all the same', async () => {
    await memory.makeDirectory('/objects/a');
    await store.put('a/name', bytes);
    expect(changes()).toContain('syncDirectory /objects');
  });

  test('putIfAbsent: staged file, write, sync, link, directory sync, unlink', async () => {
    await store.putIfAbsent('name', bytes);
    expect(changes()).toEqual([
      'open /objects/~staging/*',
      'write /objects/~staging/*',
      'sync /objects/~staging/*',
      'makeDirectory /objects',
      'link /objects/name',
      'syncDirectory /objects',
      'unlink /objects/~staging/*',
    ]);
  });

  test('putIfAbsent of what is there: the directory is synced before it says so', async () => {
    await memory.link(await written('/other'), '/objects/name');
    changes();
    expect(await store.putIfAbsent('name', bytes)).toBe(false);
    expect(changes().slice(-3)).toEqual([
      'link /objects/name',
      'syncDirectory /objects',
      'unlink /objects/~staging/*',
    ]);
  });

  test('delete: unlink, directory sync, also when there is nothing', async () => {
    await store.put('name', bytes);
    changes();
    await store.delete('name');
    expect(changes()).toEqual(['unlink /objects/name', 'syncDirectory /objects']);
    await store.delete('name');
    expect(changes()).toEqual(['unlink /objects/name', 'syncDirectory /objects']);
  });

  test('list: what an earlier process left is synced before it is listed, once', async () => {
    await memory.makeDirectory('/objects/a');
    await memory.link(await written('/other'), '/objects/a/name');
    expect(await store.list('')).toEqual([{ name: 'a/name', bytes: 3 }]);
    expect(changes()).toEqual(['syncDirectory /objects', 'syncDirectory /objects/a']);
    await store.list('');
    expect(changes()).toEqual([]);
  });

  test('list with a prefix: only directories that can hold such names are read', async () => {
    for (const name of ['a/x', 'ab/x', 'b/x', 'b/c/x']) await store.put(name, bytes);
    fs.notes.length = 0;
    await store.list('a');
    expect(fs.notes.filter((note) => note.startsWith('list'))).toEqual([
      'list /objects',
      'list /objects/a',
      'list /objects/ab',
    ]);
    fs.notes.length = 0;
    await store.list('b/c/');
    expect(fs.notes.filter((note) => note.startsWith('list'))).toEqual(['list /objects/b/c']);
  });
});

describe('failures of the file system', () => {
  test.each([
    ['open', 'EMFILE', 'IO'],
    ['write', 'ENOSPC', 'NO_SPACE'],
    ['write', 'EDQUOT', 'NO_SPACE'],
    ['sync', 'EIO', 'IO'],
    ['close', 'EIO', 'IO'],
    ['makeDirectory', 'EACCES', 'IO'],
    ['rename', 'EIO', 'IO'],
  ] as const)(
    'put, %s fails with %s: %s, no object and no staged file',
    async (call, errno, code) => {
      failOnce(call, errno);
      const put = store.put('a/name', bytes);
      await expect(put).rejects.toBeInstanceOf(StorageError);
      await expect(put).rejects.toMatchObject({ code, details: { errno }, cause: { code: errno } });
      expect(await store.get('a/name')).toBeUndefined();
      expect(await staged()).toEqual([]);
      expect(fs.openHandles).toBe(0);
      await store.put('a/name', bytes);
      expect(await store.get('a/name')).toEqual(bytes);
    },
  );

  test.each([
    ['open', 'EMFILE', 'IO'],
    ['write', 'ENOSPC', 'NO_SPACE'],
    ['sync', 'EIO', 'IO'],
    ['makeDirectory', 'EACCES', 'IO'],
    ['link', 'EMLINK', 'IO'],
  ] as const)('putIfAbsent, %s fails with %s: %s, and nothing stays', async (call, errno, code) => {
    failOnce(call, errno);
    const put = store.putIfAbsent('a/name', bytes);
    await expect(put).rejects.toMatchObject({ code, cause: { code: errno } });
    expect(await store.get('a/name')).toBeUndefined();
    expect(await staged()).toEqual([]);
    expect(await store.putIfAbsent('a/name', bytes)).toBe(true);
  });

  test('the directory cannot be synced: put, putIfAbsent, delete and list do not resolve', async () => {
    await store.put('name', bytes);
    const syncs = (): void => failOnce('syncDirectory', 'EIO');
    syncs();
    await expect(store.put('other', bytes)).rejects.toMatchObject({ code: 'IO' });
    syncs();
    await expect(store.putIfAbsent('third', bytes)).rejects.toMatchObject({ code: 'IO' });
    syncs();
    await expect(store.delete('name')).rejects.toMatchObject({ code: 'IO' });
    syncs();
    await expect(store.list('')).rejects.toMatchObject({ code: 'IO' });
  });

  test.each(['EACCES', 'EIO', 'EMFILE'])(
    'get, open fails with %s: an error, not absence',
    async (errno) => {
      await store.put('name', bytes);
      failOnce('open', errno);
      await expect(store.get('name')).rejects.toMatchObject({ code: 'IO', cause: { code: errno } });
      expect(await store.get('name')).toEqual(bytes);
    },
  );

  test.each(['size', 'read', 'close'] as const)(
    'get, %s fails: IO, and the file is closed',
    async (call) => {
      await store.put('name', bytes);
      failOnce(call, 'EIO');
      await expect(store.get('name')).rejects.toMatchObject({ code: 'IO' });
      expect(fs.openHandles).toBe(0);
    },
  );

  test('get, the file ends before its size: IO, not fewer bytes', async () => {
    await store.put('name', bytes);
    fs.readBytesMax = 2;
    await expect(store.get('name')).rejects.toMatchObject({
      code: 'IO',
      details: { expected: 3, actual: 2 },
    });
  });

  test.each(['list', 'stat'] as const)('list, %s fails: IO, not a shorter list', async (call) => {
    await store.put('name', bytes);
    failOnce(call, 'EACCES');
    await expect(store.list('')).rejects.toMatchObject({ code: 'IO', cause: { code: 'EACCES' } });
  });

  test('delete, unlink fails: IO, and the object stays', async () => {
    await store.put('name', bytes);
    failOnce('unlink', 'EPERM');
    await expect(store.delete('name')).rejects.toMatchObject({ code: 'IO' });
    expect(await store.get('name')).toEqual(bytes);
  });

  test('a staged file cannot be removed: what was written counts, the leftover is found later', async () => {
    failOnce('unlink', 'EIO', '~staging');
    expect(await store.putIfAbsent('name', bytes)).toBe(true);
    expect(await staged()).toHaveLength(1);
    expect(await new FileObjectStore(memory, '/objects').local.removeStaged()).toBe(1);
  });

  test('an object vanishes while the list is made: left out', async () => {
    await store.put('a', bytes);
    await store.put('b', bytes);
    fs.fault = (call, path) => {
      if (call === 'stat' && path === '/objects/a') void memory.unlink('/objects/a');
      return undefined;
    };
    expect(await store.list('')).toEqual([{ name: 'b', bytes: 3 }]);
  });
});

describe('names and directories', () => {
  test('a name that is a directory of another: INVALID_NAME by put and putIfAbsent', async () => {
    await store.put('a/b', bytes);
    for (const name of ['a', 'a/b/c', 'a/b/c/d']) {
      for (const put of [store.put(name, bytes), store.putIfAbsent(name, bytes)]) {
        await expect(put).rejects.toBeInstanceOf(InvalidArgumentError);
        await expect(put).rejects.toMatchObject({ code: 'INVALID_NAME' });
      }
    }
    expect(await store.list('')).toEqual([{ name: 'a/b', bytes: 3 }]);
    expect(await staged()).toEqual([]);
  });

  test('files that are no objects: not listed', async () => {
    await written('/objects/.DS Store');
    await written('/objects/a~');
    await store.put('a', bytes);
    expect(await store.list('')).toEqual([{ name: 'a', bytes: 3 }]);
  });

  test('data that is no bytes: INVALID_CALL, and nothing stays', async () => {
    async function* texts(): AsyncGenerator<Uint8Array> {
      yield bytes;
      yield 'text' as unknown as Uint8Array;
    }
    await expect(store.put('a', texts())).rejects.toMatchObject({ code: 'INVALID_CALL' });
    const text = 'text' as unknown as Uint8Array;
    await expect(store.putIfAbsent('a', text)).rejects.toMatchObject({ code: 'INVALID_CALL' });
    expect(await store.list('')).toEqual([]);
    expect(await staged()).toEqual([]);
  });
});

describe('local', () => {
  test('path: where the object is, there or not', async () => {
    expect(store.local.path('a/name')).toBe('/objects/a/name');
    expect(() => store.local.path('../name')).toThrow(InvalidArgumentError);
  });

  test('stagingPath: new each time, on a directory that exists; publish makes it an object', async () => {
    const [path, other] = [store.local.stagingPath('delta-7'), store.local.stagingPath('delta-7')];
    expect(path).not.toBe(other);
    await written(path);
    expect(await store.list('')).toEqual([]);
    changes();
    await store.local.publish(path, 'a/name');
    expect(changes()).toEqual([
      'makeDirectory /objects/a',
      'syncDirectory /objects',
      'rename /objects/a/name',
      'syncDirectory /objects/a',
    ]);
    expect(await store.get('a/name')).toEqual(bytes);
    expect(await staged()).toEqual([]);
  });

  test('publish of what is not there: IO', async () => {
    const path = store.local.stagingPath('x');
    await expect(store.local.publish(path, 'a')).rejects.toMatchObject({
      code: 'IO',
      cause: { code: 'ENOENT' },
    });
  });

  test.each(['', 'a/b', '..\0', 'x'.repeat(129)])('label %j: INVALID_NAME', (label) => {
    expect(() => store.local.stagingPath(label)).toThrow(InvalidArgumentError);
  });

  test('removeStaged: files of earlier instances go, those of this one stay', async () => {
    const earlier = new FileObjectStore(memory, '/objects');
    await written(earlier.local.stagingPath('left'));
    await written(earlier.local.stagingPath('left'));
    const own = await written(store.local.stagingPath('mine'));
    expect(await store.local.removeStaged()).toBe(2);
    expect(await staged()).toEqual([own.slice('/objects/~staging/'.length)]);
    expect(await store.local.removeStaged()).toBe(0);
  });

  test('removeStaged, one vanishes meanwhile or cannot be removed: skipped, IO', async () => {
    const earlier = new FileObjectStore(memory, '/objects');
    await written(earlier.local.stagingPath('left'));
    failOnce('unlink', 'ENOENT');
    expect(await store.local.removeStaged()).toBe(0);
    failOnce('unlink', 'EACCES');
    await expect(store.local.removeStaged()).rejects.toMatchObject({ code: 'IO' });
    failOnce('list', 'EIO');
    await expect(store.local.removeStaged()).rejects.toMatchObject({ code: 'IO' });
    expect(await store.local.removeStaged()).toBe(1);
  });

  test('instances of equal random bytes: the paths show that they come from them', () => {
    const random = { fill: (target: Uint8Array) => void target.fill(0xab) };
    const seeded = new FileObjectStore(memory, '/objects', random);
    expect(seeded.local.stagingPath('x')).toBe('/objects/~staging/abababababababab-1-x');
  });
});

test('close: later calls and publishing reject with CLOSED, a second close does not', async () => {
  const path = await written(store.local.stagingPath('x'));
  await store.close();
  await store.close();
  await expect(store.open()).rejects.toBeInstanceOf(ClosedError);
  await expect(store.get('a')).rejects.toMatchObject({ code: 'CLOSED' });
  await expect(store.local.publish(path, 'a')).rejects.toMatchObject({ code: 'CLOSED' });
});

/** Writes a file with the bytes and gives back its path. */
async function written(path: string): Promise<string> {
  const handle = await memory.open(path, 'create');
  await handle.write(bytes, 0);
  await handle.close();
  return path;
}
