/*
 * The repository keeps its own rules. Each rule is first shown a text that breaks it, so that a
 * pattern that has stopped matching fails here and not in silence.
 */
import { describe, expect, test } from 'vitest';

import { fileBytes, readText, repositoryFiles } from '../tools/repository.ts';
import {
  accessKeywords,
  clockReads,
  exportedSources,
  fileBytesMax,
  inexactVersions,
  machinePaths,
  type Lockfile,
  type Manifest,
  missingHeader,
  registryAddresses,
  sourceLinesMax,
  suppressedTests,
  tooLarge,
  tooLong,
  unlistedOptionals,
} from '../tools/tidiness.ts';

const files = repositoryFiles();
const sources = files.filter((path) => /^src\/.*\.ts$/.test(path));
const code = files.filter((path) => /^(?:src|test|native-bench)\/.*\.[cm]?[jt]s$/.test(path));
const tests = files.filter((path) => /^test\/.*\.test\.ts$/.test(path));
const manifests = files.filter((path) => /(?:^|\/)package\.json$/.test(path));
const lockfiles = files.filter((path) => /(?:^|\/)(?:package-lock\.json|\.npmrc)$/.test(path));
const texts = files.filter(
  (path) => !/\.(?:bin|png|gz|zst|lz4|parquet|wal|snapshot|tm\w*)$/.test(path) && isText(path),
);

test('decisions: each has a number of its own, and says it in its title', () => {
  const decisions = files.filter((path) => path.startsWith('docs/adr/'));
  const numbers = decisions.map((path) => path.slice('docs/adr/'.length).slice(0, 4));
  expect(numbers.toSorted()).toEqual(numbers.map((_, i) => String(i + 1).padStart(4, '0')));
  for (const [i, path] of decisions.entries()) {
    expect(readText(path).startsWith(`# ${numbers[i]}: `), path).toBe(true);
  }
});

describe('paths of one machine', () => {
  // Written in two parts, so that this file does not break the rule it tests.
  const folders = ['work', 'home', 'root', 'farm', 'Users'].map((name) => `/${name}`);

  test.each(folders)('%s in code, prose or a script: found', (folder) => {
    for (const text of [
      `cd ${folder}/main`,
      `'${folder}'`,
      `open("${folder}/x")`,
      `(${folder}/x)`,
    ]) {
      expect(machinePaths('a', text), text).toHaveLength(1);
    }
  });

  test.each(folders)('%s as a part of a longer path or of an address: not found', (folder) => {
    const longer = [
      `src${folder}/a.ts`,
      `https://host${folder}/a`,
      `\${base}${folder}/a`,
      `${folder}ing/`,
    ];
    for (const text of longer) expect(machinePaths('a', text), text).toEqual([]);
  });

  test('a home folder of Windows: found', () => {
    expect(machinePaths('a', String.raw`C:${folders[4]!.replace('/', '\\')}\me`)).toHaveLength(1);
  });

  test('tracked files: none', () => {
    expect(texts).toContain('package.json');
    expect(texts.flatMap((path) => machinePaths(path, readText(path)))).toEqual([]);
  });
});

describe('registries', () => {
  test('an address in a lockfile, a registry in the settings: found', () => {
    expect(registryAddresses('a', '"resolved": "https://host/a.tgz"')).toHaveLength(1);
    expect(registryAddresses('a', 'fund=false\nregistry=https://host/\n')).toHaveLength(1);
    expect(registryAddresses('a', '@scope:registry = https://host/')).toHaveLength(1);
  });

  test('the setting that leaves addresses out: not found', () => {
    expect(registryAddresses('a', 'omit-lockfile-registry-resolved=true')).toEqual([]);
  });

  test('lockfiles and settings: none', () => {
    expect(lockfiles).toEqual(expect.arrayContaining(['.npmrc', 'package-lock.json']));
    expect(lockfiles.flatMap((path) => registryAddresses(path, readText(path)))).toEqual([]);
  });
});

describe('tests left out', () => {
  test.each(['test', 'it', 'describe'])('%s.only, .skip, .todo: found', (name) => {
    for (const how of ['only', 'skip', 'todo', 'each.only', 'concurrent.skip']) {
      expect(suppressedTests('a', `${name}.${how}('a', () => {})`), how).toHaveLength(1);
    }
  });

  test('the short forms with x and f: found', () => {
    for (const name of ['it', 'describe']) {
      expect(suppressedTests('a', `x${name}('a'); f${name}('b')`), name).toHaveLength(2);
    }
  });

  test('a test that depends on the machine: not found', () => {
    expect(suppressedTests('a', 'test.skipIf(none)("a"); fs.only; exit(1)')).toEqual([]);
  });

  test('the tests: none', () => {
    expect(tests).toContain('test/tidy/repository.test.ts');
    expect(tests.flatMap((path) => suppressedTests(path, readText(path)))).toEqual([]);
  });
});

