/*
 * The declarations of the package as a consumer's compiler reads them: all of them, without
 * skipLibCheck, by an older TypeScript than the one that wrote them. That one comes with the package
 * check (@arethetypeswrong), so nothing is installed for this test.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readText, repositoryRoot } from '../tools/repository.ts';

const here = createRequire(import.meta.url);
const manifest = JSON.parse(readText('package.json')) as { exports: Record<string, unknown> };
const subpaths = Object.keys(manifest.exports).filter((path) => path !== './package.json');

const settings = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  module: 'nodenext',
  moduleResolution: 'nodenext',
  target: 'es2022',
  lib: ['es2022', 'esnext.disposable'],
  noEmit: true,
};

/** The older compiler's package, and its version. */
function olderCompiler(): { readonly path: string; readonly version: string } {
  const core = createRequire(here.resolve('@arethetypeswrong/core/package.json'));
  const path = core.resolve('typescript/package.json');
  return { path: dirname(path), version: (core(path) as { version: string }).version };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-types-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(repositoryRoot, join(modules, 'tidemark'), 'dir');
  const typeRoots = [dirname(dirname(here.resolve('@types/node/package.json')))];
  const options = { ...settings, typeRoots, types: ['node'] };
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['consumer.ts', 'wrong.ts'] }),
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What the older compiler says about the files, one line an error. */
function compile(): string[] {
  const { path } = olderCompiler();
  const { stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(path, 'lib', 'tsc.js'), '-p', 'tsconfig.json'],
    { cwd: folder, encoding: 'utf8' },
  );
  if (error) throw error;
  return `${stdout}${stderr}`.split('\n').filter((line) => /^\S/.test(line));
}

test('TypeScript before generic typed arrays: takes all declarations, and sees a wrong call', () => {
  expect(olderCompiler().version).toMatch(/^5\.[456]\./);
  const imports = subpaths.map((path, i) => {
    const name = path === '.' ? 'tidemark' : `tidemark${path.slice(1)}`;
    return `import * as m${i} from '${name}';\nexport const all${i} = m${i};\n`;
  });
  writeFileSync(join(folder, 'consumer.ts'), imports.join(''));
  // The wrong call shows that declarations are read at all: it is the only thing to be found.
  const wrong = `import { openEngine } from 'tidemark';\nopenEngine({ dir: 1 });\n`;
  writeFileSync(join(folder, 'wrong.ts'), wrong);
  const found = compile();
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^wrong\.ts\(2,14\): error TS2322/);
}, 60_000);
