/*
 * A crash while an opening writes the seal mark of the segment before its own (L5): the mark is
 * garbage, the successor is in and proves its copies, so no later opening takes that segment for its
 * predecessor. The next one writes the mark anew.
 */
import { expect, test } from 'vitest';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { allKept, SeededRandom, type PageFate } from '../../src/testing/index.ts';
import { Script } from './script.ts';

test('a seal mark that an opening was writing is garbage: the next opening writes it anew (L5)', async () => {
  const first = new Script();
  await first.open();
  await first.commit();
  for (let n = 0; n < 3; n++) await first.commit(300, 'os');
  const second = new Script(first.fs.crash('kept'), first.expected, 2);
  second.record();
  await second.open();
  const sealing = second.moments.find(
    ({ call }) => call?.call === 'sync' && call.path === '/store/wal/0000000001-00000001.wal',
  )!;
  const page = (): PageFate => 'garbled';
  let repaired = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed);
    const fs = second.fs.restart(sealing.point.image({ ...allKept, page }, random));
    const third = new Script(fs, second.expected, 3);
    const on = { fs, clock: third.clock, random, threads: false };
    const faults = async (): Promise<string[]> => {
      const report = await verifyStoreWith({ dir: '/store' }, on);
      return report.faults.map(({ what }) => what);
    };
    // Where few bytes differ, it is taken for damage of a mark that was there.
    if ((await faults()).includes('seal mark is damaged')) repaired++;
    await third.open();
    await third.commit();
    await third.close();
    expect(await faults()).toEqual([]);
  }
  expect(repaired).toBeGreaterThan(0);
});
