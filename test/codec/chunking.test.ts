import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import { chunkEnds, storedShape } from '../../src/codec/chunking.ts';

/** Repeatable bytes that look random. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

const chunks = (bytes: Uint8Array): string[] => {
  let start = 0;
  return chunkEnds(bytes).map((end) => {
    const name = `${checksum(bytes, start, end)}:${end - start}`;
    start = end;
    return name;
  });
};

describe('content-defined chunks', () => {
  test('cover everything, in order, within the bounds', () => {
    const bytes = noise(5_000_000, 1);
    const ends = chunkEnds(bytes);
    expect(ends.at(-1)).toBe(bytes.length);
    ends.forEach((end, i) => {
      const length = end - (ends[i - 1] ?? 0);
      expect(length).toBeLessThanOrEqual(storedShape.bytesMax);
      if (i < ends.length - 1) expect(length).toBeGreaterThan(storedShape.bytesMin);
    });
    expect(ends.length).toBeGreaterThan(40);
  });

  test('bytes inserted in the middle: the chunks before and well behind it are the same', () => {
    const bytes = noise(4_000_000, 2);
    const changed = new Uint8Array(bytes.length + 100);
    changed.set(bytes.subarray(0, 2_000_000), 0);
    changed.set(noise(100, 3), 2_000_000);
    changed.set(bytes.subarray(2_000_000), 2_000_100);
    const before = new Set(chunks(bytes));
    const fresh = chunks(changed).filter((chunk) => !before.has(chunk));
    expect(fresh.length).toBeLessThanOrEqual(4);
  });

  test('where the cuts are is format: the same as in the first release', () => {
    expect(chunkEnds(noise(400_000, 4))).toMatchInlineSnapshot(`
      [
        21578,
        43521,
        61314,
        81237,
        101568,
        119707,
        140422,
        157524,
        192348,
        211828,
        232955,
        255817,
        286524,
        303079,
        321395,
        338592,
        345354,
        371912,
        378689,
        399697,
        400000,
      ]
    `);
  });

  test('no bytes, few bytes, and bytes that are all the same', () => {
    expect(chunkEnds(new Uint8Array(0))).toEqual([]);
    expect(chunkEnds(noise(10, 5))).toEqual([10]);
    expect(chunkEnds(new Uint8Array(600_000)).at(-1)).toBe(600_000);
  });
});
