/*
 * The lock of a directory: a lock of the kernel on an open file. The kernel drops it when the
 * process ends, however it ends, so a killed holder blocks nobody; no process id and no time is
 * relied upon. The file itself stays: unlinking it would let a second holder lock a new one.
 *
 * On Linux it is an open file description lock: it conflicts inside one process too, and closing
 * another descriptor of the file does not drop it. docs/adr/0003-directory-lock.md has the choice.
 */
import { IncompatibleError } from '../errors.ts';
import { openFlags, type DiskCalls } from './disk-calls.ts';
import type { FileLock } from './file-system.ts';

const addonName = 'fs-native-extensions';

/** What is needed of the native package. */
export interface KernelLocking {
  /** True when this descriptor holds the lock now, false when another one holds it. */
  tryLock(fd: number): boolean;
  unlock(fd: number): void;
}

/** Loads the native package; by default when the first lock is taken, and not before. */
export type LoadKernelLocking = () => Promise<KernelLocking>;

const loadAddon: LoadKernelLocking = () => import('fs-native-extensions');

/**
 * Takes the lock of the file at the path, which is created if absent.
 *
 * @throws IncompatibleError CODEC_UNAVAILABLE when the native package cannot be loaded.
 */
export async function takeKernelLock(
  calls: DiskCalls,
  path: string,
  load: LoadKernelLocking = loadAddon,
): Promise<FileLock | undefined> {
  const locking = await loadLocking(load);
  const fd = await calls.open(path, openFlags.lock);
  let held = false;
  try {
    held = locking.tryLock(fd);
  } finally {
    if (!held) await calls.close(fd);
  }
  return held ? new KernelLock(calls, locking, fd) : undefined;
}

class KernelLock implements FileLock {
  readonly #calls: DiskCalls;
  readonly #locking: KernelLocking;
  readonly #fd: number;
  #released = false;

  constructor(calls: DiskCalls, locking: KernelLocking, fd: number) {
    this.#calls = calls;
    this.#locking = locking;
    this.#fd = fd;
  }

  async release(): Promise<void> {
    // After the first time the descriptor's number may belong to another file.
    if (this.#released) return;
    this.#released = true;
    try {
      this.#locking.unlock(this.#fd);
    } finally {
      await this.#calls.close(this.#fd);
    }
  }
}

async function loadLocking(load: LoadKernelLocking): Promise<KernelLocking> {
  try {
    return await load();
  } catch (error) {
    throw new IncompatibleError(
      'CODEC_UNAVAILABLE',
      `the native package that locks files cannot be loaded here: ${addonName}`,
      { package: addonName, platform: process.platform, arch: process.arch },
      error,
    );
  }
}
