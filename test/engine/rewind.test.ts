/*
 * Going back in place: what the engine is then, what is left of what came after, and what a second
 * opening finds.
 */
import { describe, expect, test } from 'vitest';
import { openReaderWith, type Reader } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import type { Engine, EngineOptions, Target } from '../../src/engine/index.ts';
import { codeOf, errorOf, open, pathsIn, worldOn, type World } from './engine-fixture.ts';

/** Commits of one key, several to a group; the value is the mark and the LSN. */
async function commit(engine: Engine, mark: string, count: number): Promise<number[]> {
  const value = engine.operator('op').value<string>('v');
  const waiting: Promise<{ lsn: number }>[] = [];
  for (let i = 0; i < count; i++) {
    const lsn = lastLsn(engine) + 1;
    value.set('last', `${mark}${lsn}`);
    value.set(`key ${lsn}`, mark);
    waiting.push(engine.commit({ positions: { source: `${mark}${lsn}` } }));
  }
  return (await Promise.all(waiting)).map(({ lsn }) => lsn);
}

function lastLsn(engine: Engine): number {
  return engine.stats().log.sealedLsn;
}

function last(engine: Engine): string | undefined {
  return engine.operator('op').value<string>('v').get('last');
}

async function reopened(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  world.clock.advance(1000);
  return open(world, { checkpointing: false, retention: false, ...options });
}

/** A closed store with twenty commits, and a checkpoint at the eighth. */
async function twenty(options: Partial<EngineOptions> = {}): Promise<World> {
  const world = worldOn();
  const engine = await reopened(world, options);
  await commit(engine, 'a', 8);
  await engine.checkpoint({ savepoint: 'eight' });
  await commit(engine, 'a', 12);
  await engine.close();
  return world;
}

/** A closed store that has given up the log behind its savepoint at LSN 4. */
async function collected(): Promise<World> {
  const world = worldOn();
  for (let i = 0; i < 6; i++) {
    const engine = await reopened(world, { retention: { checkpoints: 1 } });
    await commit(engine, 'a', 4);
    if (i === 0) await engine.checkpoint({ savepoint: 'four' });
    else await engine.checkpoint({ kind: 'base' });
    await engine.collect();
    await engine.close();
  }
  return world;
}

async function faults(world: World): Promise<readonly unknown[]> {
  return (await verifyStoreWith({ dir: '/store', level: 'full' }, world)).faults;
}

async function read(world: World, at: Target): Promise<unknown> {
  const reader: Reader = await openReaderWith({ dir: '/store', at }, world);
  try {
    return reader.get('op', 'v', 'last')?.value;
  } finally {
    await reader.close();
  }
}

