/*
 * Every import of `src/` obeys the layers, and the rules themselves bite: each is shown a text that
 * breaks it and one that does not.
 */
import { describe, expect, test } from 'vitest';

import { layers, layerViolations, readImports } from '../tools/layers.ts';
import { readText, repositoryFiles } from '../tools/repository.ts';

const sources = repositoryFiles().filter((path) => /^src\/.*\.ts$/.test(path));

describe('the source tree', () => {
  test('the list of files: not empty', () => {
    expect(sources).toContain('src/errors.ts');
  });

  test('every import: points down and goes through its seam', () => {
    const violations = sources.flatMap((path) => layerViolations(path, readText(path)));
    expect(violations).toEqual([]);
  });
});

describe('reading imports', () => {
  test.each([
    ["import { a } from './a.ts';", './a.ts'],
    ["import type { A } from './a.ts';", './a.ts'],
    ["import {\n  a,\n  type B,\n} from './a.ts';", './a.ts'],
    ["import * as a from './a.ts';", './a.ts'],
    ["import './a.ts';", './a.ts'],
    ["export * from './a.ts';", './a.ts'],
    ["export { a } from './a.ts';", './a.ts'],
    ["  const a = await import('./a.ts');", './a.ts'],
    ["let a: import('./a.ts').A;", './a.ts'],
    ["const a = require('./a.ts');", './a.ts'],
    ["new Worker(new URL('./a.js', import.meta.url));", './a.js'],
  ])('%s: names its module', (text, expected) => {
    expect(readImports(text)).toEqual([expected]);
  });

  test.each([
    " * import { open } from 'tidemark';",
    "export const from = 'wal';",
    "// an import from '../wal/log.ts'",
  ])('%s: names none', (text) => {
    expect(readImports(text)).toEqual([]);
  });
});

describe('the rules', () => {
  test.each(
    layers.flatMap((below, rank) =>
      layers.slice(rank + 1).map((above): [string, string] => [below, above]),
    ),
  )('%s and %s: only the upper imports the lower', (below, above) => {
    expect(layerViolations(`src/${above}/a.ts`, `import { b } from '../${below}/b.ts';`)).toEqual(
      [],
    );
    expect(
      layerViolations(`src/${below}/a.ts`, `import { b } from '../${above}/b.ts';`),
    ).toHaveLength(1);
  });

  test.each([
    ['a file of the same layer', 'src/wal/a.ts', './b.ts'],
    ['errors.ts from the lowest layer', 'src/std/a.ts', '../errors.ts'],
    ['the public API from the command line', 'src/cli/a.ts', '../engine/index.ts'],
    [
      'the public API from a sub-folder of the command line',
      'src/cli/verbs/a.ts',
      '../../engine/index.ts',
    ],
    ['the log from the demo', 'src/demo/a.ts', '../wal/log.ts'],
    ['a store from the conformance suite', 'src/testing/a.ts', '../store/b.ts'],
    ['node:fs from its seam', 'src/fs/a.ts', 'node:fs/promises'],
    ['node:fs from the command line', 'src/cli/a.ts', 'node:fs'],
    ['timers from the clock', 'src/std/clock.ts', 'node:timers'],
    ['a dependency', 'src/codec/a.ts', 'snappy'],
  ])('%s: allowed', (_situation, path, specifier) => {
    expect(layerViolations(path, `import { b } from '${specifier}';`)).toEqual([]);
  });

  test.each([
    ['another file of the package from errors.ts', 'src/errors.ts', './std/bytes.ts'],
    ['an inner file of the engine from the command line', 'src/cli/a.ts', '../engine/store.ts'],
    ['a lower layer from the command line', 'src/cli/a.ts', '../std/bytes.ts'],
    ['an inner file of the log from the demo', 'src/demo/a.ts', '../wal/segment-format.ts'],
    ['the command line from the demo', 'src/demo/a.ts', '../cli/main.ts'],
    ['the command line from the engine', 'src/engine/a.ts', '../cli/main.ts'],
    ['the engine from the conformance suite', 'src/testing/a.ts', '../engine/index.ts'],
    ['the conformance suite from a store', 'src/store/a.ts', '../testing/index.ts'],
    ['a folder that is no layer', 'src/extra/a.ts', '../std/bytes.ts'],
    ['a file outside src', 'src/wal/a.ts', '../../test/tools/layers.ts'],
    ['node:fs outside its seam', 'src/wal/a.ts', 'node:fs'],
    ['fs without its prefix', 'src/store/a.ts', 'fs/promises'],
    ['timers outside the clock', 'src/std/random.ts', 'node:timers/promises'],
    ['perf_hooks outside the clock', 'src/engine/a.ts', 'node:perf_hooks'],
  ])('%s: refused', (_situation, path, specifier) => {
    expect(layerViolations(path, `import { b } from '${specifier}';`)).toHaveLength(1);
    expect(layerViolations(path, `const b = await import('${specifier}');`)).toHaveLength(1);
  });
});
