/*
 * What an opening leaves on the JS heap: state is served from images outside of it, so neither
 * entries nor replayed commits become objects. Measured after full collections; the bounds are a
 * small part of what one object an entry would take.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { openEngineWith, type EngineComponents } from '../../src/engine/open-engine.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import type { Engine } from '../../src/engine/index.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

async function heapBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  return getHeapStatistics().used_heap_size;
}

const count = 100_000;
const bytesMax = 2 * 1024 * 1024;

function components(): EngineComponents {
  const fs = new MemoryFileSystem();
  return { fs, clock: systemClock, random: systemRandom, threads: false };
}

const open = (on: EngineComponents): Promise<Engine> => openEngineWith({ dir: '/store' }, on);

/** Bytes of heap that an opening takes; the state is looked at, not walked through. */
async function openedBytes(on: EngineComponents, key: number): Promise<number> {
  const before = await heapBytes();
  const engine = await open(on);
  expect(engine.operator('op').value('v').get(key)).toEqual({ n: key });
  const bytes = (await heapBytes()) - before;
  await engine.close();
  return bytes;
}

describe('the heap after an opening', () => {
  test('a hundred thousand entries in a checkpoint: no object an entry', async () => {
    const on = components();
    const engine = await open(on);
    const state = engine.operator('op').value('v');
    for (let n = 0; n < count; n++) {
      state.set(n, { n });
      if (n % 5000 === 4999) await engine.commit();
    }
    await engine.checkpoint();
    await engine.close();
    expect(await openedBytes(on, count - 1)).toBeLessThan(bytesMax);
  });

  test('a hundred thousand commits to be replayed: no object a commit', async () => {
    const on = components();
    const engine = await open(on);
    const state = engine.operator('op').value('v');
    for (let n = 0; n < count; n++) {
      state.set(n % 50_000, { n: n % 50_000 });
      const done = engine.commit({ durability: 'memory' });
      if (n % 1000 === 999) await done;
    }
    await engine.close();
    expect(await openedBytes(on, 49_999)).toBeLessThan(bytesMax);
  });
});
