/*
 * A store of which snapshots are damaged behind the back of an open engine, and what it tells of that.
 */
import { expect } from 'vitest';
import type { CheckpointRecord, DamageEvent, Engine } from '../../src/engine/index.ts';
import type { EngineOptions } from '../../src/engine/index.ts';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import type { ChainLink } from '../../src/checkpoint/checkpoint-record.ts';
import { open, pathsIn, settle, worldOn, type World } from './engine-fixture.ts';

export const count = 600;

/** A base, a base above it, a delta, and a log behind; the values say when they were set. */
export async function stored(
  filler = 'x',
  options: Partial<EngineOptions> = {},
): Promise<{ world: World; oldest: CheckpointRecord; newest: CheckpointRecord }> {
  const world = worldOn();
  const engine = await open(world, options);
  const set = async (from: number, to: number, round: number): Promise<void> => {
    const state = engine.operator('o').value<string>('v');
    for (let i = from; i < to; i++) state.set(i, `round ${round} `.padEnd(300, filler));
    engine.operator('o').counter('n').add('n', 1);
    await engine.commit({ positions: { source: round } });
  };
  await set(0, count, 1);
  const oldest = await engine.checkpoint();
  await set(100, 300, 2);
  await engine.checkpoint({ kind: 'base' });
  await set(200, 400, 3);
  engine.operator('o').value('v').delete(7);
  await engine.commit();
  const newest = await engine.checkpoint({ kind: 'delta' });
  await set(500, 510, 4);
  await engine.close();
  return { world, oldest, newest };
}

const roundOf = (i: number): number | undefined => {
  if (i === 7) return undefined;
  if (i >= 500 && i < 510) return 4;
  if (i >= 200 && i < 400) return 3;
  return i >= 100 && i < 300 ? 2 : 1;
};

export function read(engine: Engine, i: number): number | undefined {
  const text = engine.operator('o').value<string>('v').get(i);
  return text === undefined ? undefined : Number(text.split(' ')[1]);
}

export function expectWhole(engine: Engine): void {
  for (let i = 0; i < count; i++) expect(read(engine, i)).toBe(roundOf(i));
  expect(engine.operator('o').counter('n').get('n')).toBe(4);
  expect(engine.positions).toEqual({ source: 4 });
}

/** Flips a byte of a file in the middle, or back. */
export async function flip(fs: FaultyFileSystem, path: string, share = 0.5): Promise<void> {
  const bytes = await fs.read(path);
  bytes[Math.floor(bytes.length * share)]! ^= 1;
  await fs.put(path, bytes);
}

export interface Heard {
  readonly engine: Engine;
  readonly events: DamageEvent[];
  readonly failures: unknown[];
}

export async function opened(world: World, options: Partial<EngineOptions> = {}): Promise<Heard> {
  const engine = await open(world, { prefetch: 'none', checkpointing: false, ...options });
  const events: DamageEvent[] = [];
  const failures: unknown[] = [];
  engine.on('damage', (event) => events.push(event));
  engine.on('failure', (error) => failures.push(error));
  return { engine, events, failures };
}

/** Reads until one throws. */
export function firstError(engine: Engine): unknown {
  for (let i = 0; i < count; i++) {
    try {
      read(engine, i);
    } catch (error) {
      return error;
    }
  }
  return undefined;
}

/** Flips a byte in the middle of a snapshot. */
export function damageIn(world: World, name: string): Promise<void> {
  return flip(world.fs, `/store/${name}`);
}

/** Waits until a rebuild has ended, well or not. */
export async function rebuildEnded({ events }: Heard): Promise<void> {
  while (!events.some(({ outcome }) => outcome !== 'found')) await settle(1);
}

/** The file that a store of other values, and otherwise the same, has where this one has a base. */
export async function otherBase(base: ChainLink): Promise<Uint8Array> {
  const { world } = await stored('y', { compression: 'none' });
  const id = base.name.slice(-10);
  const path = (await pathsIn(world.fs, 'snapshots')).find((one) => one.endsWith(id))!;
  const bytes = await world.fs.read(path);
  expect(bytes).toHaveLength(base.bytes);
  expect(path).not.toContain(base.sha256);
  return bytes;
}
