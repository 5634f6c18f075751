/*
 * Every rule of the protocol (docs/ARCHITECTURE.md and the headers of `src/` cite them by label) is
 * held by a test that says so in its name.
 */
import { expect, test } from 'vitest';
import { readText, repositoryFiles } from '../tools/repository.ts';

const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);

/** Log, opening, checkpoints, retention, timelines, readers of other processes, entries. */
const rules = [
  ...numbered('L', 12),
  ...numbered('O', 5),
  ...numbered('C', 5),
  ...numbered('R', 3),
  ...numbered('T', 3),
  ...numbered('F', 3),
  ...numbered('E', 5),
];

const title = /\b(?:test|describe)(?:\.each)?\b[^'"`;]*?\(\s*(['`])(.*?)\1/gs;

/** Names of tests and groups of tests in a text. */
function titlesOf(text: string): string[] {
  return Array.from(text.matchAll(title), (match) => match[2]!);
}

test('a label in the name of a test or group: found; in a comment or a longer word: not', () => {
  const text = "// L1\ntest('L2 L3 a', () => {});\ndescribe.each([1])('L4 b', f);\ntest('SQL5')";
  const cited = rules.filter((rule) => titlesOf(text).some((one) => cites(one, rule)));
  expect(cited).toEqual(['L2', 'L3', 'L4']);
});

test('every rule of the protocol: is cited by the name of a test', () => {
  const files = repositoryFiles().filter((path) => /^test\/.*\.test\.ts$/.test(path));
  const titles = files.flatMap((path) => titlesOf(readText(path)));
  expect(rules.filter((rule) => !titles.some((one) => cites(one, rule)))).toEqual([]);
});

function cites(name: string, rule: string): boolean {
  return new RegExp(`\\b${rule}\\b`).test(name);
}
