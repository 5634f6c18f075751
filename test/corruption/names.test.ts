/*
 * Files under each other's names, under two names, gone, or as they were before.
 */
import { expect, test } from 'vitest';
import { duplicates, oldCopies, overwritten, removals, swaps } from './damages.ts';
import { everyKind } from './stores.ts';
import { expectMore, oneIn, sweep, tell, timeout } from './sweep.ts';

for (const name of ['closed', 'running'] as const) {
  test(`two files of a kind are swapped, or one overwritten, ${name}`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, oneIn(3, swaps(sample)));
    tell(`swapped files, ${name}`, counts);
    expectMore(counts, 'tried', 25);
    expectMore(counts, 'refused', 5);
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
    const more = await sweep(sample, oneIn(6, overwritten(sample)));
    tell(`overwritten files, ${name}`, more);
    expectMore(more, 'tried', 25);
    expect(more).toMatchObject({ cut: 0, unseen: 0 });
  });

  test(`a file is there under two names, ${name}`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, duplicates(sample));
    tell(`files under two names, ${name}`, counts);
    expectMore(counts, 'tried', 50);
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
  });

  test(`a file is gone, ${name}`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, removals(sample));
    tell(`files removed, ${name}`, counts);
    expectMore(counts, 'tried', sample.files.size - 1);
    expectMore(counts, 'refused', 3);
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
  });

  test(
    `an old copy of a file: only what nothing else proves is lost, ${name}`,
    { timeout },
    async () => {
      const sample = (await everyKind())[name];
      const counts = await sweep(sample, oldCopies(sample));
      tell(`old copies, ${name}`, counts);
      expectMore(counts, 'tried', 40);
      expect(counts.unseen).toBeLessThanOrEqual(2);
    },
  );
}
