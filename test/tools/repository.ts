/*
 * The files of this repository, for the tests in test/tidy. In a clone these are the tracked files;
 * in an exported tree, which has no .git, everything but what tools put there.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the repository's top folder. */
export const repositoryRoot: string = fileURLToPath(new URL('../..', import.meta.url));

const generated: ReadonlySet<string> = new Set(['.git', 'node_modules', 'dist', 'coverage']);

/** Paths of the repository's files, relative to its top, with `/` between the parts. */
export function repositoryFiles(): string[] {
  if (!existsSync(join(repositoryRoot, '.git'))) return walk(repositoryRoot).toSorted();
  const listing = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  // A file that was deleted and not yet committed is still listed.
  return listing
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(repositoryRoot, path)));
}

/** The text of a file of the repository. */
export function readText(path: string): string {
  return readFileSync(join(repositoryRoot, path), 'utf8');
}

/** The size of a file of the repository. */
export function fileBytes(path: string): number {
  return statSync(join(repositoryRoot, path)).size;
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((item) => {
    if (generated.has(item.name)) return [];
    const path = join(folder, item.name);
    return item.isDirectory() ? walk(path) : [relative(repositoryRoot, path).replaceAll('\\', '/')];
  });
}
