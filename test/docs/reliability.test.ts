/*
 * The examples of docs/RELIABILITY.md, run as a user would: as modules of their own, importing the built
 * package by its name, each in a fresh folder. What they print is what the page says.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readText, repositoryRoot } from '../tools/repository.ts';

const page = readText('docs/RELIABILITY.md');
const examples = [...page.matchAll(/```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)];

test('every example has its output below it', () => {
  expect(examples).toHaveLength(page.split('```js\n').length - 1);
  expect(examples.length).toBeGreaterThan(0);
});

test.each(examples.map(([, code, output], i) => [i + 1, code!, output!] as const))(
  'example %i: prints what the page says',
  (_, code, output) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-reliability-'));
    try {
      mkdirSync(join(folder, 'node_modules'));
      symlinkSync(repositoryRoot, join(folder, 'node_modules', 'tidemark'), 'dir');
      writeFileSync(join(folder, 'example.mjs'), code);
      const options = { cwd: folder, encoding: 'utf8' } as const;
      expect(execFileSync(process.execPath, ['example.mjs'], options)).toBe(output);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
