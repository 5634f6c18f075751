import { expect, test } from 'vitest';
import { parseSemanticVersion, readsSemanticVersion } from '../../src/std/semantic-version.ts';

test.each(['0.0.0', '1.2.3', '10.20.30', '999999999999999.0.1'])('%s: is a version', (text) => {
  expect(parseSemanticVersion(text)?.join('.')).toBe(text);
});

test.each([
  '',
  '1',
  '1.2',
  '1.2.3.4',
  '01.2.3',
  '1.02.3',
  '1.2.03',
  'v1.2.3',
  '1.2.3-beta',
  '1.2.3+5',
  ' 1.2.3',
  '1.2.x',
  '1000000000000000.0.0',
  undefined,
  1,
  ['1.2.3'],
  { toString: () => '1.2.3' },
])('%j: is none', (given) => {
  expect(parseSemanticVersion(given)).toBeUndefined();
});

test.each<[string, string, boolean]>([
  ['1.2.3', '1.2.3', true],
  ['1.2.3', '1.2.2', true],
  ['1.2.3', '1.2.4', false],
  ['1.2.3', '1.1.9', true],
  ['1.2.3', '1.3.0', false],
  ['2.0.0', '1.9.9', false],
  ['1.9.9', '2.0.0', false],
  ['1.10.0', '1.9.0', true],
])('code of %s, stored as %s: read %s', (code, stored, reads) => {
  const [a, b] = [parseSemanticVersion(code)!, parseSemanticVersion(stored)!];
  expect(readsSemanticVersion(a, b)).toBe(reads);
});
