/*
 * The examples of docs/SNAPSHOTS.md, run as a user would: as modules of their own, against the built
 * package, each in a fresh folder. What they print is what the page says.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs', 'SNAPSHOTS.md'), 'utf8');
const examples = [...page.matchAll(/```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)];
const library = pathToFileURL(
  join(root, 'dist', 'checkpoint', 'library', 'snapshot-library.js'),
).href;

test('every example has its output beside it', () => {
  expect(examples).toHaveLength(page.split('```js\n').length - 1);
  expect(examples.length).toBeGreaterThan(2);
});

test.each(examples.map(([, code, output], i) => [i + 1, code!, output!] as const))(
  'example %i: prints what the page says',
  (_, code, output) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-snapshots-'));
    try {
      writeFileSync(
        join(folder, 'example.mjs'),
        code.replaceAll(`'tidemark/snapshot'`, `'${library}'`),
      );
      const options = { cwd: folder, encoding: 'utf8' } as const;
      expect(execFileSync(process.execPath, ['example.mjs'], options)).toBe(output);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
