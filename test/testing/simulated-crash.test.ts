/*
 * The laws of a crash of the simulated file system, one by one: what must be there, what may be
 * gone, and what can never come of it.
 */
import { describe, expect, test } from 'vitest';
import {
  allDropped,
  allKept,
  crashStates,
  SeededRandom,
  SimulatedFileSystem,
  type CrashChoice,
  type PageFate,
} from '../../src/testing/index.ts';

/** A file of some bytes, its data and its name synced; the handle stays open. */
async function durableFile(fs: SimulatedFileSystem, path: string, bytes: Uint8Array | number) {
  const handle = await fs.open(path, 'create');
  const content = typeof bytes === 'number' ? new Uint8Array(bytes).fill(1) : bytes;
  await handle.write(content, 0);
  await handle.sync();
  await fs.syncDirectory('/d');
  return handle;
}

async function world(): Promise<SimulatedFileSystem> {
  const fs = new SimulatedFileSystem();
  await fs.makeDirectory('/d');
  await fs.makeDirectory('/e');
  return fs;
}

const names = (fs: SimulatedFileSystem): string[] => [...fs.contents().keys()];
const bytesOf = (fs: SimulatedFileSystem, path: string): number[] => [...fs.contents().get(path)!];

/** Every disk that random crashes at this moment leave. */
function many(fs: SimulatedFileSystem, runs = 300): SimulatedFileSystem[] {
  return Array.from({ length: runs }, (_, seed) => fs.crash(seed));
}

const pages = (fate: PageFate): CrashChoice => ({ ...allKept, page: () => fate });

describe('contents', () => {
  test('a write that was synced: is there after any crash', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 5000);
    for (const after of many(fs, 50)) expect(after.contents().get('/d/a')).toHaveLength(5000);
  });

  test('a write that was not synced: may be gone, and may be there', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 3);
    await handle.write(Uint8Array.of(9), 1);
    expect(bytesOf(fs.crash('dropped'), '/d/a')).toEqual([1, 1, 1]);
    expect(bytesOf(fs.crash('kept'), '/d/a')).toEqual([1, 9, 1]);
  });

  test('a write through: is there after any crash, an earlier one that was not synced may be gone', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 2);
    await handle.write(Uint8Array.of(8), 0);
    await handle.writeThrough(Uint8Array.of(9), 1);
    const found = many(fs).map((after) => bytesOf(after, '/d/a'));
    expect(new Set(found.map(([, second]) => second))).toEqual(new Set([9]));
    const firsts = found.map(([first]) => first);
    for (const first of [1, 8]) expect(firsts).toContain(first);
  });

  test('of two writes: the later may be there and the earlier not', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 2);
    await handle.write(Uint8Array.of(8), 0);
    await handle.write(Uint8Array.of(9), 1);
    const found = new Set(many(fs).map((after) => bytesOf(after, '/d/a').join()));
    for (const content of ['1,1', '8,1', '1,9', '8,9']) expect(found).toContain(content);
  });

  test('two writes to the same place: the later one wins where both are there', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 1);
    await handle.write(Uint8Array.of(8), 0);
    await handle.write(Uint8Array.of(9), 0);
    expect(bytesOf(fs.crash('kept'), '/d/a')).toEqual([9]);
  });

  test('pages of one write: each is there or not, whatever becomes of the others', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 3 * 4096);
    await handle.write(new Uint8Array(3 * 4096).fill(2), 0);
    const choice = { ...allKept, page: ({ position }: { position: number }) => fate(position) };
    const fate = (position: number): PageFate => (position === 4096 ? 'kept' : 'dropped');
    const found = fs.crash(choice).contents().get('/d/a')!;
    expect([found[0], found[4096], found[8191], found[8192]]).toEqual([1, 2, 2, 1]);
  });

  test('a torn page: whole sectors are the old or the new, both occur', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 4096);
    await handle.write(new Uint8Array(4096).fill(2), 0);
    const seen = new Set<string>();
    for (let run = 0; run < 50; run++) {
      const found = fs.crash(pages('torn')).contents().get('/d/a')!;
      for (let at = 0; at < 4096; at += 512) {
        const sector = new Set(found.subarray(at, at + 512));
        expect(sector.size).toBe(1);
        seen.add([...sector].join());
      }
    }
    expect([...seen].sort()).toEqual(['1', '2']);
  });

  test('a garbled page: changes bytes in the range of the write and no others (L12)', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 4096);
    await handle.write(new Uint8Array(100).fill(2), 1000);
    let changed = 0;
    for (let run = 0; run < 50; run++) {
      const found = fs.crash(pages('garbled')).contents().get('/d/a')!;
      expect(new Set([...found.subarray(0, 1000), ...found.subarray(1100)])).toEqual(new Set([1]));
      if (found.subarray(1000, 1100).some((byte) => byte !== 2)) changed++;
    }
    expect(changed).toBeGreaterThan(40);
  });

  test('a write during a sync: the sync does not promise it', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 2);
    await handle.write(Uint8Array.of(7), 0);
    fs.beforeCall = async ({ call }) => {
      fs.beforeCall = () => {};
      if (call === 'sync') await handle.write(Uint8Array.of(8), 1);
    };
    await handle.sync();
    expect(bytesOf(fs.crash('dropped'), '/d/a')).toEqual([7, 1]);
  });

  test('growth: the size may be there without the data, which reads as zeros, and the other way around', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 1);
    await handle.write(Uint8Array.of(5, 5), 1);
    const sizeOnly = { ...allDropped, size: () => 1 };
    expect(bytesOf(fs.crash(sizeOnly), '/d/a')).toEqual([1, 0, 0]);
    const dataOnly = { ...allKept, size: () => 0 };
    expect(bytesOf(fs.crash(dataOnly), '/d/a')).toEqual([1]);
  });

  test('a cut: may be undone by a crash until it is synced', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 3);
    await handle.truncate(1);
    expect(bytesOf(fs.crash('dropped'), '/d/a')).toEqual([1, 1, 1]);
    expect(bytesOf(fs.crash('kept'), '/d/a')).toEqual([1]);
    await handle.sync();
    expect(bytesOf(fs.crash('dropped'), '/d/a')).toEqual([1]);
  });

  test('cut and grown again: what was cut does not come back', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 3);
    await handle.truncate(1);
    await handle.truncate(3);
    await handle.sync();
    expect(bytesOf(fs.crash('dropped'), '/d/a')).toEqual([1, 0, 0]);
  });
});

