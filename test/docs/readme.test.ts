/*
 * The examples of the README, run as a user would: as modules of their own, against the built
 * package, in a fresh folder, twice.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1]!);
const built = (path: string): string => pathToFileURL(join(root, 'dist', path)).href;

function run(example: string, folder: string): string {
  const code = example
    .replace(`'tidemark/log'`, `'${built('wal/log.js')}'`)
    .replace(`'tidemark'`, `'${built('engine/index.js')}'`);
  writeFileSync(join(folder, 'example.mjs'), code);
  return execFileSync(process.execPath, ['example.mjs'], { cwd: folder, encoding: 'utf8' }).trim();
}

describe('the README', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-readme-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('the engine in 20 lines, run twice: the same line, from what is stored', () => {
    const example = examples.find((text) => text.includes('openEngine'))!;
    const line = `2 [ 'not', 'to', 'be' ] { source: 6 }`;
    expect(run(example, folder)).toContain(line);
    expect(run(example, folder)).toContain(line);
    expect(
      example
        .trim()
        .split('\n')
        .filter((text) => text !== '').length,
    ).toBeLessThanOrEqual(20);
  });

  test('the log alone: the record that was appended is read back', () => {
    const example = examples.find((text) => text.includes('openLog'))!;
    expect(run(example, folder)).toContain('1 ');
    expect(run(example, folder)).toContain('2 ');
  });
});
