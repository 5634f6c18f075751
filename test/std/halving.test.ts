import { expect, test } from 'vitest';
import { firstWhere } from '../../src/std/halving.ts';

test('the first that holds, among none to nine', () => {
  for (let length = 0; length < 10; length++) {
    const items = Array.from({ length }, (_, i) => i);
    for (let from = 0; from <= length; from++) {
      expect(firstWhere(items, (item) => item >= from)).toBe(from);
    }
  }
});
