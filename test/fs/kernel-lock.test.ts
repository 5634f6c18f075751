import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { IncompatibleError } from '../../src/errors.ts';
import { blockingFileSystem } from '../../src/fs/blocking-file-system.ts';
import { takeKernelLock } from '../../src/fs/kernel-lock.ts';
import { asynchronousCalls, nodeFileSystem } from '../../src/fs/node-file-system.ts';

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Opens the lock file, says whether it got the lock, and stays until it is killed. */
const holder = `
  const fs = require('node:fs');
  const { tryLock } = require('fs-native-extensions');
  const fd = fs.openSync(process.argv[1], fs.constants.O_RDWR | fs.constants.O_CREAT);
  console.log(tryLock(fd) ? 'held' : 'refused');
  setInterval(() => {}, 1_000_000);
`;

/** Takes the lock, then starts a process that outlives it, and says that process's id. */
const holderWithChild = `
  const fs = require('node:fs');
  const { spawn } = require('node:child_process');
  const { tryLock } = require('fs-native-extensions');
  const fd = fs.openSync(process.argv[1], fs.constants.O_RDWR | fs.constants.O_CREAT);
  if (!tryLock(fd)) throw new Error('refused');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1_000_000)'], {
    detached: true, stdio: 'ignore',
  });
  child.on('spawn', () => console.log(child.pid));
  setInterval(() => {}, 1_000_000);
`;

describe('lock across processes', () => {
  let directory: string;
  let path: string;
  let children: ChildProcess[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-lock-'));
    path = join(directory, 'LOCK');
    children = [];
  });
  afterEach(async () => {
    for (const child of children) await kill(child);
    rmSync(directory, { recursive: true });
  });

  async function start(script: string): Promise<{ child: ChildProcess; line: string }> {
    const child = spawn(process.execPath, ['-e', script, path], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    return { child, line };
  }

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  test('held by another process: undefined, and taken once that process is killed', async () => {
    const { child, line } = await start(holder);
    expect(line).toBe('held');
    expect(await nodeFileSystem.lock(path)).toBeUndefined();
    expect(await blockingFileSystem.lock(path)).toBeUndefined();
    await kill(child);
    const lock = await nodeFileSystem.lock(path);
    expect(lock).toBeDefined();
    await lock!.release();
  });

  test('held here: another process is refused, and gets it after the release', async () => {
    const lock = await nodeFileSystem.lock(path);
    expect((await start(holder)).line).toBe('refused');
    await lock!.release();
    expect((await start(holder)).line).toBe('held');
  });

  test('held through one file system: the other one of this process is refused', async () => {
    const lock = await nodeFileSystem.lock(path);
    expect(await blockingFileSystem.lock(path)).toBeUndefined();
    await lock!.release();
    const second = await blockingFileSystem.lock(path);
    expect(second).toBeDefined();
    expect(await nodeFileSystem.lock(path)).toBeUndefined();
    await second!.release();
  });

  test('other descriptors of the file opened and closed here: the lock holds', async () => {
    const lock = await nodeFileSystem.lock(path);
    await (await nodeFileSystem.open(path, 'read')).close();
    await (await nodeFileSystem.open(path, 'write')).close();
    closeSync(openSync(path, 'r+'));
    expect(await nodeFileSystem.lock(path)).toBeUndefined();
    expect((await start(holder)).line).toBe('refused');
    await lock!.release();
  });

  test('the holder is killed while a process that it started lives on: free', async () => {
    const { child, line } = await start(holderWithChild);
    const orphan = Number(line);
    try {
      expect(await nodeFileSystem.lock(path)).toBeUndefined();
      await kill(child);
      expect(() => process.kill(orphan, 0)).not.toThrow();
      const lock = await nodeFileSystem.lock(path);
      expect(lock).toBeDefined();
      await lock!.release();
    } finally {
      process.kill(orphan, 'SIGKILL');
    }
  });

  test('the native package cannot be loaded: CODEC_UNAVAILABLE with its name and the cause', async () => {
    const cause = new Error('no prebuilt binary');
    const attempt = takeKernelLock(asynchronousCalls, path, () => Promise.reject(cause));
    const error = await attempt.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(IncompatibleError);
    expect(error).toMatchObject({
      code: 'CODEC_UNAVAILABLE',
      message: expect.stringContaining('fs-native-extensions'),
      details: { package: 'fs-native-extensions', platform: process.platform },
      cause,
    });
    expect(await nodeFileSystem.stat(path)).toBeUndefined();
  });

  test('the lock call fails for another reason: that error, and the descriptor is closed', async () => {
    const closed: number[] = [];
    const calls = {
      ...asynchronousCalls,
      close: (fd: number) => {
        closed.push(fd);
        return asynchronousCalls.close(fd);
      },
    };
    const failing = {
      tryLock: () => {
        throw Object.assign(new Error('no locks available'), { code: 'ENOLCK' });
      },
      unlock: () => {},
    };
    await expect(takeKernelLock(calls, path, async () => failing)).rejects.toMatchObject({
      code: 'ENOLCK',
    });
    expect(closed).toHaveLength(1);
  });
});
