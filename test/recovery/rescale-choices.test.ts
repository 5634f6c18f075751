/*
 * What belongs to no key group where stores are joined: positions of the sources and state holders. Who
 * decides where they differ.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import type { RestoreOptions, StateHolder } from '../../src/engine/index.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { codeOf, errorOf } from '../engine/engine-fixture.ts';
import { both, fill, Halves } from './halves.ts';
import { dir } from './reader-store.ts';

let halves: Halves;

beforeEach(() => {
  halves = new Halves();
});

describe('positions', () => {
  async function diverged(): Promise<void> {
    await halves.split(fill);
    await halves.within(
      '/low',
      async (engine) => void (await engine.commit({ positions: { source: 5 } })),
    );
    await halves.within(
      '/high',
      async (engine) => void (await engine.commit({ positions: { other: 7 } })),
    );
  }

  async function positionsWith(options: Partial<RestoreOptions>): Promise<unknown> {
    await halves.restored({ from: both, ...options });
    const reader = await openReaderWith({ dir: '/joined' }, halves.on);
    const positions = reader.positions();
    await reader.close();
    return positions;
  }

  test('that differ: POSITIONS_DIFFER, which names them, and nothing stays that is in the way', async () => {
    await diverged();
    const error = await errorOf(halves.restored({ from: both }));
    expect(error).toMatchObject({ code: 'POSITIONS_DIFFER', kind: 'invalid' });
    expect(error.details).toMatchObject({
      source: 'source',
      positions: [
        { dir: '/low', position: 5 },
        { dir: '/high', position: 1 },
      ],
    });
    expect(await positionsWith({ positions: 0 })).toEqual({ source: 5 });
  });

  test('that only one store has: a difference, and none with union', async () => {
    await halves.split(fill);
    await halves.within(
      '/high',
      async (engine) => void (await engine.commit({ positions: { other: 7 } })),
    );
    const error = await errorOf(halves.restored({ from: both }));
    expect(error).toMatchObject({ code: 'POSITIONS_DIFFER', details: { source: 'other' } });
    expect(await positionsWith({ positions: 'union' })).toEqual({ source: 1, other: 7 });
  });

  test('with union, one that two stores have differently: POSITIONS_DIFFER', async () => {
    await diverged();
    expect(await codeOf(halves.restored({ from: both, positions: 'union' }))).toBe(
      'POSITIONS_DIFFER',
    );
  });

  test('those of a store: exactly these', async () => {
    await diverged();
    expect(await positionsWith({ positions: 1 })).toEqual({ source: 1, other: 7 });
  });

  test('given ones: exactly these, of a whole store as well', async () => {
    await diverged();
    expect(await positionsWith({ positions: { source: [1, 'a'] } })).toEqual({ source: [1, 'a'] });
    await halves.restored({ to: '/given', positions: { mine: 3 } });
    const reader = await openReaderWith({ dir: '/given' }, halves.on);
    expect(reader.positions()).toEqual({ mine: 3 });
    await reader.close();
    expect(await halves.dump('/given')).toEqual(await halves.dump(dir));
  });
});

describe('state holders', () => {
  const holder = (state: { text: string }, name = 'mine'): StateHolder => ({
    name,
    schemaVersion: '1.0.0',
    serialize: () => Buffer.from(state.text),
    deserialize: (bytes: Uint8Array) => void (state.text = Buffer.from(bytes).toString()),
  });

  async function holds(where: string, text?: string): Promise<string> {
    const state = { text: '' };
    await halves.within(where, async (engine) => {
      engine.register(holder(state));
      if (text === undefined) return;
      state.text = text;
      await engine.commit();
    });
    return state.text;
  }

  async function splitWithHolder(): Promise<void> {
    await halves.split((engine) => {
      fill(engine);
      engine.register(holder({ text: 'as it was' }));
    });
  }

  test('of a store that is split: in every part, whatever its key groups', async () => {
    await splitWithHolder();
    expect([await holds('/low'), await holds('/high')]).toEqual(['as it was', 'as it was']);
    await halves.restored({ from: both });
    expect(await holds('/joined')).toBe('as it was');
    await halves.dump('/joined');
  });

  test('that differ: HOLDERS_DIFFER, unless a store is chosen', async () => {
    await splitWithHolder();
    await holds('/low', 'low');
    await holds('/high', 'high');
    const error = await errorOf(halves.restored({ from: both }));
    expect(error).toMatchObject({
      code: 'HOLDERS_DIFFER',
      details: { stores: ['/low', '/high'] },
    });
    await halves.restored({ from: both, holders: 1 });
    expect(await holds('/joined')).toBe('high');
    await halves.restored({ from: both, holders: 0, to: '/other' });
    expect(await holds('/other')).toBe('low');
    await halves.dump('/joined');
  });

  test('that only one store has: its own', async () => {
    await halves.split(fill);
    await holds('/high', 'late');
    await halves.restored({ from: both });
    expect(await holds('/joined')).toBe('late');
  });

  test('beside chosen operators: left behind', async () => {
    await splitWithHolder();
    await halves.restored({ from: both, operators: ['op'] });
    expect(await holds('/joined')).toBe('');
  });
});