describe('names', () => {
  test('a new name: may be gone until its directory is synced, although the file was', async () => {
    const fs = await world();
    const handle = await fs.open('/d/a', 'create');
    await handle.write(Uint8Array.of(1), 0);
    await handle.sync();
    expect(names(fs.crash('dropped'))).toEqual([]);
    expect(names(fs.crash('kept'))).toEqual(['/d/a']);
    await fs.syncDirectory('/d');
    expect(names(fs.crash('dropped'))).toEqual(['/d/a']);
  });

  test('a new name without a sync of the file: an empty file', async () => {
    const fs = await world();
    const handle = await fs.open('/d/a', 'create');
    await handle.write(Uint8Array.of(1), 0);
    await fs.syncDirectory('/d');
    expect(bytesOf(fs.crash('dropped'), '/d/a')).toEqual([]);
  });

  test('a name that was removed: may be back, content and all, until the directory is synced', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 2);
    await fs.unlink('/d/a');
    expect(bytesOf(fs.crash('dropped'), '/d/a')).toEqual([1, 1]);
    expect(names(fs.crash('kept'))).toEqual([]);
    await fs.syncDirectory('/d');
    expect(names(fs.crash('dropped'))).toEqual([]);
  });

  test('a rename in a directory: both names change together or not at all', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 1);
    await fs.rename('/d/a', '/d/b');
    const found = new Set(many(fs, 50).map((after) => names(after).join()));
    expect([...found].sort()).toEqual(['/d/a', '/d/b']);
  });

  test('a rename to another directory: never neither name; both until the old directory is synced', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 1);
    await fs.rename('/d/a', '/e/a');
    const found = new Set(many(fs, 100).map((after) => names(after).join()));
    expect([...found].sort()).toEqual(['/d/a', '/d/a,/e/a', '/e/a']);
    await fs.syncDirectory('/e');
    const later = new Set(many(fs, 100).map((after) => names(after).join()));
    expect([...later].sort()).toEqual(['/d/a,/e/a', '/e/a']);
  });

  test('a rename to another directory: a sync of the old one makes the new name durable too', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 1);
    await fs.rename('/d/a', '/e/a');
    await fs.syncDirectory('/d');
    expect(names(fs.crash('dropped'))).toEqual(['/e/a']);
  });

  test('changes of different names: any of them may be there without the others', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 1);
    await fs.link('/d/a', '/d/b');
    await fs.unlink('/d/a');
    await fs.open('/d/c', 'create');
    const found = new Set(many(fs, 200).map((after) => names(after).join()));
    expect(found).toEqual(
      new Set([
        '/d/a',
        '/d/a,/d/b',
        '/d/a,/d/b,/d/c',
        '/d/a,/d/c',
        '',
        '/d/b',
        '/d/b,/d/c',
        '/d/c',
      ]),
    );
  });

  test('two names of one file: it is one file after a crash too', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 1);
    await fs.link('/d/a', '/d/b');
    await fs.syncDirectory('/d');
    const after = fs.crash('dropped');
    const handle = await after.open('/d/a', 'write');
    await handle.write(Uint8Array.of(7), 0);
    expect(bytesOf(after, '/d/b')).toEqual([7]);
  });

  test('a directory that makeDirectory has made: is there; what fails between is not', async () => {
    const fs = new SimulatedFileSystem({
      faults: [{ call: 'syncDirectory', path: '/x', nth: 1, error: 'EIO' }],
    });
    await expect(fs.makeDirectory('/x/y')).rejects.toMatchObject({ code: 'EIO' });
    const after = fs.crash('dropped');
    expect(await after.stat('/x')).toEqual({ kind: 'directory', bytes: 0 });
    expect(await after.stat('/x/y')).toBeUndefined();
    await fs.makeDirectory('/x/z');
    expect(await fs.crash('dropped').stat('/x/z')).toBeDefined();
  });

  test('a lock: is gone after a crash', async () => {
    const fs = await world();
    expect(await fs.lock('/d/LOCK')).toBeDefined();
    expect(await fs.lock('/d/LOCK')).toBeUndefined();
    expect(await fs.crash('kept').lock('/d/LOCK')).toBeDefined();
  });
});

