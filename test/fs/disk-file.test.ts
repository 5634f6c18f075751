import { constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { InternalError } from '../../src/errors.ts';
import { synchronousCalls } from '../../src/fs/blocking-file-system.ts';
import type { DiskCalls } from '../../src/fs/disk-calls.ts';
import { DiskFileSystem } from '../../src/fs/disk-file-system.ts';
import { asynchronousCalls } from '../../src/fs/node-file-system.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-disk-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Calls that take or give at most so many bytes at a time, as a system may at any time. */
function shortCalls(bytesMax: number): DiskCalls {
  return {
    ...synchronousCalls,
    read: (fd, target, at, bytes, from) =>
      synchronousCalls.read(fd, target, at, Math.min(bytes, bytesMax), from),
    write: (fd, source, at, bytes, to) =>
      synchronousCalls.write(fd, source, at, Math.min(bytes, bytesMax), to),
    writev: (fd, sources, to) => {
      const bytes = Buffer.concat(sources).subarray(0, bytesMax);
      return synchronousCalls.write(fd, bytes, 0, bytes.length, to);
    },
  };
}

describe('short system calls', () => {
  test('any buffers, any shortness, any position: all bytes, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 0, max: 100 }),
        async (sources, bytesMax, position) => {
          const path = join(directory, 'file');
          const fs = new DiskFileSystem(shortCalls(bytesMax));
          const handle = await fs.open(path, 'create');
          const expected = Buffer.concat(sources);
          await handle.write(sources, position);
          const read = new Uint8Array(expected.length + 5);
          expect(await handle.read(read, position)).toBe(expected.length);
          expect(Buffer.compare(read.subarray(0, expected.length), expected)).toBe(0);
          await handle.write(expected, 0);
          expect(Buffer.compare(readFileSync(path).subarray(0, expected.length), expected)).toBe(0);
          await handle.close();
          await fs.unlink(path);
        },
      ),
      { seed: 20_260, numRuns: 150 },
    );
  });

  test('a write call that takes nothing: EIO, not an endless loop', async () => {
    const calls = { ...synchronousCalls, write: async () => 0, writev: async () => 0 };
    const handle = await new DiskFileSystem(calls).open(join(directory, 'file'), 'create');
    await expect(handle.write(Uint8Array.of(1), 0)).rejects.toMatchObject({ code: 'EIO' });
    await expect(handle.write([Uint8Array.of(1)], 0)).rejects.toMatchObject({ code: 'EIO' });
    await handle.close();
  });

  test('a write call that reports more than it was given: INVARIANT', async () => {
    const calls = { ...synchronousCalls, write: async () => 2 };
    const handle = await new DiskFileSystem(calls).open(join(directory, 'file'), 'create');
    await expect(handle.write(Uint8Array.of(1), 0)).rejects.toBeInstanceOf(InternalError);
    await handle.close();
  });

  test('a call fails in the middle of a write: the error of that call', async () => {
    let left = 3;
    const short = shortCalls(2);
    const failing = Object.assign(new Error('disk full'), { code: 'ENOSPC' });
    const calls: DiskCalls = {
      ...short,
      write: async (...parameters) => {
        if (left-- === 0) throw failing;
        return short.write(...parameters);
      },
    };
    const handle = await new DiskFileSystem(calls).open(join(directory, 'file'), 'create');
    await expect(handle.write(new Uint8Array(10), 0)).rejects.toBe(failing);
    await handle.close();
  });
});

