/*
 * The list of seeded bugs fits the sources: each text stands exactly once, so a bug is put where it
 * is meant, and the tests that have to find it are there. `npm run mutants` tries the bugs.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../tools/repository.ts';
import { mutants } from './mutants.ts';

test.each(mutants)('$name: its text stands once in $file, its tests are there', (mutant) => {
  const { file, from, to, tests } = mutant;
  const source = readFileSync(join(repositoryRoot, file), 'utf8');
  expect(source.split(from).length - 1).toBe(1);
  expect(to).not.toBe(from);
  expect(tests.length).toBeGreaterThan(0);
  for (const path of tests) expect(existsSync(join(repositoryRoot, path)), path).toBe(true);
});

test('names: no two bugs have one', () => {
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
});
