import { constants, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { DiskCalls } from '../../src/fs/disk-calls.ts';
import { DiskFileSystem } from '../../src/fs/disk-file-system.ts';
import { HeldWrites } from '../../src/fs/held-writes.ts';
import { asynchronousCalls } from '../../src/fs/node-file-system.ts';

/** Quick answers of the pool, one after the other. */
function quick(held: HeldWrites, count: number): void {
  for (let i = 0; i < count; i++) held.answered(0.1);
}

/** Quick answers until a write is held. */
function quickUntilHeld(held: HeldWrites): number {
  let count = 0;
  for (; !held.allow(1); count++) held.answered(0.1);
  return count;
}

describe('which writes are held', () => {
  test('none before eight quick answers in a row, small ones then', () => {
    const held = new HeldWrites();
    quick(held, 7);
    expect(held.allow(100)).toBe(false);
    held.answered(5);
    quick(held, 7);
    expect(held.allow(100)).toBe(false);
    quick(held, 1);
    expect(held.allow(64 * 1024)).toBe(true);
    expect(held.allow(64 * 1024 + 1)).toBe(false);
  });

  test('one that was slow: twice as many quick answers are wanted, up to a bound', () => {
    const held = new HeldWrites();
    const waits = Array.from({ length: 10 }, () => {
      const wait = quickUntilHeld(held);
      held.held(2, 2);
      return wait;
    });
    expect(waits).toEqual([8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]);
  });

  test('a loop with other work: the pool takes the next ones, and no more of them', () => {
    const held = new HeldWrites();
    quickUntilHeld(held);
    held.held(0.1, 5);
    expect(held.allow(1)).toBe(false);
    held.answered(5);
    expect(quickUntilHeld(held)).toBe(8);
  });

  test('256 held ones in a row that were quick: half as many are wanted', () => {
    const held = new HeldWrites();
    quickUntilHeld(held);
    held.held(2, 2);
    held.answered(2);
    expect(quickUntilHeld(held)).toBe(16);
    for (let i = 0; i < 256; i++) held.held(0.1, 0.1);
    held.answered(2);
    expect(quickUntilHeld(held)).toBe(8);
  });
});

describe.skipIf(process.platform !== 'linux')('held writes of a file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-held-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Notes the writes that hold the thread; each takes at most so many bytes. */
  function noting(bytesMax: number): { calls: DiskCalls; held: number[] } {
    const through = new Set<number>();
    const held: number[] = [];
    const calls: DiskCalls = {
      ...asynchronousCalls,
      open: async (path, flags) => {
        const fd = await asynchronousCalls.open(path, flags);
        if ((flags & constants.O_DSYNC) !== 0) through.add(fd);
        return fd;
      },
      held: {
        ...asynchronousCalls.held!,
        // Quick, whatever the disk of this machine is doing.
        nowMs: () => 0,
        write: (fd, source, at, bytes, to) => {
          expect(through.has(fd)).toBe(true);
          const some = Math.min(bytes, bytesMax);
          held.push(asynchronousCalls.held!.write(fd, source, at, some, to));
          return held.at(-1)!;
        },
      },
    };
    return { calls, held };
  }

  test('go through the descriptor that syncs, whole, each after a turn of the loop', async () => {
    const { calls, held } = noting(3);
    const path = join(directory, 'file');
    const handle = await new DiskFileSystem(calls).open(path, 'create');
    let turns = 0;
    let turning = setImmediate(function turn() {
      turns++;
      turning = setImmediate(turn);
    });
    const expected: number[] = [];
    for (let i = 0; i < 28; i++) {
      await handle.writeThrough(Uint8Array.of(i, i, i, i, i), i * 5, true);
      for (let at = 0; at < 5; at++) expected.push(i & 0xff);
    }
    clearImmediate(turning);
    await handle.close();
    // All but the first eight, in two calls each.
    expect(held).toHaveLength(40);
    expect([...readFileSync(path)]).toEqual(expected);
    expect(turns).toBeGreaterThanOrEqual(20);
  });

  test('one that fails: its error, and a closed file stays closed', async () => {
    const { calls, held } = noting(100);
    const failing = Object.assign(new Error('disk full'), { code: 'ENOSPC' });
    let fails = false;
    const sometimes: DiskCalls = {
      ...calls,
      held: {
        ...calls.held!,
        write: (...args) => {
          if (fails) throw failing;
          return calls.held!.write(...args);
        },
      },
    };
    const handle = await new DiskFileSystem(sometimes).open(join(directory, 'file'), 'create');
    for (let i = 0; i < 9; i++) await handle.writeThrough(Uint8Array.of(1), i, true);
    expect(held).toHaveLength(1);
    fails = true;
    await expect(handle.writeThrough(Uint8Array.of(1), 0, true)).rejects.toBe(failing);
    await handle.close();
    await expect(handle.writeThrough(Uint8Array.of(1), 0, true)).rejects.toMatchObject({
      code: 'EBADF',
    });
  });
});
