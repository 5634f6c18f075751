/*
 * Files under each other's names, under two names, gone, or as they were before.
 */
import { expect, test } from 'vitest';
import { duplicates, oldCopies, overwritten, removals, swaps } from './damages.ts';
import { everyKind } from './stores.ts';
import { isLong, sweep, tell } from './sweep.ts';

const timeout = isLong ? 7_200_000 : 300_000;

/** Every so many, from the first on; all in a long run. */
function* oneIn<T>(every: number, all: Iterable<T>): Generator<T> {
  let at = 0;
  for (const one of all) if (isLong || at++ % every === 0) yield one;
}

for (const name of ['closed', 'running'] as const) {
  test(`two files of a kind are swapped, or one overwritten, ${name}`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, oneIn(3, swaps(sample)));
    tell(`swapped files, ${name}`, counts);
    expect(counts.tried).toBeGreaterThan(25);
    expect(counts.refused).toBeGreaterThan(5);
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
    const more = await sweep(sample, oneIn(6, overwritten(sample)));
    tell(`overwritten files, ${name}`, more);
    expect(more.tried).toBeGreaterThan(25);
    expect(more).toMatchObject({ cut: 0, unseen: 0 });
  });

  test(`a file is there under two names, ${name}`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, duplicates(sample));
    tell(`files under two names, ${name}`, counts);
    expect(counts.tried).toBeGreaterThan(50);
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
  });

  test(`a file is gone, ${name}`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, removals(sample));
    tell(`files removed, ${name}`, counts);
    expect(counts.tried).toBe(sample.files.size);
    expect(counts.refused).toBeGreaterThan(3);
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
  });

  test(
    `an old copy of a file: only what nothing else proves is lost, ${name}`,
    { timeout },
    async () => {
      const sample = (await everyKind())[name];
      const counts = await sweep(sample, oldCopies(sample));
      tell(`old copies, ${name}`, counts);
      expect(counts.tried).toBeGreaterThan(40);
      expect(counts.unseen).toBeLessThanOrEqual(2);
    },
  );
}
