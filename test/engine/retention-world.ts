/*
 * Small stores that tests of retention fill: commits that fill segments, checkpoints, bases.
 */
import { expect } from 'vitest';
import type { CollectionReport, Engine, EngineOptions } from '../../src/engine/index.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { noise, open, pathsIn, type World } from './engine-fixture.ts';

/** Segments that a few commits fill, and a chain that is merged when the test says so. */
export const tiny: Partial<EngineOptions> = {
  segmentBytesMax: 256 * 1024,
  maxChainLength: 1000,
  cleanupMs: false,
};

/** Commits so many changes, which fill half a segment each; the value of `last` counts them. */
export async function write(engine: Engine, commits = 4, bytes = 120_000): Promise<void> {
  const state = engine.operator('op').value<number | Uint8Array>('v');
  for (let i = 0; i < commits; i++) {
    const next = ((state.get('last') as number | undefined) ?? 0) + 1;
    state.set('last', next);
    state.set(next % 5, noise(bytes, next));
    await engine.commit();
  }
}

/** Commits, and checkpoints of the given kinds between them. */
export async function fill(
  engine: Engine,
  kinds: readonly ('delta' | 'base')[],
  commits = 4,
): Promise<void> {
  for (const kind of kinds) {
    await write(engine, commits);
    await engine.checkpoint({ kind });
  }
}

/** Bases with deltas behind each, enough of them that the first can go. */
export const threeBases = [
  'delta',
  'delta',
  'delta',
  'base',
  'delta',
  'delta',
  'base',
  'delta',
  'delta',
] as const;

export const opened = (world: World, options: Partial<EngineOptions> = {}): Promise<Engine> =>
  open(world, { ...tiny, ...options });

/** Waits for collections that have been begun by themselves. */
export async function collected(engine: Engine): Promise<CollectionReport> {
  return engine.collect({ dryRun: true });
}

export async function idsOf(engine: Engine): Promise<number[]> {
  return (await engine.checkpoints()).map(({ id }) => id);
}

/** How many objects of each kind there are. */
export async function counts(
  fs: FaultyFileSystem,
): Promise<{ records: number; snapshots: number; segments: number }> {
  const segments = (await pathsIn(fs, 'wal')).filter((path) => path.endsWith('.wal'));
  return {
    records: (await pathsIn(fs, 'checkpoints')).length,
    snapshots: (await pathsIn(fs, 'snapshots')).length,
    segments: segments.length,
  };
}

/** Every byte that the store needs is sound. */
export async function expectSound(world: World): Promise<void> {
  const { faults } = await verifyStoreWith({ dir: '/store' }, world);
  expect(faults).toEqual([]);
}