describe('disks of one moment', () => {
  test('few changes: every combination', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 4);
    for (const at of [0, 1, 2]) await handle.write(Uint8Array.of(9), at);
    const disks = crashStates(fs.crashPoint(), { statesMax: 64 });
    const found = disks.map(({ disk }) => bytesOf(fs.restart(disk), '/d/a').join());
    for (let kept = 0; kept < 8; kept++) {
      expect(found).toContain([0, 1, 2].map((i) => ((kept >> i) & 1 ? 9 : 1)).join() + ',1');
    }
  });

  test('many changes: all, none, each alone lost and kept, torn and garbled pages; as many as asked for', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 40 * 4096);
    for (let page = 0; page < 40; page++) {
      await handle.write(new Uint8Array(4096).fill(2), page * 4096);
    }
    const kinds = new Set(
      crashStates(fs.crashPoint(), { statesMax: 300 }).map(({ what }) => what.split(/[: ]/, 1)[0]),
    );
    expect(kinds).toEqual(
      new Set(['everything', 'nothing', 'lost', 'kept', 'torn', 'garbled', 'dropped', 'a']),
    );
    const some = crashStates(fs.crashPoint(), { statesMax: 7 });
    expect(some).toHaveLength(7);
    expect(new Set(some.map(({ disk }) => disk.digest)).size).toBe(7);
  });

  test('nothing that is not synced: one disk', async () => {
    const fs = await world();
    await durableFile(fs, '/d/a', 4);
    expect(crashStates(fs.crashPoint()).map(({ what }) => what)).toEqual(['everything kept']);
  });

  test('a point: is what was there when it was taken', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 1);
    const point = fs.crashPoint();
    await handle.write(Uint8Array.of(9), 0);
    await handle.sync();
    await fs.unlink('/d/a');
    await fs.syncDirectory('/d');
    const after = fs.restart(point.image(allKept, new SeededRandom(1)));
    expect(bytesOf(after, '/d/a')).toEqual([1]);
  });

  test('the same seed: the same disk; another: another', async () => {
    const fs = await world();
    const handle = await durableFile(fs, '/d/a', 20_000);
    await handle.write(new Uint8Array(20_000).fill(3), 0);
    const digest = (seed: number): string =>
      Buffer.from(fs.crash(seed).contents().get('/d/a')!).toString('hex');
    expect(digest(4)).toBe(digest(4));
    expect(new Set([1, 2, 3, 4].map(digest)).size).toBeGreaterThan(1);
  });
});
