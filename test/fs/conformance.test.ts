import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { blockingFileSystem } from '../../src/fs/blocking-file-system.ts';
import type { FileSystem } from '../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';

interface Subject {
  readonly name: string;
  prepare(): Promise<{ fs: FileSystem; directory: string; cleanUp: () => void }>;
}

function onDisk(name: string, fs: FileSystem): Subject {
  return {
    name,
    async prepare() {
      const directory = mkdtempSync(join(tmpdir(), 'tidemark-fs-'));
      return { fs, directory, cleanUp: () => rmSync(directory, { recursive: true }) };
    },
  };
}

const subjects: Subject[] = [
  onDisk('nodeFileSystem', nodeFileSystem),
  onDisk('blockingFileSystem', blockingFileSystem),
  {
    name: 'MemoryFileSystem',
    async prepare() {
      const fs = new MemoryFileSystem();
      await fs.makeDirectory('/tmp/tidemark');
      return { fs, directory: '/tmp/tidemark', cleanUp: () => {} };
    },
  },
];

const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values);

function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + seed) & 0xff;
  return bytes;
}

describe.each(subjects)('$name', (subject) => {
  let fs: FileSystem;
  let directory: string;
  let cleanUp: () => void;

  beforeEach(async () => {
    ({ fs, directory, cleanUp } = await subject.prepare());
  });
  afterEach(() => cleanUp());

  const at = (name: string): string => `${directory}/${name}`;

  async function store(name: string, bytes: Uint8Array): Promise<void> {
    const handle = await fs.open(at(name), 'create');
    await handle.write(bytes, 0);
    await handle.close();
  }

  async function load(name: string): Promise<Uint8Array> {
    const handle = await fs.open(at(name), 'read');
    const bytes = new Uint8Array(await handle.size());
    expect(await handle.read(bytes, 0)).toBe(bytes.length);
    await handle.close();
    return bytes;
  }

  async function code(action: Promise<unknown>): Promise<unknown> {
    return action.then(
      () => 'no error',
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    );
  }

  describe('open', () => {
    test('a missing file: read and write are ENOENT', async () => {
      expect(await code(fs.open(at('none'), 'read'))).toBe('ENOENT');
      expect(await code(fs.open(at('none'), 'write'))).toBe('ENOENT');
    });

    test('create in a missing directory: ENOENT', async () => {
      expect(await code(fs.open(at('none/file'), 'create'))).toBe('ENOENT');
    });

    test('create of what is there, a file or a directory: EEXIST', async () => {
      await store('file', bytesOf(1));
      await fs.makeDirectory(at('sub'));
      expect(await code(fs.open(at('file'), 'create'))).toBe('EEXIST');
      expect(await code(fs.open(at('sub'), 'create'))).toBe('EEXIST');
      expect(await load('file')).toEqual(bytesOf(1));
    });

    test('a path through a file: ENOTDIR in every mode', async () => {
      await store('file', bytesOf(1));
      for (const mode of ['read', 'write', 'create'] as const) {
        expect(await code(fs.open(at('file/below'), mode))).toBe('ENOTDIR');
      }
    });

    test('a directory: EISDIR, for reading at the latest when it is read', async () => {
      await fs.makeDirectory(at('sub'));
      expect(await code(fs.open(at('sub'), 'write'))).toBe('EISDIR');
      const reading = fs.open(at('sub'), 'read').then(async (handle) => {
        await handle.read(new Uint8Array(1), 0).finally(() => handle.close());
      });
      expect(await code(reading)).toBe('EISDIR');
    });

    test('write of a file that is there: keeps its bytes', async () => {
      await store('file', bytesOf(1, 2, 3));
      const handle = await fs.open(at('file'), 'write');
      await handle.write(bytesOf(9), 1);
      await handle.close();
      expect(await load('file')).toEqual(bytesOf(1, 9, 3));
    });

    test('names in Unicode: kept and listed as given', async () => {
      const names = ['zażółć', '状態', 'état-🌊'];
      for (const name of names) await store(name, pattern(3));
      expect(await fs.list(directory)).toEqual(names.toSorted());
      for (const name of names) expect(await load(name)).toEqual(pattern(3));
    });
  });

  describe('read', () => {
    test('across the end: the bytes up to it, and the rest of the target untouched', async () => {
      await store('file', bytesOf(1, 2, 3, 4, 5));
      const handle = await fs.open(at('file'), 'read');
      const target = bytesOf(9, 9, 9, 9);
      expect(await handle.read(target, 3)).toBe(2);
      expect(target).toEqual(bytesOf(4, 5, 9, 9));
      await handle.close();
    });

    test('at the end and behind it: 0', async () => {
      await store('file', bytesOf(1, 2));
      const handle = await fs.open(at('file'), 'read');
      expect(await handle.read(new Uint8Array(4), 2)).toBe(0);
      expect(await handle.read(new Uint8Array(4), 1_000_000)).toBe(0);
      expect(await handle.read(new Uint8Array(0), 0)).toBe(0);
      await handle.close();
    });

    test('into part of a buffer: nothing outside of it changes', async () => {
      await store('file', bytesOf(1, 2, 3));
      const handle = await fs.open(at('file'), 'read');
      const whole = new Uint8Array(6);
      await handle.read(whole.subarray(2, 4), 1);
      expect(whole).toEqual(bytesOf(0, 0, 2, 3, 0, 0));
      await handle.close();
    });

    test('into shared memory: the bytes are there', async () => {
      await store('file', pattern(5000));
      const handle = await fs.open(at('file'), 'read');
      const target = new Uint8Array(new SharedArrayBuffer(5000));
      expect(await handle.read(target, 0)).toBe(5000);
      expect(Uint8Array.from(target)).toEqual(pattern(5000));
      await handle.close();
    });

    test('a position that is no offset: EINVAL', async () => {
      await store('file', bytesOf(1));
      const handle = await fs.open(at('file'), 'read');
      for (const position of [-1, 0.5, Number.NaN, 2 ** 53]) {
        expect(await code(handle.read(new Uint8Array(1), position))).toBe('EINVAL');
      }
      await handle.close();
    });
  });

  describe('write', () => {
    test('many megabytes at once: read back the same', async () => {
      const bytes = pattern(9 * 1024 * 1024 + 17);
      await store('file', bytes);
      expect(Buffer.compare(await load('file'), bytes)).toBe(0);
    });

    test('more buffers than one system call takes, empty ones among them: in order', async () => {
      const sources = Array.from({ length: 5000 }, (_, i) => pattern(i % 7, i));
      const handle = await fs.open(at('file'), 'create');
      await handle.write(bytesOf(7, 7), 0);
      await handle.write(sources, 2);
      await handle.close();
      const expected = Buffer.concat([bytesOf(7, 7), ...sources]);
      expect(Buffer.compare(await load('file'), expected)).toBe(0);
    });

    test('thousands of empty buffers before one with bytes: the bytes are written', async () => {
      const sources = [...Array.from({ length: 3000 }, () => new Uint8Array(0)), bytesOf(1, 2)];
      const handle = await fs.open(at('file'), 'create');
      await handle.write(sources, 0);
      await handle.close();
      expect(await load('file')).toEqual(bytesOf(1, 2));
    });

    test('nothing, as no buffer, an empty one or empty ones: the file stays as it is', async () => {
      const handle = await fs.open(at('file'), 'create');
      await handle.write(new Uint8Array(0), 5);
      await handle.write([], 5);
      await handle.write([new Uint8Array(0), new Uint8Array(0)], 5);
      expect(await handle.size()).toBe(0);
      await handle.close();
    });

    test('behind the end: zeros between', async () => {
      await store('file', bytesOf(1));
      const handle = await fs.open(at('file'), 'write');
      await handle.write(bytesOf(2), 4);
      await handle.close();
      expect(await load('file')).toEqual(bytesOf(1, 0, 0, 0, 2));
    });

    test('from shared memory, alone and among others: the bytes are in the file', async () => {
      const shared = new Uint8Array(new SharedArrayBuffer(3000));
      shared.set(pattern(3000));
      const handle = await fs.open(at('file'), 'create');
      await handle.write(shared, 0);
      await handle.write([shared.subarray(1, 4), bytesOf(8), shared.subarray(0, 2)], 3000);
      await handle.close();
      const expected = Buffer.concat([
        pattern(3000),
        pattern(3000).subarray(1, 4),
        bytesOf(8),
        pattern(3000).subarray(0, 2),
      ]);
      expect(Buffer.compare(await load('file'), expected)).toBe(0);
    });

    test('writes that overlap in time at different positions: all are there', async () => {
      const handle = await fs.open(at('file'), 'create');
      const parts = Array.from({ length: 20 }, (_, i) => pattern(10_000, i));
      await Promise.all(parts.map((part, i) => handle.write(part, i * 10_000)));
      await handle.close();
      expect(Buffer.compare(await load('file'), Buffer.concat(parts))).toBe(0);
    });

    test('through a handle opened for reading: EBADF, truncate EINVAL', async () => {
      await store('file', bytesOf(1));
      const handle = await fs.open(at('file'), 'read');
      expect(await code(handle.write(bytesOf(2), 0))).toBe('EBADF');
      expect(await code(handle.truncate(0))).toBe('EINVAL');
      await handle.close();
      expect(await load('file')).toEqual(bytesOf(1));
    });

    test('a position that is no offset: EINVAL, for one buffer and for several', async () => {
      const handle = await fs.open(at('file'), 'create');
      for (const position of [-1, 0.5, Number.NaN, 2 ** 53]) {
        expect(await code(handle.write(bytesOf(1), position))).toBe('EINVAL');
        expect(await code(handle.write([bytesOf(1)], position))).toBe('EINVAL');
        expect(await code(handle.truncate(position))).toBe('EINVAL');
      }
      expect(await handle.size()).toBe(0);
      await handle.close();
    });
  });

  describe('truncate, size, sync', () => {
    test('cut and grown again: what was cut reads as zeros', async () => {
      const handle = await fs.open(at('file'), 'create');
      await handle.write(pattern(3 * 1024 * 1024), 0);
      await handle.truncate(1024 * 1024 + 5);
      expect(await handle.size()).toBe(1024 * 1024 + 5);
      await handle.truncate(2 * 1024 * 1024);
      const tail = new Uint8Array(1024 * 1024 - 5);
      expect(await handle.read(tail, 1024 * 1024 + 5)).toBe(tail.length);
      expect(tail.every((byte) => byte === 0)).toBe(true);
      const kept = new Uint8Array(1024 * 1024 + 5);
      await handle.read(kept, 0);
      expect(Buffer.compare(kept, pattern(3 * 1024 * 1024).subarray(0, kept.length))).toBe(0);
      await handle.close();
    });

    test('cut to nothing: the size is 0', async () => {
      const handle = await fs.open(at('file'), 'create');
      await handle.write(pattern(10), 0);
      await handle.truncate(0);
      expect(await handle.size()).toBe(0);
      expect(await handle.read(new Uint8Array(4), 0)).toBe(0);
      await handle.close();
    });

    test('sync of a written and of an unwritten file: resolves', async () => {
      const handle = await fs.open(at('file'), 'create');
      await handle.sync();
      await handle.write(pattern(10), 0);
      await handle.sync();
      await handle.close();
      expect(await load('file')).toEqual(pattern(10));
    });
  });

  describe('close', () => {
    test('every call on a closed handle: EBADF, even when its number is used again', async () => {
      const closed = await fs.open(at('closed'), 'create');
      await closed.close();
      const other = await fs.open(at('other'), 'create');
      expect(await code(closed.write(bytesOf(1), 0))).toBe('EBADF');
      expect(await code(closed.write([bytesOf(1)], 0))).toBe('EBADF');
      expect(await code(closed.read(new Uint8Array(1), 0))).toBe('EBADF');
      expect(await code(closed.sync())).toBe('EBADF');
      expect(await code(closed.size())).toBe('EBADF');
      expect(await code(closed.truncate(0))).toBe('EBADF');
      expect(await code(closed.close())).toBe('EBADF');
      expect(await other.size()).toBe(0);
      await other.close();
    });

    test('close while writes are under way: they end first, whole', async () => {
      const handle = await fs.open(at('file'), 'create');
      const writes = Array.from({ length: 8 }, (_, i) =>
        handle.write(pattern(50_000, i), i * 50_000),
      );
      await handle.close();
      await Promise.all(writes);
      const expected = Buffer.concat(Array.from({ length: 8 }, (_, i) => pattern(50_000, i)));
      expect(Buffer.compare(await load('file'), expected)).toBe(0);
    });
  });

  describe('directories', () => {
    test('list: names of files and directories, in order of code units', async () => {
      for (const name of ['b', 'a', 'B', 'a-', 'a.', '_']) await store(name, bytesOf());
      await fs.makeDirectory(at('aa'));
      expect(await fs.list(directory)).toEqual(['B', '_', 'a', 'a-', 'a.', 'aa', 'b']);
    });

    test('list of an empty directory: nothing', async () => {
      expect(await fs.list(directory)).toEqual([]);
    });

    test('list of nothing: ENOENT; of a file: ENOTDIR', async () => {
      await store('file', bytesOf());
      expect(await code(fs.list(at('none')))).toBe('ENOENT');
      expect(await code(fs.list(at('file')))).toBe('ENOTDIR');
    });

    test('makeDirectory: makes missing parents, and what is there already is fine', async () => {
      await fs.makeDirectory(at('a/b/c'));
      await fs.makeDirectory(at('a/b/c'));
      await fs.makeDirectory(at('a/b/d'));
      expect(await fs.list(at('a/b'))).toEqual(['c', 'd']);
    });

    test('makeDirectory by many at once: all succeed', async () => {
      await Promise.all(Array.from({ length: 8 }, () => fs.makeDirectory(at('a/b/c'))));
      expect(await fs.stat(at('a/b/c'))).toMatchObject({ kind: 'directory' });
    });

    test('makeDirectory where a file is: EEXIST; below a file: ENOTDIR', async () => {
      await store('file', bytesOf(1));
      expect(await code(fs.makeDirectory(at('file')))).toBe('EEXIST');
      expect(await code(fs.makeDirectory(at('file/a')))).toBe('ENOTDIR');
      expect(await code(fs.makeDirectory(at('file/a/b')))).toBe('ENOTDIR');
      expect(await load('file')).toEqual(bytesOf(1));
    });

    test('syncDirectory: resolves; ENOENT for nothing, ENOTDIR for a file', async () => {
      await store('file', bytesOf());
      await fs.syncDirectory(directory);
      expect(await code(fs.syncDirectory(at('none')))).toBe('ENOENT');
      expect(await code(fs.syncDirectory(at('file')))).toBe('ENOTDIR');
    });
  });

  describe('names', () => {
    test('rename: the file has the new name only', async () => {
      await store('old', bytesOf(1));
      await fs.rename(at('old'), at('new'));
      expect(await fs.list(directory)).toEqual(['new']);
      expect(await load('new')).toEqual(bytesOf(1));
    });

    test('rename onto a file: takes its place, and open handles keep the old one', async () => {
      await store('old', bytesOf(1));
      await store('new', bytesOf(2, 2));
      const replaced = await fs.open(at('new'), 'read');
      await fs.rename(at('old'), at('new'));
      expect(await load('new')).toEqual(bytesOf(1));
      expect(await replaced.size()).toBe(2);
      await replaced.close();
    });

    test('rename of a file to itself or to its other name: both stay', async () => {
      await store('a', bytesOf(1));
      await fs.link(at('a'), at('b'));
      await fs.rename(at('a'), at('a'));
      await fs.rename(at('a'), at('b'));
      expect(await fs.list(directory)).toEqual(['a', 'b']);
    });

    test('rename of nothing, or into nothing: ENOENT', async () => {
      await store('file', bytesOf(1));
      expect(await code(fs.rename(at('none'), at('new')))).toBe('ENOENT');
      expect(await code(fs.rename(at('file'), at('none/new')))).toBe('ENOENT');
      expect(await load('file')).toEqual(bytesOf(1));
    });

    test('rename mixing files and directories: EISDIR, ENOTDIR', async () => {
      await store('file', bytesOf(1));
      await fs.makeDirectory(at('sub'));
      expect(await code(fs.rename(at('file'), at('sub')))).toBe('EISDIR');
      expect(await code(fs.rename(at('sub'), at('file')))).toBe('ENOTDIR');
      expect(await code(fs.rename(at('file'), at('file/a')))).toBe('ENOTDIR');
    });

    test('rename of a directory: moves what is in it', async () => {
      await fs.makeDirectory(at('sub/deep'));
      await store('sub/deep/file', bytesOf(1));
      await fs.makeDirectory(at('empty'));
      await fs.rename(at('sub'), at('empty'));
      expect(await fs.list(directory)).toEqual(['empty']);
      expect(await load('empty/deep/file')).toEqual(bytesOf(1));
    });

    test('rename of a directory onto a full one: ENOTEMPTY; into itself: EINVAL', async () => {
      await fs.makeDirectory(at('a/b'));
      await fs.makeDirectory(at('full/x'));
      expect(await code(fs.rename(at('a'), at('full')))).toBe('ENOTEMPTY');
      expect(await code(fs.rename(at('a'), at('a/b/c')))).toBe('EINVAL');
    });

    test('link: a second name of the same file', async () => {
      await store('a', bytesOf(1));
      await fs.link(at('a'), at('b'));
      const handle = await fs.open(at('b'), 'write');
      await handle.write(bytesOf(2), 0);
      await handle.close();
      expect(await load('a')).toEqual(bytesOf(2));
    });

    test('link: the bytes live until the last name goes', async () => {
      await store('a', bytesOf(1));
      await fs.link(at('a'), at('b'));
      await fs.unlink(at('a'));
      expect(await load('b')).toEqual(bytesOf(1));
    });

    test('link onto what is there: EEXIST; of nothing: ENOENT; of a directory: EPERM', async () => {
      await store('a', bytesOf(1));
      await store('b', bytesOf(2));
      await fs.makeDirectory(at('sub'));
      expect(await code(fs.link(at('a'), at('b')))).toBe('EEXIST');
      expect(await code(fs.link(at('a'), at('sub')))).toBe('EEXIST');
      expect(await code(fs.link(at('none'), at('c')))).toBe('ENOENT');
      expect(await code(fs.link(at('a'), at('none/c')))).toBe('ENOENT');
      expect(await code(fs.link(at('sub'), at('c')))).toBe('EPERM');
      expect(await load('b')).toEqual(bytesOf(2));
    });

    test('racing links to one name: exactly one succeeds', async () => {
      for (let i = 0; i < 8; i++) await store(`source-${i}`, bytesOf(i));
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, i) => code(fs.link(at(`source-${i}`), at('target')))),
      );
      expect(results.filter((result) => result === 'no error')).toHaveLength(1);
      expect(results.filter((result) => result === 'EEXIST')).toHaveLength(7);
      expect(await load('target')).toEqual(bytesOf(results.indexOf('no error')));
    });

    test('unlink: the name is gone, and an open handle goes on reading and writing', async () => {
      await store('file', bytesOf(1, 2));
      const handle = await fs.open(at('file'), 'write');
      await fs.unlink(at('file'));
      expect(await fs.list(directory)).toEqual([]);
      await handle.write(bytesOf(3), 2);
      const bytes = new Uint8Array(3);
      expect(await handle.read(bytes, 0)).toBe(3);
      expect(bytes).toEqual(bytesOf(1, 2, 3));
      await store('file', bytesOf(9));
      expect(await handle.size()).toBe(3);
      await handle.close();
      expect(await load('file')).toEqual(bytesOf(9));
    });

    test('unlink of nothing: ENOENT; through a file: ENOTDIR', async () => {
      await store('file', bytesOf());
      expect(await code(fs.unlink(at('none')))).toBe('ENOENT');
      expect(await code(fs.unlink(at('file/x')))).toBe('ENOTDIR');
    });

    test.skipIf(process.platform === 'darwin')('unlink of a directory: EISDIR', async () => {
      await fs.makeDirectory(at('sub'));
      expect(await code(fs.unlink(at('sub')))).toBe('EISDIR');
    });
  });

  describe('stat and freeBytes', () => {
    test('stat: kind and size; undefined for nothing; ENOTDIR through a file', async () => {
      await store('file', pattern(77));
      expect(await fs.stat(at('file'))).toEqual({ kind: 'file', bytes: 77 });
      expect(await fs.stat(directory)).toMatchObject({ kind: 'directory' });
      expect(await fs.stat(at('none'))).toBeUndefined();
      expect(await fs.stat(at('none/deeper'))).toBeUndefined();
      expect(await code(fs.stat(at('file/x')))).toBe('ENOTDIR');
    });

    test('freeBytes: a positive count for what is there, an error for nothing', () => {
      expect(fs.freeBytes(directory)).toBeGreaterThan(0);
      expect(() => fs.freeBytes(at('none'))).toThrow(/ENOENT/);
    });
  });

  describe('lock', () => {
    test('held: a second one gets undefined, until it is released', async () => {
      const first = await fs.lock(at('LOCK'));
      expect(first).toBeDefined();
      expect(await fs.lock(at('LOCK'))).toBeUndefined();
      await first!.release();
      const second = await fs.lock(at('LOCK'));
      expect(second).toBeDefined();
      await first!.release();
      expect(await fs.lock(at('LOCK'))).toBeUndefined();
      await second!.release();
    });

    test('racing: exactly one holds it', async () => {
      const locks = await Promise.all(Array.from({ length: 8 }, () => fs.lock(at('LOCK'))));
      const held = locks.filter((lock) => lock !== undefined);
      expect(held).toHaveLength(1);
      await held[0]!.release();
    });

    test('other files: other locks', async () => {
      const a = await fs.lock(at('a'));
      const b = await fs.lock(at('b'));
      expect(a).toBeDefined();
      expect(b).toBeDefined();
      await a!.release();
      await b!.release();
    });

    test('released: the file stays, and what it held is kept', async () => {
      await store('LOCK', bytesOf(1, 2));
      const lock = await fs.lock(at('LOCK'));
      await lock!.release();
      expect(await load('LOCK')).toEqual(bytesOf(1, 2));
    });

    test('another handle of the file opened and closed: the lock holds', async () => {
      const lock = await fs.lock(at('LOCK'));
      await (await fs.open(at('LOCK'), 'write')).close();
      expect(await fs.lock(at('LOCK'))).toBeUndefined();
      await lock!.release();
    });

    test('in a missing directory: ENOENT; on a directory: EISDIR', async () => {
      await fs.makeDirectory(at('sub'));
      expect(await code(fs.lock(at('none/LOCK')))).toBe('ENOENT');
      expect(await code(fs.lock(at('sub')))).toBe('EISDIR');
    });
  });
});
