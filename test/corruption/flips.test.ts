/*
 * One byte of one file is another: all of headers and footers, and a stride of the rest.
 */
import { expect, test } from 'vitest';
import { flips, offsetsOf, type Choice, type Damage } from './damages.ts';
import { kindOf } from './kinds.ts';
import { everyKind, type Sample } from './stores.ts';
import { expectMore, isLong, longStride, sweep, tell, timeout } from './sweep.ts';

/** The newest file of each kind has its headers tried whole; of the others one byte in so many. */
function choiceOf({ files }: Sample, path: string): Choice {
  if (longStride !== undefined) return { stride: longStride };
  const newest = [...files.keys()].findLast((other) => kindOf(other) === kindOf(path));
  if (newest !== path) return { stride: 1021 };
  return path.endsWith('.wal') ? { stride: 131, head: 192 } : { stride: 251, head: 40, end: 16 };
}

function* everyFile(sample: Sample, isMeant: (path: string) => boolean): Generator<Damage> {
  for (const [path, { length }] of sample.files) {
    if (isMeant(path)) yield* flips(sample, path, offsetsOf(length, choiceOf(sample, path)));
  }
}

test(
  'a flipped byte in a store that was closed: refused, told, or not needed',
  { timeout },
  async () => {
    const { closed } = await everyKind();
    const counts = await sweep(
      closed,
      everyFile(closed, () => true),
    );
    tell('flipped bytes, closed', counts);
    expectMore(counts, 'tried', 450);
    expectMore(counts, 'refused', 150);
    expectMore(counts, 'reported', 50);
    // Everything is proved by the mark at the end of the log.
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
  },
);

test(
  'a flipped byte in the log of a store that runs: no proved commit is lost',
  { timeout },
  async () => {
    const { running } = await everyKind();
    const counts = await sweep(
      running,
      everyFile(running, (path) => isLong || path.includes('/wal/')),
    );
    tell('flipped bytes, running', counts);
    expectMore(counts, 'tried', 150);
    // The last group is proved by nothing yet.
    expectMore(counts, 'cut', 3);
    expect(counts.unseen).toBe(0);
  },
);
