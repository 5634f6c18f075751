import { describe, expect, test } from 'vitest';

import { bytesOf, codeOf, describeFileSystems, pattern } from './subjects.ts';

describeFileSystems((subject) => {
  describe('directories', () => {
    test('list: names of files and directories, in order of code units', async () => {
      for (const name of ['b', 'a', 'B', 'a-', 'a.', '_']) await subject.store(name, bytesOf());
      await subject.fs.makeDirectory(subject.at('aa'));
      expect(await subject.fs.list(subject.directory)).toEqual([
        'B',
        '_',
        'a',
        'a-',
        'a.',
        'aa',
        'b',
      ]);
    });

    test('list of an empty directory: nothing', async () => {
      expect(await subject.fs.list(subject.directory)).toEqual([]);
    });

    test('list of nothing: ENOENT; of a file: ENOTDIR', async () => {
      await subject.store('file', bytesOf());
      expect(await codeOf(subject.fs.list(subject.at('none')))).toBe('ENOENT');
      expect(await codeOf(subject.fs.list(subject.at('file')))).toBe('ENOTDIR');
    });

    test('makeDirectory: makes missing parents, and what is there already is fine', async () => {
      await subject.fs.makeDirectory(subject.at('a/b/c'));
      await subject.fs.makeDirectory(subject.at('a/b/c'));
      await subject.fs.makeDirectory(subject.at('a/b/d'));
      expect(await subject.fs.list(subject.at('a/b'))).toEqual(['c', 'd']);
    });

    test('makeDirectory by many at once: all succeed', async () => {
      await Promise.all(
        Array.from({ length: 8 }, () => subject.fs.makeDirectory(subject.at('a/b/c'))),
      );
      expect(await subject.fs.stat(subject.at('a/b/c'))).toMatchObject({ kind: 'directory' });
    });

    test('makeDirectory where a file is: EEXIST; below a file: ENOTDIR', async () => {
      await subject.store('file', bytesOf(1));
      expect(await codeOf(subject.fs.makeDirectory(subject.at('file')))).toBe('EEXIST');
      expect(await codeOf(subject.fs.makeDirectory(subject.at('file/a')))).toBe('ENOTDIR');
      expect(await codeOf(subject.fs.makeDirectory(subject.at('file/a/b')))).toBe('ENOTDIR');
      expect(await subject.load('file')).toEqual(bytesOf(1));
    });

    test('syncDirectory: resolves; ENOENT for nothing, ENOTDIR for a file', async () => {
      await subject.store('file', bytesOf());
      await subject.fs.syncDirectory(subject.directory);
      expect(await codeOf(subject.fs.syncDirectory(subject.at('none')))).toBe('ENOENT');
      expect(await codeOf(subject.fs.syncDirectory(subject.at('file')))).toBe('ENOTDIR');
    });
  });

  describe('names', () => {
    test('rename: the file has the new name only', async () => {
      await subject.store('old', bytesOf(1));
      await subject.fs.rename(subject.at('old'), subject.at('new'));
      expect(await subject.fs.list(subject.directory)).toEqual(['new']);
      expect(await subject.load('new')).toEqual(bytesOf(1));
    });

    test('rename onto a file: takes its place, and open handles keep the old one', async () => {
      await subject.store('old', bytesOf(1));
      await subject.store('new', bytesOf(2, 2));
      const replaced = await subject.fs.open(subject.at('new'), 'read');
      await subject.fs.rename(subject.at('old'), subject.at('new'));
      expect(await subject.load('new')).toEqual(bytesOf(1));
      expect(await replaced.size()).toBe(2);
      await replaced.close();
    });

    test('rename of a file to itself or to its other name: both stay', async () => {
      await subject.store('a', bytesOf(1));
      await subject.fs.link(subject.at('a'), subject.at('b'));
      await subject.fs.rename(subject.at('a'), subject.at('a'));
      await subject.fs.rename(subject.at('a'), subject.at('b'));
      expect(await subject.fs.list(subject.directory)).toEqual(['a', 'b']);
    });

    test('rename of nothing, or into nothing: ENOENT', async () => {
      await subject.store('file', bytesOf(1));
      expect(await codeOf(subject.fs.rename(subject.at('none'), subject.at('new')))).toBe('ENOENT');
      expect(await codeOf(subject.fs.rename(subject.at('file'), subject.at('none/new')))).toBe(
        'ENOENT',
      );
      expect(await subject.load('file')).toEqual(bytesOf(1));
    });

    test('rename mixing files and directories: EISDIR, ENOTDIR', async () => {
      await subject.store('file', bytesOf(1));
      await subject.fs.makeDirectory(subject.at('sub'));
      expect(await codeOf(subject.fs.rename(subject.at('file'), subject.at('sub')))).toBe('EISDIR');
      expect(await codeOf(subject.fs.rename(subject.at('sub'), subject.at('file')))).toBe(
        'ENOTDIR',
      );
      expect(await codeOf(subject.fs.rename(subject.at('file'), subject.at('file/a')))).toBe(
        'ENOTDIR',
      );
    });

    test('rename of a directory: moves what is in it', async () => {
      await subject.fs.makeDirectory(subject.at('sub/deep'));
      await subject.store('sub/deep/file', bytesOf(1));
      await subject.fs.makeDirectory(subject.at('empty'));
      await subject.fs.rename(subject.at('sub'), subject.at('empty'));
      expect(await subject.fs.list(subject.directory)).toEqual(['empty']);
      expect(await subject.load('empty/deep/file')).toEqual(bytesOf(1));
    });

    test('rename of a directory onto a full one: ENOTEMPTY; into itself: EINVAL', async () => {
      await subject.fs.makeDirectory(subject.at('a/b'));
      await subject.fs.makeDirectory(subject.at('full/x'));
      expect(await codeOf(subject.fs.rename(subject.at('a'), subject.at('full')))).toBe(
        'ENOTEMPTY',
      );
      expect(await codeOf(subject.fs.rename(subject.at('a'), subject.at('a/b/c')))).toBe('EINVAL');
    });

    test('link: a second name of the same file', async () => {
      await subject.store('a', bytesOf(1));
      await subject.fs.link(subject.at('a'), subject.at('b'));
      const handle = await subject.fs.open(subject.at('b'), 'write');
      await handle.write(bytesOf(2), 0);
      await handle.close();
      expect(await subject.load('a')).toEqual(bytesOf(2));
    });

    test('link: the bytes live until the last name goes', async () => {
      await subject.store('a', bytesOf(1));
      await subject.fs.link(subject.at('a'), subject.at('b'));
      await subject.fs.unlink(subject.at('a'));
      expect(await subject.load('b')).toEqual(bytesOf(1));
    });

    test('link onto what is there: EEXIST; of nothing: ENOENT; of a directory: EPERM', async () => {
      await subject.store('a', bytesOf(1));
      await subject.store('b', bytesOf(2));
      await subject.fs.makeDirectory(subject.at('sub'));
      expect(await codeOf(subject.fs.link(subject.at('a'), subject.at('b')))).toBe('EEXIST');
      expect(await codeOf(subject.fs.link(subject.at('a'), subject.at('sub')))).toBe('EEXIST');
      expect(await codeOf(subject.fs.link(subject.at('none'), subject.at('c')))).toBe('ENOENT');
      expect(await codeOf(subject.fs.link(subject.at('a'), subject.at('none/c')))).toBe('ENOENT');
      expect(await codeOf(subject.fs.link(subject.at('sub'), subject.at('c')))).toBe('EPERM');
      expect(await subject.load('b')).toEqual(bytesOf(2));
    });

    test('racing links to one name: exactly one succeeds', async () => {
      for (let i = 0; i < 8; i++) await subject.store(`source-${i}`, bytesOf(i));
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          codeOf(subject.fs.link(subject.at(`source-${i}`), subject.at('target'))),
        ),
      );
      expect(results.filter((result) => result === 'no error')).toHaveLength(1);
      expect(results.filter((result) => result === 'EEXIST')).toHaveLength(7);
      expect(await subject.load('target')).toEqual(bytesOf(results.indexOf('no error')));
    });

    test('unlink: the name is gone, and an open handle goes on reading and writing', async () => {
      await subject.store('file', bytesOf(1, 2));
      const handle = await subject.fs.open(subject.at('file'), 'write');
      await subject.fs.unlink(subject.at('file'));
      expect(await subject.fs.list(subject.directory)).toEqual([]);
      await handle.write(bytesOf(3), 2);
      const bytes = new Uint8Array(3);
      expect(await handle.read(bytes, 0)).toBe(3);
      expect(bytes).toEqual(bytesOf(1, 2, 3));
      await subject.store('file', bytesOf(9));
      expect(await handle.size()).toBe(3);
      await handle.close();
      expect(await subject.load('file')).toEqual(bytesOf(9));
    });

    test('unlink of nothing: ENOENT; through a file: ENOTDIR', async () => {
      await subject.store('file', bytesOf());
      expect(await codeOf(subject.fs.unlink(subject.at('none')))).toBe('ENOENT');
      expect(await codeOf(subject.fs.unlink(subject.at('file/x')))).toBe('ENOTDIR');
    });

    test.skipIf(process.platform === 'darwin')('unlink of a directory: EISDIR', async () => {
      await subject.fs.makeDirectory(subject.at('sub'));
      expect(await codeOf(subject.fs.unlink(subject.at('sub')))).toBe('EISDIR');
    });
  });

  describe('stat and freeBytes', () => {
    test('stat: kind and size; undefined for nothing; ENOTDIR through a file', async () => {
      await subject.store('file', pattern(77));
      expect(await subject.fs.stat(subject.at('file'))).toEqual({ kind: 'file', bytes: 77 });
      expect(await subject.fs.stat(subject.directory)).toMatchObject({ kind: 'directory' });
      expect(await subject.fs.stat(subject.at('none'))).toBeUndefined();
      expect(await subject.fs.stat(subject.at('none/deeper'))).toBeUndefined();
      expect(await codeOf(subject.fs.stat(subject.at('file/x')))).toBe('ENOTDIR');
    });

    test('freeBytes: a positive count for what is there, an error for nothing', () => {
      expect(subject.fs.freeBytes(subject.directory)).toBeGreaterThan(0);
      expect(() => subject.fs.freeBytes(subject.at('none'))).toThrow(/ENOENT/);
    });
  });

  describe('lock', () => {
    test('held: a second one gets undefined, until it is released', async () => {
      const first = await subject.fs.lock(subject.at('LOCK'));
      expect(first).toBeDefined();
      expect(await subject.fs.lock(subject.at('LOCK'))).toBeUndefined();
      await first!.release();
      const second = await subject.fs.lock(subject.at('LOCK'));
      expect(second).toBeDefined();
      await first!.release();
      expect(await subject.fs.lock(subject.at('LOCK'))).toBeUndefined();
      await second!.release();
    });

    test('racing: exactly one holds it', async () => {
      const locks = await Promise.all(
        Array.from({ length: 8 }, () => subject.fs.lock(subject.at('LOCK'))),
      );
      const held = locks.filter((lock) => lock !== undefined);
      expect(held).toHaveLength(1);
      await held[0]!.release();
    });

    test('other files: other locks', async () => {
      const a = await subject.fs.lock(subject.at('a'));
      const b = await subject.fs.lock(subject.at('b'));
      expect(a).toBeDefined();
      expect(b).toBeDefined();
      await a!.release();
      await b!.release();
    });

    test('released: the file stays, and what it held is kept', async () => {
      await subject.store('LOCK', bytesOf(1, 2));
      const lock = await subject.fs.lock(subject.at('LOCK'));
      await lock!.release();
      expect(await subject.load('LOCK')).toEqual(bytesOf(1, 2));
    });

    test('another handle of the file opened and closed: the lock holds', async () => {
      const lock = await subject.fs.lock(subject.at('LOCK'));
      await (await subject.fs.open(subject.at('LOCK'), 'write')).close();
      expect(await subject.fs.lock(subject.at('LOCK'))).toBeUndefined();
      await lock!.release();
    });

    test('in a missing directory: ENOENT; on a directory: EISDIR', async () => {
      await subject.fs.makeDirectory(subject.at('sub'));
      expect(await codeOf(subject.fs.lock(subject.at('none/LOCK')))).toBe('ENOENT');
      expect(await codeOf(subject.fs.lock(subject.at('sub')))).toBe('EISDIR');
    });
  });
});
