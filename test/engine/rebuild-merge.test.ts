/*
 * Damage of a snapshot that a merge meets in its file: it is made anew as if a read had met it.
 */
import { describe, expect, test } from 'vitest';
import { codeOf, open } from './engine-fixture.ts';
import {
  damageIn,
  expectWhole,
  firstError,
  opened,
  rebuildEnded,
  stored,
} from './rebuild-world.ts';

describe('a merge meets damage in a slice that is not in memory', () => {
  test.each([
    { what: 'base', link: 0 },
    { what: 'delta', link: 1 },
  ])('of the $what: it is told, and the chain is made anew', async ({ link }) => {
    const { world, newest } = await stored();
    const { name } = newest.chain[link]!;
    await damageIn(world, name);
    const heard = await opened(world);
    const { engine, events } = heard;
    expect(await codeOf(engine.merge())).toBe('CORRUPT_SNAPSHOT');
    await rebuildEnded(heard);
    expect(events).toMatchObject([
      { outcome: 'found', snapshot: name, operator: 'o', state: 'v' },
      { outcome: 'rebuilt', snapshot: name },
    ]);
    expectWhole(engine);
    const { chain } = (await engine.checkpoints()).at(-1)!;
    expect(chain.map((one) => one.name)).not.toContain(name);
    await engine.close();
    const again = await open(world, { prefetch: 'aggressive', verification: 'full' });
    expect(again.recovery).toMatchObject({ path: 'newest', skipped: [] });
    expectWhole(again);
    await again.close();
  });

  test('in the background, behind a checkpoint: reads throw until the chain is made anew', async () => {
    const { world, newest } = await stored();
    const { name } = newest.chain[0]!;
    await damageIn(world, name);
    const heard = await opened(world, { maxChainLength: 2 });
    const { engine, events, failures } = heard;
    engine.operator('o').value('v').set(599, 'round 1 again');
    await engine.commit();
    await engine.checkpoint();
    await rebuildEnded(heard);
    expect(events.map(({ outcome }) => outcome)).toEqual(['found', 'rebuilt']);
    expect(failures).toMatchObject([{ code: 'CORRUPT_SNAPSHOT' }]);
    expectWhole(engine);
    await engine.close();
  });
});

test('a rebuild meets damage in another way: retention counts that one no more', async () => {
  const { world, newest } = await stored();
  const { name } = newest.chain[0]!;
  const heard = await opened(world);
  const { engine, events } = heard;
  const [first] = await engine.checkpoints();
  const spare = first!.chain[0]!.name;
  for (const one of [name, spare]) await damageIn(world, one);
  firstError(engine);
  await rebuildEnded(heard);
  expect(events.map(({ outcome, snapshot }) => [outcome, snapshot])).toEqual([
    ['found', name],
    ['found', spare],
    ['rebuilt', name],
  ]);
  expectWhole(engine);
  // Nothing that is sound is left beside the new base: the whole log has to stay.
  const { plan } = await engine.collect({ dryRun: true });
  expect(plan.hold).toContain('nothing replaces it');
  const rebuilt = (await engine.checkpoints()).at(-1)!;
  await engine.close();
  await damageIn(world, rebuilt.chain[0]!.name);
  const again = await open(world, { prefetch: 'aggressive' });
  expect(again.recovery.path).toBe('log');
  expectWhole(again);
  await again.close();
});
