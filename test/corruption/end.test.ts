/*
 * A young store whose whole log is one segment, without a checkpoint: only its own end proves it.
 */
import { expect, test } from 'vitest';
import {
  cuts,
  flips,
  offsetsOf,
  oldCopies,
  removals,
  zeroedSectors,
  type Damages,
} from './damages.ts';
import { kindOf } from './kinds.ts';
import { young, type Sample } from './stores.ts';
import { expectMore, longStride, sweep, tell, timeout } from './sweep.ts';

function* inEvery(sample: Sample, each: (path: string, bytes: number) => Damages): Damages {
  for (const [path, { length }] of sample.files) {
    if (kindOf(path) !== 'segment to come') yield* each(path, length);
  }
}

test('a flipped byte of a young store: nothing that is proved is lost', { timeout }, async () => {
  const { closed } = await young();
  const damages = inEvery(closed, (path, bytes) => {
    const head = path.endsWith('.wal') ? 192 : 24;
    return flips(closed, path, offsetsOf(bytes, { stride: longStride ?? 61, head }));
  });
  const counts = await sweep(closed, damages);
  tell('flipped bytes, young', counts);
  expectMore(counts, 'refused', 150);
  expect(counts).toMatchObject({ cut: 0, unseen: 0 });
});

test(
  'a young store loses a sector, its end or a file, or has an old one: nothing that is proved is lost',
  { timeout },
  async () => {
    for (const sample of Object.values(await young())) {
      const choice = { stride: longStride ?? 101, end: 1 };
      const all = function* (): Damages {
        yield* removals(sample);
        yield* oldCopies(sample);
        yield* inEvery(sample, (path) => zeroedSectors(sample, path));
        yield* inEvery(sample, (path, bytes) => cuts(sample, path, offsetsOf(bytes, choice)));
      };
      const counts = await sweep(sample, all());
      tell(`young, ${sample.name}`, counts);
      expectMore(counts, 'tried', 60);
      expectMore(counts, 'refused', 30);
      // One sector, and an old copy of the only segment, are behind the last proof.
      expect(counts.cut + counts.unseen).toBeLessThan(8);
    }
  },
);