describe('source files', () => {
  test.each([
    ['code only', 'export const a = 1;\n'],
    ['the comment of a declaration', '/** Adds two numbers, and returns the sum. */\nexport {};\n'],
    ['a comment without words', '/*\n * -- \n */\n'],
    ['a comment behind an import', "import 'a';\n/* Says what this file is for. */\n"],
  ])('%s at the head: no header', (_situation, text) => {
    expect(missingHeader('a', text)).toHaveLength(1);
  });

  test('a comment at the head, or behind the line that names the interpreter: a header', () => {
    const header = '/*\n * Says what this file is for.\n */\n';
    expect(missingHeader('a', header)).toEqual([]);
    expect(missingHeader('a', `#!/usr/bin/env node\n${header}`)).toEqual([]);
  });

  test('every source file: has a header', () => {
    expect(sources).toContain('src/errors.ts');
    expect(sources.flatMap((path) => missingHeader(path, readText(path)))).toEqual([]);
  });

  test('one line more than the bound: too long', () => {
    expect(tooLong('a', 'a;\n'.repeat(sourceLinesMax))).toEqual([]);
    expect(tooLong('a', 'a;\n'.repeat(sourceLinesMax + 1))).toHaveLength(1);
  });

  test('every file of code: within the bound', () => {
    expect(code).toContain('test/tidy/repository.test.ts');
    expect(code.flatMap((path) => tooLong(path, readText(path)))).toEqual([]);
  });

  test('an access keyword: found; a word in a comment: not', () => {
    expect(accessKeywords('a', '  private readonly a = 1;')).toHaveLength(1);
    expect(accessKeywords('a', '  protected get(): void {}')).toHaveLength(1);
    expect(accessKeywords('a', ' * private to the writer')).toEqual([]);
  });

  test('every file of code: uses #names', () => {
    expect(code.flatMap((path) => accessKeywords(path, readText(path)))).toEqual([]);
  });

  test('a date of now and a global by another name: a clock read', () => {
    expect(clockReads('a', 'new Date(); globalThis.performance.now()')).toHaveLength(2);
    expect(clockReads('a', 'globalThis.setTimeout(f, 1)')).toHaveLength(1);
    expect(clockReads('a', 'new Date(commit.timestampMs)')).toEqual([]);
  });

  test('the layers: read no clock past their seam', () => {
    const layered = sources.filter((path) => !/^src\/(?:std\/clock\.ts|cli\/|demo\/)/.test(path));
    expect(layered.flatMap((path) => clockReads(path, readText(path)))).toEqual([]);
  });
});

describe('sizes', () => {
  test('one byte more than the bound: too large', () => {
    expect(tooLarge('a', fileBytesMax)).toEqual([]);
    expect(tooLarge('a', fileBytesMax + 1)).toHaveLength(1);
  });

  test('every tracked file: within the bound', () => {
    expect(files.flatMap((path) => tooLarge(path, fileBytes(path)))).toEqual([]);
  });
});

describe('package manifests', () => {
  test.each(['^1.2.3', '~1.2.3', '1.x', '*', 'latest', '>=1.2.3', '1.2'])(
    '%s: not exact',
    (version) => {
      expect(inexactVersions('a', { dependencies: { b: version } })).toHaveLength(1);
      expect(inexactVersions('a', { devDependencies: { b: version } })).toHaveLength(1);
      expect(inexactVersions('a', { optionalDependencies: { b: version } })).toHaveLength(1);
    },
  );

  test.each(['1.2.3', '1.2.3-beta.1'])('%s: exact', (version) => {
    expect(inexactVersions('a', { dependencies: { b: version } })).toEqual([]);
  });

  test('every manifest: exact versions', () => {
    expect(manifests).toContain('package.json');
    expect(manifests.flatMap((path) => inexactVersions(path, readManifest(path)))).toEqual([]);
  });

  test('an optional package that is named and not listed: found', () => {
    const parent = { optionalDependencies: { 'b-linux': '1.0.0', 'b-darwin': '1.0.0' } };
    const listed = { 'node_modules/b': parent, 'node_modules/b-linux': {} };
    expect(unlistedOptionals('a', { packages: listed })).toHaveLength(1);
    const nested = { ...listed, 'node_modules/b/node_modules/b-darwin': {} };
    expect(unlistedOptionals('a', { packages: nested })).toEqual([]);
  });

  test('every lockfile: lists the builds for all platforms', () => {
    const locks = lockfiles.filter((path) => path.endsWith('package-lock.json'));
    const missing = locks.flatMap((path) =>
      unlistedOptionals(path, JSON.parse(readText(path)) as Lockfile),
    );
    expect(missing).toEqual([]);
  });

  test('exports, types and commands: traced to their sources', () => {
    const manifest = {
      exports: {
        '.': { types: './dist/a/index.d.ts', default: './dist/a/index.js' },
        './package.json': './package.json',
      },
      bin: { a: 'dist/cli/main.js', b: 'dist/bundle/log.js' },
    };
    const traced = ['src/a/index.ts', 'src/cli/main.ts', 'src/wal/log.ts'];
    expect(exportedSources(manifest)).toEqual(traced);
  });

  test('everything that package.json exports or runs: has its source', () => {
    const exported = exportedSources(readManifest('package.json'));
    expect(exported.length).toBeGreaterThan(0);
    expect(exported.filter((path) => !sources.includes(path))).toEqual([]);
  });
});

function isText(path: string): boolean {
  return !readText(path).includes('\0');
}

function readManifest(path: string): Manifest {
  return JSON.parse(readText(path)) as Manifest;
}
