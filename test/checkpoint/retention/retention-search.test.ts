import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { lastThrough, leastBehind } from '../../../src/checkpoint/retention/retention-search.ts';

test('the last at or below a value: found by halving, in whatever order they are', () => {
  const values = fc.array(fc.nat(20), { maxLength: 30 });
  fc.assert(
    fc.property(values, fc.integer({ min: -1, max: 21 }), (given, value) => {
      const least = leastBehind(given, (one) => one);
      expect(lastThrough(least, value)).toBe(given.findLastIndex((one) => one <= value));
    }),
    { seed: 73, numRuns: 500 },
  );
});
