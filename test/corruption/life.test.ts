/*
 * Every moment of a store's life, and one of its files gone, as it was before, or without a sector at
 * the end of the log: what each step has proved stays.
 */
import { test } from 'vitest';
import { oldCopies, removals, zeroedSectors, type Damages } from './damages.ts';
import { lifeOf, type Sample } from './stores.ts';
import { expectMore, oneIn, sweep, tell, timeout, type Counts } from './sweep.ts';

function* allOf(sample: Sample): Damages {
  yield* oneIn(2, removals(sample));
  yield* oneIn(2, oldCopies(sample));
  const newest = [...sample.files.keys()].findLast((path) => path.endsWith('.wal'));
  if (newest !== undefined) yield* zeroedSectors(sample, newest);
}

test(
  'a file is gone, old, or short of a sector, at every moment: nothing proved is lost',
  { timeout },
  async () => {
    const total: Counts = { tried: 0, refused: 0, reported: 0, unneeded: 0, cut: 0, unseen: 0 };
    for (const sample of await lifeOf()) {
      const counts = await sweep(sample, allOf(sample));
      tell(`behind ${sample.name}`, counts);
      for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += counts[name];
    }
    expectMore(total, 'tried', 150);
    expectMore(total, 'refused', 20);
    expectMore(total, 'reported', 10);
    expectMore(total, 'unseen', 0);
  },
);