describe('batches', () => {
  test('5000 buffers: no call has more than 1024', async () => {
    const counts: number[] = [];
    const calls: DiskCalls = {
      ...synchronousCalls,
      writev: (fd, sources, to) => {
        counts.push(sources.length);
        return synchronousCalls.writev(fd, sources, to);
      },
    };
    const handle = await new DiskFileSystem(calls).open(join(directory, 'file'), 'create');
    await handle.write(
      Array.from({ length: 5000 }, (_, i) => Uint8Array.of(i)),
      0,
    );
    await handle.close();
    expect(counts).toEqual([1024, 1024, 1024, 1024, 904]);
  });

  test('3 GiB and a bit: no call asks for more than 1 GiB', async () => {
    // One shared buffer stands for all of them, and nothing reaches the disk.
    const gibibyte = 1024 ** 3;
    const large = new Uint8Array(1.5 * gibibyte);
    const asked: number[] = [];
    const take = async (bytes: number): Promise<number> => {
      asked.push(bytes);
      return bytes;
    };
    const calls: DiskCalls = {
      ...synchronousCalls,
      read: (_fd, _target, _at, bytes) => take(bytes),
      write: (_fd, _source, _at, bytes) => take(bytes),
      writev: (_fd, sources) => take(sources.reduce((sum, one) => sum + one.byteLength, 0)),
    };
    const handle = await new DiskFileSystem(calls).open(join(directory, 'file'), 'create');
    await handle.write(large, 0);
    expect(asked.splice(0)).toEqual([gibibyte, gibibyte / 2]);
    expect(await handle.read(large, 0)).toBe(1.5 * gibibyte);
    expect(asked.splice(0)).toEqual([gibibyte, gibibyte / 2]);
    await handle.write([large, Uint8Array.of(1), large], 0);
    expect(asked).toEqual([gibibyte, gibibyte, gibibyte, 1]);
    await handle.close();
  });
});

