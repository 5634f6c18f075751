/*
 * docs/VALUES.md row by row: every row has cases, every case has a row, and all of them hold.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createValueCodec } from '../../src/codec/value.ts';
import { InvalidArgumentError } from '../../src/errors.ts';
import { keptCases, pointType } from './value-kept-cases.ts';
import { refusedCases } from './value-refused-cases.ts';
import { difference } from './value-same.ts';

const document = readFileSync(new URL('../../docs/VALUES.md', import.meta.url), 'utf8');
const codec = createValueCodec([pointType]);

/** The first cells of the table under a heading. */
function rowsUnder(heading: string): string[] {
  const section = document.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) => row.split('|')[1]!.trim());
}

describe('what is stored', () => {
  test('the table: names exactly the rows that have cases', () => {
    expect(rowsUnder('What is stored')).toEqual(Object.keys(keptCases));
  });

  for (const [row, values] of Object.entries(keptCases)) {
    test(`${row}: comes back exactly, with the same bytes`, () => {
      expect(values.length).toBeGreaterThan(0);
      for (const value of values) {
        const bytes = Uint8Array.from(codec.encode(value));
        const decoded = codec.decode(bytes, 0, bytes.length);
        expect(difference(value, decoded)).toBeUndefined();
        expect(Buffer.compare(codec.encode(decoded), bytes)).toBe(0);
      }
    });
  }

  test('one object in two places: comes back as two equal objects', () => {
    const item = { n: 1 };
    const bytes = codec.encode([item, item]);
    const [a, b] = codec.decode(bytes, 0, bytes.length) as object[];
    expect(a).toEqual(b);
    expect(a).not.toBe(b);
  });

  test('properties added to bytes: are not kept', () => {
    const bytes = codec.encode(Object.assign(new Uint8Array([1]), { extra: 1 }));
    expect(codec.decode(bytes, 0, bytes.length)).toEqual(new Uint8Array([1]));
  });
});

describe('what is refused', () => {
  test('the table: names exactly the rows that have cases', () => {
    expect(rowsUnder('What is refused')).toEqual(Object.keys(refusedCases));
  });

  for (const [row, cases] of Object.entries(refusedCases)) {
    test(`${row}: INVALID_VALUE names the path, and the codec goes on`, () => {
      const list = cases();
      expect(list.length).toBeGreaterThan(0);
      for (const { value, path, reason } of list) {
        const error = refusal(value);
        expect(error.code).toBe('INVALID_VALUE');
        expect(error.details).toEqual({ path, reason: expect.stringMatching(reason), type: expect.any(String) }); // prettier-ignore
        expect(Buffer.from(codec.encode('next')).toString('latin1')).toBe('\xa4next');
      }
    });
  }
});

function refusal(value: unknown): InvalidArgumentError {
  try {
    codec.encode(value);
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error;
    throw error;
  }
  throw new Error('the value was stored');
}
