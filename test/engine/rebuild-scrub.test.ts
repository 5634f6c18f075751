/*
 * Damage that verification finds in the file of a snapshot, whose slices may all be in memory: the chain
 * is made anew all the same, since the next opening would need the file.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { codeOf, open, pathsIn, type World } from './engine-fixture.ts';
import {
  damageIn,
  expectWhole,
  flip,
  opened,
  otherBase,
  rebuildEnded,
  stored,
} from './rebuild-world.ts';

async function verifyNewest(engine: Engine): Promise<void> {
  await engine.verify({ checkpoint: (await engine.checkpoints()).at(-1)!.id });
}

const ways: readonly (readonly [string, (engine: Engine) => Promise<unknown>])[] = [
  ['scrub', (engine) => engine.scrub()],
  ['verify', (engine) => engine.verify({ level: 'standard' })],
  ['verify of one checkpoint', verifyNewest],
];

/** All snapshots but some, and the log below the newest checkpoint. */
async function damageAll(world: World, sound: readonly string[] = []): Promise<void> {
  for (const path of await pathsIn(world.fs, 'snapshots')) {
    if (!sound.some((name) => path.endsWith(name))) await flip(world.fs, path);
  }
  const logs = await pathsIn(world.fs, 'wal');
  await flip(
    world.fs,
    logs.find((path) => path.endsWith('.wal'))!,
    0.05,
  );
}

describe('damage of a snapshot of the chain, all of which is in memory', () => {
  test.each(ways)('%s finds it: the chain is made anew, and opens', async (_, look) => {
    const { world, newest } = await stored();
    const heard = await opened(world, { prefetch: 'aggressive' });
    const { engine, events } = heard;
    const { name } = newest.chain[0]!;
    await damageIn(world, name);
    await look(engine);
    // Reads go on from memory.
    expectWhole(engine);
    expect(engine.stats().residency.blocksRead).toBe(0);
    await rebuildEnded(heard);
    expect(events).toMatchObject([
      { outcome: 'found', snapshot: name, error: { code: 'CORRUPT_SNAPSHOT' } },
      { outcome: 'rebuilt', snapshot: name },
    ]);
    expectWhole(engine);
    // Known already: nothing is told again, and the chain is sound.
    await look(engine);
    await engine.checkpoint();
    expect(events).toHaveLength(2);
    await engine.close();
    const again = await open(world, { prefetch: 'aggressive', verification: 'full' });
    expect(again.recovery).toMatchObject({ path: 'newest', skipped: [] });
    expectWhole(again);
    await again.close();
  });

  test('no file and no log lead to it: it is made of what is in memory', async () => {
    const { world } = await stored();
    const heard = await opened(world, { prefetch: 'aggressive' });
    const { engine, events } = heard;
    await damageAll(world);
    await engine.scrub();
    await rebuildEnded(heard);
    expect(events.at(-1)).toMatchObject({ outcome: 'rebuilt' });
    expect((await engine.checkpoints()).at(-1)!.merge!.why).toContain('in memory');
    expectWhole(engine);
    await engine.close();
    const again = await open(world, { prefetch: 'aggressive', verification: 'full' });
    expect(again.recovery.path).toBe('newest');
    expectWhole(again);
    await again.close();
  });

  test('checksums hold, the digest does not, and no way is left: nothing is published on it', async () => {
    const { world, newest } = await stored('x', { compression: 'none' });
    const { name } = newest.chain[0]!;
    // Of another state, and otherwise in order: so is what the opening brings into memory.
    await world.fs.put(`/store/${name}`, await otherBase(newest.chain[0]!));
    const named = newest.chain.map((link) => link.name);
    await damageAll(world, named);
    const heard = await opened(world, { prefetch: 'aggressive' });
    const { engine, events, failures } = heard;
    const records = (await engine.checkpoints()).length;
    expect((await engine.scrub()).faults.map(({ path }) => path)).not.toContain(`/store/${name}`);
    await engine.verify();
    await rebuildEnded(heard);
    expect(events.at(-1)).toMatchObject({ outcome: 'lost', snapshot: name });
    expect(failures).toEqual([events.at(-1)!.cause]);
    engine.operator('o').value('v').set(599, 'round 1 again');
    await engine.commit();
    for (const kind of ['delta', 'base'] as const) {
      expect(await codeOf(engine.checkpoint({ kind }))).toBe('CORRUPT_SNAPSHOT');
    }
    expect(await codeOf(engine.merge())).toBe('CORRUPT_SNAPSHOT');
    expect(await engine.checkpoints()).toHaveLength(records);
    await engine.close();
  });
});

test('damage of a snapshot that the state does not need: no rebuild, and retention counts it no more', async () => {
  const { world } = await stored();
  const { engine, events } = await opened(world);
  const records = await engine.checkpoints();
  const [first] = records;
  const spare = first!.chain[0]!.name;
  const before = await engine.collect({ dryRun: true });
  expect(before.plan.hold).toBeUndefined();
  await damageIn(world, spare);
  await engine.verify();
  expect(events).toMatchObject([{ outcome: 'found', snapshot: spare }]);
  const { plan } = await engine.collect({ dryRun: true });
  expect(plan.hold).toContain('nothing replaces it');
  expect(await engine.checkpoints()).toHaveLength(records.length);
  await engine.close();
});

test('a slice that is not in memory: its reads throw what the scrub has found, until it is made anew', async () => {
  const { world, newest } = await stored();
  const heard = await opened(world);
  const { engine, events } = heard;
  await damageIn(world, newest.chain[0]!.name);
  const thrown: unknown[] = [];
  engine.on('damage', ({ outcome }) => {
    if (outcome !== 'found') return;
    for (let i = 0; i < 600; i++) {
      try {
        engine.operator('o').value('v').get(i);
      } catch (error) {
        thrown.push(error);
      }
    }
  });
  await engine.scrub();
  await rebuildEnded(heard);
  expect(thrown.length).toBeGreaterThan(100);
  expect(new Set(thrown)).toEqual(new Set([events[0]!.error]));
  expectWhole(engine);
  await engine.close();
});
