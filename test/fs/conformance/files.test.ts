import { describe, expect, test } from 'vitest';

import { bytesOf, codeOf, describeFileSystems, pattern } from './subjects.ts';

describeFileSystems((subject) => {
  describe('open', () => {
    test('a missing file: read and write are ENOENT', async () => {
      expect(await codeOf(subject.fs.open(subject.at('none'), 'read'))).toBe('ENOENT');
      expect(await codeOf(subject.fs.open(subject.at('none'), 'write'))).toBe('ENOENT');
    });

    test('create in a missing directory: ENOENT', async () => {
      expect(await codeOf(subject.fs.open(subject.at('none/file'), 'create'))).toBe('ENOENT');
    });

    test('create of what is there, a file or a directory: EEXIST', async () => {
      await subject.store('file', bytesOf(1));
      await subject.fs.makeDirectory(subject.at('sub'));
      expect(await codeOf(subject.fs.open(subject.at('file'), 'create'))).toBe('EEXIST');
      expect(await codeOf(subject.fs.open(subject.at('sub'), 'create'))).toBe('EEXIST');
      expect(await subject.load('file')).toEqual(bytesOf(1));
    });

    test('a path through a file: ENOTDIR in every mode', async () => {
      await subject.store('file', bytesOf(1));
      for (const mode of ['read', 'write', 'create'] as const) {
        expect(await codeOf(subject.fs.open(subject.at('file/below'), mode))).toBe('ENOTDIR');
      }
    });

    test('a directory: EISDIR, for reading and for writing', async () => {
      await subject.fs.makeDirectory(subject.at('sub'));
      expect(await codeOf(subject.fs.open(subject.at('sub'), 'write'))).toBe('EISDIR');
      expect(await codeOf(subject.fs.open(subject.at('sub'), 'read'))).toBe('EISDIR');
    });

    test('write of a file that is there: keeps its bytes', async () => {
      await subject.store('file', bytesOf(1, 2, 3));
      const handle = await subject.fs.open(subject.at('file'), 'write');
      await handle.write(bytesOf(9), 1);
      await handle.close();
      expect(await subject.load('file')).toEqual(bytesOf(1, 9, 3));
    });

    test('names in Unicode: kept and listed as given', async () => {
      const names = ['zażółć', '状態', 'état-🌊'];
      for (const name of names) await subject.store(name, pattern(3));
      expect(await subject.fs.list(subject.directory)).toEqual(names.toSorted());
      for (const name of names) expect(await subject.load(name)).toEqual(pattern(3));
    });
  });

  describe('read', () => {
    test('readNow: as read does, in the turn of the call', async () => {
      await subject.store('file', bytesOf(1, 2, 3, 4, 5));
      const handle = await subject.fs.open(subject.at('file'), 'read');
      const target = bytesOf(9, 9, 9, 9);
      expect(handle.readNow(target, 3)).toBe(2);
      expect(target).toEqual(bytesOf(4, 5, 9, 9));
      expect(handle.readNow(target, 5)).toBe(0);
      expect(() => handle.readNow(target, -1)).toThrow('EINVAL');
      await handle.close();
      expect(() => handle.readNow(target, 0)).toThrow('EBADF');
    });

    test('across the end: the bytes up to it, and the rest of the target untouched', async () => {
      await subject.store('file', bytesOf(1, 2, 3, 4, 5));
      const handle = await subject.fs.open(subject.at('file'), 'read');
      const target = bytesOf(9, 9, 9, 9);
      expect(await handle.read(target, 3)).toBe(2);
      expect(target).toEqual(bytesOf(4, 5, 9, 9));
      await handle.close();
    });

    test('at the end and behind it: 0', async () => {
      await subject.store('file', bytesOf(1, 2));
      const handle = await subject.fs.open(subject.at('file'), 'read');
      expect(await handle.read(new Uint8Array(4), 2)).toBe(0);
      expect(await handle.read(new Uint8Array(4), 1_000_000)).toBe(0);
      expect(await handle.read(new Uint8Array(0), 0)).toBe(0);
      await handle.close();
    });

    test('into part of a buffer: nothing outside of it changes', async () => {
      await subject.store('file', bytesOf(1, 2, 3));
      const handle = await subject.fs.open(subject.at('file'), 'read');
      const whole = new Uint8Array(6);
      await handle.read(whole.subarray(2, 4), 1);
      expect(whole).toEqual(bytesOf(0, 0, 2, 3, 0, 0));
      await handle.close();
    });

    test('into shared memory: the bytes are there', async () => {
      await subject.store('file', pattern(5000));
      const handle = await subject.fs.open(subject.at('file'), 'read');
      const target = new Uint8Array(new SharedArrayBuffer(5000));
      expect(await handle.read(target, 0)).toBe(5000);
      expect(Uint8Array.from(target)).toEqual(pattern(5000));
      await handle.close();
    });

    test('a position that is no offset: EINVAL', async () => {
      await subject.store('file', bytesOf(1));
      const handle = await subject.fs.open(subject.at('file'), 'read');
      for (const position of [-1, 0.5, Number.NaN, 2 ** 53]) {
        expect(await codeOf(handle.read(new Uint8Array(1), position))).toBe('EINVAL');
      }
      await handle.close();
    });
  });

  describe('write', () => {
    test('many megabytes at once: read back the same', async () => {
      const bytes = pattern(9 * 1024 * 1024 + 17);
      await subject.store('file', bytes);
      expect(Buffer.compare(await subject.load('file'), bytes)).toBe(0);
    });

    test('more buffers than one system call takes, empty ones among them: in order', async () => {
      const sources = Array.from({ length: 5000 }, (_, i) => pattern(i % 7, i));
      const handle = await subject.fs.open(subject.at('file'), 'create');
      await handle.write(bytesOf(7, 7), 0);
      await handle.write(sources, 2);
      await handle.close();
      const expected = Buffer.concat([bytesOf(7, 7), ...sources]);
      expect(Buffer.compare(await subject.load('file'), expected)).toBe(0);
    });

    test('thousands of empty buffers before one with bytes: the bytes are written', async () => {
      const sources = [...Array.from({ length: 3000 }, () => new Uint8Array(0)), bytesOf(1, 2)];
      const handle = await subject.fs.open(subject.at('file'), 'create');
      await handle.write(sources, 0);
      await handle.close();
      expect(await subject.load('file')).toEqual(bytesOf(1, 2));
    });

    test('nothing, as no buffer, an empty one or empty ones: the file stays as it is', async () => {
      const handle = await subject.fs.open(subject.at('file'), 'create');
      await handle.write(new Uint8Array(0), 5);
      await handle.write([], 5);
      await handle.write([new Uint8Array(0), new Uint8Array(0)], 5);
      expect(await handle.size()).toBe(0);
      await handle.close();
    });

    test('behind the end: zeros between', async () => {
      await subject.store('file', bytesOf(1));
      const handle = await subject.fs.open(subject.at('file'), 'write');
      await handle.write(bytesOf(2), 4);
      await handle.close();
      expect(await subject.load('file')).toEqual(bytesOf(1, 0, 0, 0, 2));
    });

    test('from shared memory, alone and among others: the bytes are in the file', async () => {
      const shared = new Uint8Array(new SharedArrayBuffer(3000));
      shared.set(pattern(3000));
      const handle = await subject.fs.open(subject.at('file'), 'create');
      await handle.write(shared, 0);
      await handle.write([shared.subarray(1, 4), bytesOf(8), shared.subarray(0, 2)], 3000);
      await handle.close();
      const expected = Buffer.concat([
        pattern(3000),
        pattern(3000).subarray(1, 4),
        bytesOf(8),
        pattern(3000).subarray(0, 2),
      ]);
      expect(Buffer.compare(await subject.load('file'), expected)).toBe(0);
    });

    test('writes that overlap in time at different positions: all are there', async () => {
      const handle = await subject.fs.open(subject.at('file'), 'create');
      const parts = Array.from({ length: 20 }, (_, i) => pattern(10_000, i));
      await Promise.all(parts.map((part, i) => handle.write(part, i * 10_000)));
      await handle.close();
      expect(Buffer.compare(await subject.load('file'), Buffer.concat(parts))).toBe(0);
    });

    test('through a handle opened for reading: EBADF, truncate EINVAL', async () => {
      await subject.store('file', bytesOf(1));
      const handle = await subject.fs.open(subject.at('file'), 'read');
      expect(await codeOf(handle.write(bytesOf(2), 0))).toBe('EBADF');
      expect(await codeOf(handle.truncate(0))).toBe('EINVAL');
      await handle.close();
      expect(await subject.load('file')).toEqual(bytesOf(1));
    });

    test('a position that is no offset: EINVAL, for one buffer and for several', async () => {
      const handle = await subject.fs.open(subject.at('file'), 'create');
      for (const position of [-1, 0.5, Number.NaN, 2 ** 53]) {
        expect(await codeOf(handle.write(bytesOf(1), position))).toBe('EINVAL');
        expect(await codeOf(handle.write([bytesOf(1)], position))).toBe('EINVAL');
        expect(await codeOf(handle.truncate(position))).toBe('EINVAL');
      }
      expect(await handle.size()).toBe(0);
      await handle.close();
    });
  });

  describe('truncate, size, sync', () => {
    test('cut and grown again: what was cut reads as zeros', async () => {
      const handle = await subject.fs.open(subject.at('file'), 'create');
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
      const handle = await subject.fs.open(subject.at('file'), 'create');
      await handle.write(pattern(10), 0);
      await handle.truncate(0);
      expect(await handle.size()).toBe(0);
      expect(await handle.read(new Uint8Array(4), 0)).toBe(0);
      await handle.close();
    });

    test('sync of a written and of an unwritten file: resolves', async () => {
      const handle = await subject.fs.open(subject.at('file'), 'create');
      await handle.sync();
      await handle.write(pattern(10), 0);
      await handle.sync();
      await handle.close();
      expect(await subject.load('file')).toEqual(pattern(10));
    });
  });

  describe('close', () => {
    test('every call on a closed handle: EBADF, even when its number is used again', async () => {
      const closed = await subject.fs.open(subject.at('closed'), 'create');
      await closed.close();
      const other = await subject.fs.open(subject.at('other'), 'create');
      expect(await codeOf(closed.write(bytesOf(1), 0))).toBe('EBADF');
      expect(await codeOf(closed.write([bytesOf(1)], 0))).toBe('EBADF');
      expect(await codeOf(closed.read(new Uint8Array(1), 0))).toBe('EBADF');
      expect(await codeOf(closed.sync())).toBe('EBADF');
      expect(await codeOf(closed.size())).toBe('EBADF');
      expect(await codeOf(closed.truncate(0))).toBe('EBADF');
      expect(await codeOf(closed.close())).toBe('EBADF');
      expect(await other.size()).toBe(0);
      await other.close();
    });

    test('close while writes are under way: they end first, whole', async () => {
      const handle = await subject.fs.open(subject.at('file'), 'create');
      const writes = Array.from({ length: 8 }, (_, i) =>
        handle.write(pattern(50_000, i), i * 50_000),
      );
      await handle.close();
      await Promise.all(writes);
      const expected = Buffer.concat(Array.from({ length: 8 }, (_, i) => pattern(50_000, i)));
      expect(Buffer.compare(await subject.load('file'), expected)).toBe(0);
    });
  });
});