describe('an engine that is opened at an earlier moment', () => {
  test.each([1, 7, 8, 9, 10, 14, 19])('at LSN %i: it goes on from there', async (lsn) => {
    const world = await twenty();
    const engine = await reopened(world, { recoverTo: { lsn } });
    expect(engine.recovery).toMatchObject({
      timeline: 2,
      lsn,
      rewound: { from: { timeline: 1, lsn: 20 }, to: { timeline: 1, lsn } },
    });
    expect(last(engine)).toBe(`a${lsn}`);
    expect(engine.positions).toEqual({ source: `a${lsn}` });
    expect(await commit(engine, 'b', 5)).toEqual([1, 2, 3, 4, 5].map((i) => lsn + i));
    await engine.close();
    expect(await faults(world)).toEqual([]);

    const again = await reopened(world);
    expect(again.recovery).toMatchObject({ timeline: 2, rewound: undefined, lsn: lsn + 5 });
    expect(last(again)).toBe(`b${lsn + 5}`);
    expect(again.operator('op').value('v').get(`key ${lsn}`)).toBe('a');
    expect(
      again
        .operator('op')
        .value('v')
        .get(`key ${lsn + 1}`),
    ).toBe('b');
    await again.close();
    expect(await faults(world)).toEqual([]);
  });

  test('before the first commit: it is empty, and goes on at LSN 1', async () => {
    const world = await twenty();
    const engine = await reopened(world, { recoverTo: { lsn: 0 } });
    expect(last(engine)).toBeUndefined();
    expect(await commit(engine, 'b', 2)).toEqual([1, 2]);
    await engine.close();
    expect(await faults(world)).toEqual([]);
    expect(await read(world, { lsn: 2 })).toBe('b2');
    expect(await read(world, { lsn: 2, timeline: 1 })).toBe('a2');
  });

  test('by savepoint, checkpoint and time: the moment that they name', async () => {
    for (const recoverTo of [{ savepoint: 'eight' }, { checkpoint: 1 }] as const) {
      const engine = await reopened(await twenty(), { recoverTo });
      expect(last(engine)).toBe('a8');
      await engine.close();
    }
    const world = worldOn();
    const engine = await reopened(world);
    await commit(engine, 'a', 3);
    world.clock.advance(1000);
    const between = world.clock.nowMicros();
    world.clock.advance(1000);
    await commit(engine, 'a', 3);
    await engine.close();
    const rewound = await reopened(world, { recoverTo: { timestamp: between } });
    expect(last(rewound)).toBe('a3');
    await rewound.close();
  });

  test('at its last commit: nothing is left, and no timeline is started', async () => {
    const world = await twenty();
    for (const recoverTo of ['latest', { lsn: 20 }, { timeline: 1 }] as const) {
      const engine = await reopened(world, { recoverTo });
      expect(engine.recovery).toMatchObject({ timeline: 1, rewound: undefined, lsn: 20 });
      await engine.close();
    }
    expect(await pathsIn(world.fs, 'timelines')).toEqual([]);
  });

  test('twice with the same target: it goes back again, and leaves what was committed since', async () => {
    const world = await twenty();
    for (const [mark, timeline] of [
      ['b', 2],
      ['c', 3],
    ] as const) {
      const engine = await reopened(world, { recoverTo: { lsn: 12 } });
      expect(engine.recovery.timeline).toBe(timeline);
      expect(last(engine)).toBe('a12');
      await commit(engine, mark, 3);
      await engine.close();
    }
    expect(await faults(world)).toEqual([]);
    expect(await read(world, { lsn: 15, timeline: 1 })).toBe('a15');
    expect(await read(world, { lsn: 15, timeline: 2 })).toBe('b15');
    expect(await read(world, 'latest')).toBe('c15');
  });

  test('to a future that was left: that is the past then', async () => {
    const world = await twenty();
    const engine = await reopened(world, { recoverTo: { lsn: 5 } });
    await commit(engine, 'b', 4);
    await engine.checkpoint();
    await engine.close();
    const back = await reopened(world, { recoverTo: { timeline: 1 } });
    expect(back.recovery).toMatchObject({ timeline: 3, lsn: 20 });
    expect(back.recovery.rewound).toEqual({
      from: { timeline: 2, lsn: 9 },
      to: { timeline: 1, lsn: 20 },
    });
    expect(last(back)).toBe('a20');
    await commit(back, 'c', 1);
    await back.close();
    expect(await read(world, { timeline: 2 })).toBe('b9');
    expect(await read(world, { lsn: 21 })).toBe('c21');
    expect(await faults(world)).toEqual([]);
  });

  test('where the log behind a checkpoint was given up: at the checkpoint itself', async () => {
    const world = await collected();
    expect(await codeOf(reopened(world, { recoverTo: { lsn: 5 } }))).toBe('OUT_OF_RETENTION');
    const engine = await reopened(world, { recoverTo: { savepoint: 'four' } });
    expect(engine.recovery).toMatchObject({ timeline: 2, lsn: 4 });
    expect(last(engine)).toBe('a4');
    await commit(engine, 'b', 2);
    await engine.close();
    expect(await faults(world)).toEqual([]);
    const again = await reopened(world);
    expect(last(again)).toBe('b6');
    await again.checkpoint();
    await again.close();
    const third = await reopened(world);
    expect(last(third)).toBe('b6');
    await third.close();
    expect(await faults(world)).toEqual([]);
  });

  test('at a checkpoint that stands where its segment begins: that segment stays in the log', async () => {
    const world = worldOn();
    const engine = await reopened(world);
    await commit(engine, 'a', 5);
    await engine.close();
    const second = await reopened(world);
    await second.checkpoint();
    await commit(second, 'a', 3);
    await second.close();
    const rewound = await reopened(world, { recoverTo: { lsn: 5 } });
    expect(last(rewound)).toBe('a5');
    await commit(rewound, 'b', 1);
    await rewound.close();
    expect(await faults(world)).toEqual([]);
  });

  test('a new store, and recover: false: refused', async () => {
    const world = worldOn();
    expect(await codeOf(reopened(world, { recoverTo: { lsn: 1 } }))).toBe('NOT_A_STORE');
    expect(await world.fs.stat('/store')).toBeUndefined();
    await world.fs.makeDirectory('/store');
    expect(await codeOf(reopened(world, { recoverTo: { lsn: 1 } }))).toBe('NOT_A_STORE');
    expect(await world.fs.list('/store')).toEqual([]);
    const error = await errorOf(reopened(world, { recoverTo: 'latest', recover: false }));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'recoverTo' } });
  });

  test.each([
    [{ lsn: 21 }, 'OUT_OF_RETENTION'],
    [{ checkpoint: 9 }, 'CHECKPOINT_NOT_FOUND'],
    [{ savepoint: 'nine' }, 'SAVEPOINT_NOT_FOUND'],
    [{ lsn: 1, timeline: 2 }, 'TIMELINE_NOT_FOUND'],
    [{ lsn: 1, timeline: 0 }, 'INVALID_OPTION'],
  ] as const)('at %j, which is not there: %s, and nothing was changed', async (target, code) => {
    const world = await twenty();
    expect(await codeOf(reopened(world, { recoverTo: target }))).toBe(code);
    const engine = await reopened(world);
    expect(engine.recovery).toMatchObject({ timeline: 1, lsn: 20 });
    await engine.close();
  });
});
