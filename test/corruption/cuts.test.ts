/*
 * A sector of a file is zeros, or a file ends too early.
 */
import { expect, test } from 'vitest';
import { cuts, offsetsOf, zeroedSectors, type Damage } from './damages.ts';
import { everyKind, type Sample } from './stores.ts';
import { expectMore, isLong, longStride, sweep, tell, timeout } from './sweep.ts';

/** Of the store that runs, only the log differs from the one that was closed. */
const pathsOf = ({ name, files }: Sample): string[] =>
  [...files.keys()].filter((path) => isLong || name === 'closed' || path.includes('/wal/'));

function* allSectors(sample: Sample): Generator<Damage> {
  for (const path of pathsOf(sample)) yield* zeroedSectors(sample, path);
}

function* allCuts(sample: Sample): Generator<Damage> {
  const choice = { stride: longStride ?? 1021, end: 1 };
  for (const path of pathsOf(sample)) {
    yield* cuts(sample, path, offsetsOf(sample.files.get(path)!.length, choice));
  }
}

for (const name of ['closed', 'running'] as const) {
  test(`a sector of zeros, ${name}: refused, told, or not needed`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, allSectors(sample));
    tell(`sectors of zeros, ${name}`, counts);
    expectMore(counts, 'tried', 40);
    expectMore(counts, 'refused', 20);
    expectMore(counts, 'reported', 3);
    expect(counts.unseen).toBe(0);
  });

  test(`a file that is cut short, ${name}: refused, told, or not needed`, { timeout }, async () => {
    const sample = (await everyKind())[name];
    const counts = await sweep(sample, allCuts(sample));
    tell(`files cut short, ${name}`, counts);
    expectMore(counts, 'tried', 40);
    expectMore(counts, 'refused', 15);
    expectMore(counts, 'reported', 3);
    expect(counts).toMatchObject({ cut: 0, unseen: 0 });
  });
}
