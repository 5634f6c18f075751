/*
 * The examples of docs/COMPRESSION.md, run as a user would, against the built package.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs', 'COMPRESSION.md'), 'utf8');
const examples = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1]!);
const built = pathToFileURL(join(root, 'dist', 'engine', 'index.js')).href;

describe('docs/COMPRESSION.md', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-compression-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function run(example: string): string {
    writeFileSync(join(folder, 'example.mjs'), example.replace(`'tidemark'`, `'${built}'`));
    return execFileSync(process.execPath, ['example.mjs'], {
      cwd: folder,
      encoding: 'utf8',
    }).trim();
  }

  test('a setting of the store and one of a state: less is stored than is unique', () => {
    expect(run(examples[0]!)).toBe('true true');
  });

  test('a codec of the user: stands in the record', () => {
    writeFileSync(join(folder, 'reversed.mjs'), examples[1]!);
    expect(run(examples[2]!)).toBe(`{ codec: 'reversed' }`);
  });
});
