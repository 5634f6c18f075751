/*
 * What the demo prints where the output is no terminal, and numbers as text.
 */
import { describe, expect, test } from 'vitest';

import { plainDisplay } from '../../src/demo/display.ts';
import { bytesText, countText, durationText } from '../../src/demo/text.ts';

function readingAt(row: number): Parameters<ReturnType<typeof plainDisplay>['update']>[0] {
  return { row, eventsPerSecond: 1234, commitsPerSecond: 5, checkpoints: 2, kills: 1 };
}

describe('the plain display', () => {
  test('many readings: a line for each fifth of the run, and every note', () => {
    const lines: string[] = [];
    const display = plainDisplay({ write: (text) => lines.push(text) }, 1000);
    for (let row = 0; row <= 1000; row += 10) display.update(readingAt(row));
    display.note('done');
    expect(lines).toHaveLength(6);
    expect(lines[0]).toBe('200 events | 1,234 events/s | 5 commits/s | checkpoints 2 | kills 1\n');
    expect(lines[5]).toBe('done\n');
  });

  test('a reading behind an earlier one: no line again', () => {
    const lines: string[] = [];
    const display = plainDisplay({ write: (text) => lines.push(text) }, 1000);
    for (const row of [450, 390, 410]) display.update(readingAt(row));
    expect(lines).toHaveLength(1);
  });
});

describe('numbers as text', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [5 * 1024 ** 3, '5.0 GiB'],
    [5000 * 1024 ** 4, '5000.0 TiB'],
  ])('%d bytes: %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });

  test.each([
    [0.4, '0 ms'],
    [999, '999 ms'],
    [1000, '1.0 s'],
    [61_500, '61.5 s'],
  ])('%d milliseconds: %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  test('a large count: groups of three digits', () => {
    expect(countText(1_234_567)).toBe('1,234,567');
  });
});
