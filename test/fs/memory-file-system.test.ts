import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { InvalidArgumentError } from '../../src/errors.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { MemoryFile } from '../../src/fs/memory-file.ts';

describe('capacity', () => {
  test('a write that does not fit: ENOSPC, nothing written, and what fits still works', async () => {
    const fs = new MemoryFileSystem({ capacityBytes: 10 });
    const handle = await fs.open('/a', 'create');
    await handle.write(new Uint8Array(8), 0);
    expect(fs.freeBytes('/')).toBe(2);
    await expect(handle.write(new Uint8Array(3), 8)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await handle.size()).toBe(8);
    await handle.write(new Uint8Array(2), 8);
    await handle.write(new Uint8Array(10), 0);
    expect(fs.freeBytes('/')).toBe(0);
    await handle.close();
  });

  test('truncate: takes space to grow, ENOSPC past it, and gives it back', async () => {
    const fs = new MemoryFileSystem({ capacityBytes: 10 });
    const handle = await fs.open('/a', 'create');
    await handle.truncate(10);
    await expect(handle.truncate(11)).rejects.toMatchObject({ code: 'ENOSPC' });
    await handle.truncate(4);
    expect(fs.freeBytes('/')).toBe(6);
    await handle.close();
  });

  test('unlink: space comes back when the last name and the last handle are gone', async () => {
    const fs = new MemoryFileSystem({ capacityBytes: 10 });
    const handle = await fs.open('/a', 'create');
    await handle.write(new Uint8Array(10), 0);
    await fs.link('/a', '/b');
    await fs.unlink('/a');
    expect(fs.freeBytes('/')).toBe(0);
    await fs.unlink('/b');
    expect(fs.freeBytes('/')).toBe(0);
    await handle.close();
    expect(fs.freeBytes('/')).toBe(10);
  });

  test('rename onto a file: the space of the replaced one comes back', async () => {
    const fs = new MemoryFileSystem({ capacityBytes: 10 });
    for (const [path, bytes] of [
      ['/a', 3],
      ['/b', 5],
    ] as const) {
      const handle = await fs.open(path, 'create');
      await handle.truncate(bytes);
      await handle.close();
    }
    await fs.rename('/a', '/b');
    expect(fs.freeBytes('/')).toBe(7);
  });

  test('unlink of a locked file: space comes back with the release', async () => {
    const fs = new MemoryFileSystem({ capacityBytes: 10 });
    const lock = await fs.lock('/LOCK');
    const handle = await fs.open('/LOCK', 'write');
    await handle.truncate(4);
    await handle.close();
    await fs.unlink('/LOCK');
    expect(fs.freeBytes('/')).toBe(6);
    await lock!.release();
    await lock!.release();
    expect(fs.freeBytes('/')).toBe(10);
  });

  test('no bound given: as good as endless', () => {
    expect(new MemoryFileSystem().freeBytes('/')).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('a capacity that is no count: INVALID_OPTION', () => {
    for (const capacityBytes of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new MemoryFileSystem({ capacityBytes })).toThrow(InvalidArgumentError);
    }
  });
});

describe('instances', () => {
  test('two instances: share neither files nor locks', async () => {
    const [a, b] = [new MemoryFileSystem(), new MemoryFileSystem()];
    await (await a.open('/file', 'create')).close();
    expect(await b.stat('/file')).toBeUndefined();
    expect(await a.lock('/LOCK')).toBeDefined();
    expect(await b.lock('/LOCK')).toBeDefined();
  });

  test('the root: is listed, and cannot be renamed or created', async () => {
    const fs = new MemoryFileSystem();
    expect(await fs.list('/')).toEqual([]);
    await fs.makeDirectory('/');
    await expect(fs.open('/', 'create')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(fs.unlink('/')).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(fs.rename('/', '/a')).rejects.toMatchObject({ code: 'EBUSY' });
  });
});

describe('MemoryFile', () => {
  test('any writes and resizes: reads as a plain array of bytes does', () => {
    const mebibyte = 1024 * 1024;
    const offset = fc.oneof(
      fc.integer({ min: 0, max: 9000 }),
      fc.integer({ min: mebibyte - 50, max: mebibyte + 50 }),
      fc.integer({ min: 2 * mebibyte - 50, max: 2 * mebibyte + 50 }),
    );
    const step = fc.oneof(
      fc.record({ at: offset, length: fc.integer({ min: 0, max: 5000 }), fill: fc.nat(255) }),
      fc.record({ resize: offset }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const file = new MemoryFile();
        let model = Buffer.alloc(0);
        for (const one of steps) {
          if ('resize' in one) {
            file.resize(one.resize);
            model = resized(model, one.resize);
          } else {
            const source = Buffer.alloc(one.length, one.fill);
            file.write(source, one.at);
            if (one.length > 0) model = resized(model, Math.max(model.length, one.at + one.length));
            source.copy(model, one.at);
          }
        }
        const read = new Uint8Array(model.length + 10).fill(99);
        expect(file.bytes).toBe(model.length);
        expect(file.read(read, 0)).toBe(model.length);
        expect(Buffer.compare(read.subarray(0, model.length), model)).toBe(0);
        expect(read.subarray(model.length).every((byte) => byte === 99)).toBe(true);
      }),
      { seed: 20_261, numRuns: 60 },
    );
  });
});

function resized(bytes: Buffer, length: number): Buffer<ArrayBuffer> {
  const result = Buffer.alloc(length);
  bytes.copy(result);
  return result;
}
