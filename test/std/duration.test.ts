import { expect, test } from 'vitest';
import { formatDuration } from '../../src/std/duration.ts';

test.each([
  [1, '1ms'],
  [1500, '1500ms'],
  [60_000, '1m'],
  [90_000, '90s'],
  [900_000, '15m'],
  [7_200_000, '2h'],
  [90_000_000, '25h'],
  [259_200_000, '3d'],
  [1_209_600_000, '2w'],
])('%d ms: %s', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});