describe('durability', () => {
  /** Notes the calls that durability is made of, with the last part of their paths. */
  function noting(): { fs: DiskFileSystem; notes: string[] } {
    const notes: string[] = [];
    const paths = new Map<number, string>();
    const short = (path: string): string =>
      path === directory ? '.' : path.slice(directory.length + 1);
    const calls: DiskCalls = {
      ...asynchronousCalls,
      open: async (path, flags) => {
        const fd = await asynchronousCalls.open(path, flags);
        paths.set(fd, path);
        return fd;
      },
      mkdir: async (path) => {
        await asynchronousCalls.mkdir(path);
        notes.push(`mkdir ${short(path)}`);
      },
      fsync: async (fd) => {
        await asynchronousCalls.fsync(fd);
        notes.push(`fsync ${short(paths.get(fd)!)}`);
      },
      fdatasync: async (fd) => {
        await asynchronousCalls.fdatasync(fd);
        notes.push(`fdatasync ${short(paths.get(fd)!)}`);
      },
    };
    return { fs: new DiskFileSystem(calls), notes };
  }

  test('makeDirectory: syncs the parent of each directory that it made, and no other', async () => {
    const { fs, notes } = noting();
    await fs.makeDirectory(join(directory, 'a/b'));
    expect(notes.splice(0)).toEqual(['mkdir a', 'fsync .', 'mkdir a/b', 'fsync a']);
    await fs.makeDirectory(join(directory, 'a/b'));
    expect(notes).toEqual([]);
  });

  test('makeDirectory that loses a race: syncs the parent all the same', async () => {
    const { notes } = noting();
    const calls: DiskCalls = {
      ...asynchronousCalls,
      mkdir: async (path) => {
        await asynchronousCalls.mkdir(path);
        return asynchronousCalls.mkdir(path);
      },
      fsync: async () => {
        notes.push('fsync');
      },
    };
    await new DiskFileSystem(calls).makeDirectory(join(directory, 'a'));
    expect(notes).toEqual(['fsync']);
  });

  test('makeDirectory that loses a race to a file: EEXIST', async () => {
    const calls: DiskCalls = {
      ...asynchronousCalls,
      mkdir: (path) => {
        writeFileSync(path, '');
        return asynchronousCalls.mkdir(path);
      },
    };
    const making = new DiskFileSystem(calls).makeDirectory(join(directory, 'a'));
    await expect(making).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('makeDirectory on a volume that is not there: ENOENT, not an endless walk up', async () => {
    const missing = Object.assign(new Error('nothing'), { code: 'ENOENT' });
    const calls: DiskCalls = { ...asynchronousCalls, stat: () => Promise.reject(missing) };
    const making = new DiskFileSystem(calls).makeDirectory(join(dirname(directory), 'a'));
    await expect(making).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('sync of a handle is fdatasync, syncDirectory is fsync of the directory', async () => {
    const { fs, notes } = noting();
    const handle = await fs.open(join(directory, 'file'), 'create');
    await handle.sync();
    await fs.syncDirectory(directory);
    await handle.close();
    expect(notes).toEqual(['fdatasync file', 'fsync .']);
  });

  test.each([
    ['with O_DSYNC at every write, on Linux', false],
    ['with fdatasync where the file cannot be opened once more', true],
  ])('writeThrough: %s, also after a rename, and no descriptor stays', async (_how, refused) => {
    const opened = new Map<number, number>();
    const written: string[] = [];
    const calls: DiskCalls = {
      ...asynchronousCalls,
      open: async (path, flags) => {
        const isAgain = path.startsWith('/proc/');
        if (isAgain && refused) throw Object.assign(new Error('no /proc'), { code: 'ENOENT' });
        const fd = await asynchronousCalls.open(path, flags);
        opened.set(fd, flags);
        return fd;
      },
      write: (fd, ...rest) => {
        written.push((opened.get(fd)! & constants.O_DSYNC) === 0 ? 'write' : 'through');
        return asynchronousCalls.write(fd, ...rest);
      },
      fdatasync: (fd) => {
        written.push('fdatasync');
        return asynchronousCalls.fdatasync(fd);
      },
      close: (fd) => {
        opened.delete(fd);
        return asynchronousCalls.close(fd);
      },
    };
    const fs = new DiskFileSystem(calls);
    const path = join(directory, 'new');
    const handle = await fs.open(join(directory, 'old'), 'create');
    await fs.rename(join(directory, 'old'), path);
    await handle.writeThrough(Uint8Array.of(1, 2), 0);
    await handle.writeThrough([Uint8Array.of(3)], 2);
    await handle.write(Uint8Array.of(4), 3);
    await handle.close();
    expect([...readFileSync(path)]).toEqual([1, 2, 3, 4]);
    const inOne = process.platform === 'linux' && !refused;
    // The second one went out as writev, which is not noted here.
    expect(written).toEqual(
      inOne ? ['through', 'write'] : ['write', 'fdatasync', 'fdatasync', 'write'],
    );
    expect(opened.size).toBe(0);
  });

  test('open of a directory for reading, or one whose kind cannot be told: no descriptor stays', async () => {
    const failing = Object.assign(new Error('bad disk'), { code: 'EIO' });
    let open = 0;
    const calls: DiskCalls = {
      ...asynchronousCalls,
      open: async (path, flags) => {
        open++;
        return asynchronousCalls.open(path, flags);
      },
      close: async (fd) => {
        open--;
        return asynchronousCalls.close(fd);
      },
    };
    const opening = new DiskFileSystem(calls).open(directory, 'read');
    await expect(opening).rejects.toMatchObject({ code: 'EISDIR' });
    writeFileSync(join(directory, 'file'), '');
    const unknown = new DiskFileSystem({ ...calls, fstat: () => Promise.reject(failing) });
    await expect(unknown.open(join(directory, 'file'), 'read')).rejects.toBe(failing);
    expect(open).toBe(0);
  });

  test('a failed sync: its error reaches the caller, and the directory is closed', async () => {
    const failing = Object.assign(new Error('bad disk'), { code: 'EIO' });
    let open = 0;
    const calls: DiskCalls = {
      ...asynchronousCalls,
      open: async (path, flags) => {
        open++;
        return asynchronousCalls.open(path, flags);
      },
      close: async (fd) => {
        open--;
        return asynchronousCalls.close(fd);
      },
      fsync: () => Promise.reject(failing),
      fdatasync: () => Promise.reject(failing),
    };
    const fs = new DiskFileSystem(calls);
    await expect(fs.syncDirectory(directory)).rejects.toBe(failing);
    expect(open).toBe(0);
    const handle = await fs.open(join(directory, 'file'), 'create');
    await expect(handle.sync()).rejects.toBe(failing);
    await handle.close();
  });
});
