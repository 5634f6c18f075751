/*
 * Snapshots and records damaged, and an opening that checks every byte before it serves: what is damaged
 * is passed over and told, and nothing is lost.
 */
import { expect, test } from 'vitest';
import { flips, offsetsOf, type Damage } from './damages.ts';
import { judge } from './judge.ts';
import { kindOf } from './kinds.ts';
import { everyKind, type Sample } from './stores.ts';
import { expectMore, longStride, sweep, tell, timeout } from './sweep.ts';

function* ofCheckpoints(sample: Sample): Generator<Damage> {
  for (const [path, { length }] of sample.files) {
    if (!['snapshot', 'record'].includes(kindOf(path))) continue;
    yield* flips(sample, path, offsetsOf(length, { stride: longStride ?? 397 }));
  }
}

test(
  'a flipped byte of a checkpoint, verification full: passed over, nothing is lost',
  { timeout },
  async () => {
    const { closed } = await everyKind();
    const options = { verification: 'full', prefetch: 'aggressive' } as const;
    const counts = await sweep(closed, ofCheckpoints(closed), (damage) =>
      judge(closed, damage, { readers: false, options }),
    );
    tell('flipped bytes of checkpoints, verification full', counts);
    expectMore(counts, 'tried', 60);
    expectMore(counts, 'reported', 15);
    expect(counts).toMatchObject({ refused: 0, cut: 0, unseen: 0 });
  },
);
