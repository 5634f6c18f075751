/*
 * What the tests of the engine share: small stores over a file system that can fail and crash, a
 * clock that stands still, randomness from a seed.
 */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { openEngineWith, type EngineComponents } from '../../src/engine/open-engine.ts';
import { TidemarkError } from '../../src/errors.ts';
import { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { SeededRandom } from '../tools/seeded-random.ts';

/** An engine's components, which a test may reach into. */
export interface World extends EngineComponents {
  readonly fs: FaultyFileSystem;
  readonly clock: ManualClock;
}

export function worldOn(
  fs: FaultyFileSystem = new FaultyFileSystem(),
  clock: ManualClock = new ManualClock(),
  seed = 1,
): World {
  return { fs, clock, random: new SeededRandom(seed), threads: false };
}

/** Options of a small store. */
export const small: EngineOptions = {
  dir: '/store',
  segmentBytesMax: 256 * 1024,
  keyGroups: 4,
};

export function open(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  return openEngineWith({ ...small, ...options }, world);
}

/** The error that a call fails with, which has to be one of ours. */
export async function errorOf(action: Promise<unknown> | (() => unknown)): Promise<TidemarkError> {
  try {
    await (typeof action === 'function' ? action() : action);
  } catch (error) {
    expect(error).toBeInstanceOf(TidemarkError);
    return error as TidemarkError;
  }
  throw new Error('the call has not failed');
}

export async function codeOf(action: Promise<unknown> | (() => unknown)): Promise<string> {
  return (await errorOf(action)).code;
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(turns = 50): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Digest of every file, by path. */
export async function digests(fs: FaultyFileSystem): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [path, bytes] of await fs.contents()) {
    if (!path.endsWith('/LOCK')) found[path] = createHash('sha256').update(bytes).digest('hex');
  }
  return found;
}

/** Paths of files below a directory of the store. */
export async function pathsIn(fs: FaultyFileSystem, directory: string): Promise<string[]> {
  const paths = [...(await fs.contents()).keys()];
  return paths.filter((path) => path.startsWith(`/store/${directory}/`));
}

/** The only file below a directory. */
export async function onlyPath(fs: FaultyFileSystem, directory: string): Promise<string> {
  const paths = await pathsIn(fs, directory);
  expect(paths).toHaveLength(1);
  return paths[0]!;
}

/** A promise that the test settles. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open: () => void = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

/** Bytes that look random and are the same for the same seed. */
export function noise(bytes: number, seed = 1): Uint8Array {
  const made = new Uint8Array(bytes);
  let state = seed >>> 0;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    made[i] = state >>> 24;
  }
  return made;
}
