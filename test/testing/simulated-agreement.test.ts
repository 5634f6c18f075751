/*
 * Random calls on the simulated file system and on the one in memory: the same results, the same
 * errors, the same content, as long as nothing crashes; and what was synced whole is there after any
 * crash.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { errnoOf } from '../../src/errors.ts';
import type { FileHandle, FileSystem, OpenMode } from '../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { SimulatedFileSystem } from '../../src/testing/index.ts';

const path = fc.constantFrom('/a', '/b', '/d/a', '/d/b', '/d', '/e/a', '/d/a/x', '/none/x');
const directory = fc.constantFrom('/', '/d', '/e', '/a', '/d/e');

type Call = (fs: FileSystem, handles: FileHandle[]) => Promise<unknown>;

const at = <T>(list: readonly T[], index: number): T | undefined => list[index % list.length];

const call: fc.Arbitrary<Call> = fc.oneof(
  fc
    .tuple(path, fc.constantFrom<OpenMode>('read', 'write', 'create', 'create'))
    .map(([path, mode]): Call => async (fs, handles) => {
      handles.push(await fs.open(path, mode));
    }),
  fc.tuple(fc.nat(20), fc.nat(9000), fc.nat(9000), fc.nat(255)).map(
    ([handle, position, bytes, value]): Call =>
      async (_fs, handles) =>
        at(handles, handle)?.write([new Uint8Array(bytes).fill(value), Uint8Array.of(1)], position),
  ),
  fc.tuple(fc.nat(20), fc.nat(9000)).map(
    ([handle, bytes]): Call =>
      async (_fs, handles) =>
        at(handles, handle)?.truncate(bytes),
  ),
  fc
    .tuple(fc.nat(20), fc.nat(9000), fc.nat(9000))
    .map(([handle, position, bytes]): Call => async (_fs, handles) => {
      const target = new Uint8Array(bytes);
      const read = await at(handles, handle)?.read(target, position);
      return [read, Buffer.from(target).toString('base64')];
    }),
  fc.nat(20).map(
    (handle): Call =>
      async (_fs, handles) =>
        at(handles, handle)?.size(),
  ),
  fc.nat(20).map(
    (handle): Call =>
      async (_fs, handles) =>
        at(handles, handle)?.sync(),
  ),
  fc.nat(20).map(
    (handle): Call =>
      async (_fs, handles) =>
        at(handles, handle)?.close(),
  ),
  fc.tuple(path, path).map(
    ([from, to]): Call =>
      async (fs) =>
        fs.rename(from, to),
  ),
  fc.tuple(path, path).map(
    ([from, to]): Call =>
      async (fs) =>
        fs.link(from, to),
  ),
  path.map(
    (path): Call =>
      async (fs) =>
        fs.unlink(path),
  ),
  path.map(
    (path): Call =>
      async (fs) =>
        fs.stat(path),
  ),
  directory.map(
    (path): Call =>
      async (fs) =>
        fs.list(path),
  ),
  directory.map(
    (path): Call =>
      async (fs) =>
        fs.makeDirectory(path),
  ),
  directory.map(
    (path): Call =>
      async (fs) =>
        fs.syncDirectory(path),
  ),
  fc.constant<Call>(async (fs) => fs.freeBytes('/')),
);

test('random calls: results, errors and free space are those of the file system in memory', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 60 }), async (calls) => {
      const capacityBytes = 40_000;
      const files: [FileSystem, FileHandle[]][] = [
        [new MemoryFileSystem({ capacityBytes }), []],
        [new SimulatedFileSystem({ capacityBytes }), []],
      ];
      for (const one of calls) {
        const [expected, found] = await Promise.all(
          files.map(([fs, handles]) => one(fs, handles).catch((error: unknown) => errnoOf(error))),
        );
        expect(found).toEqual(expected);
      }
    }),
    { numRuns: 300, seed: 20_261_121 },
  );
});

test('random calls, then everything synced: the same content after any crash', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { minLength: 5, maxLength: 60 }),
      fc.nat(),
      async (calls, seed) => {
        const fs = new SimulatedFileSystem();
        const handles: FileHandle[] = [];
        for (const one of calls) await one(fs, handles).catch((error: unknown) => errnoOf(error));
        for (const handle of handles) await handle.sync().catch((error: unknown) => errnoOf(error));
        for (const [path] of fs.contents()) {
          const handle = await fs.open(path, 'read');
          await handle.sync();
        }
        for (const path of ['/', '/d', '/e', '/d/e', '/d/a']) {
          await fs.syncDirectory(path).catch((error: unknown) => errnoOf(error));
        }
        expect(
          fs
            .crashPoint()
            .unsynced()
            .filter(({ kind }) => kind === 'names'),
        ).toEqual([]);
        expect(fs.crash(seed).contents()).toEqual(fs.contents());
      },
    ),
    { numRuns: 300, seed: 20_261_121 },
  );
});
