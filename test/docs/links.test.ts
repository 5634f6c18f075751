/*
 * Links between the documents: what they lead to exists, and comes with the package where a
 * document of the package leads to it.
 */
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readText, repositoryFiles, repositoryRoot } from '../tools/repository.ts';

const pages = repositoryFiles().filter((path) => /^(?:README|CHANGELOG|docs\/.*)\.md$/.test(path));
const { files } = JSON.parse(readText('package.json')) as { files: string[] };
/** npm adds these whatever `files` says. */
const always = ['README.md', 'LICENSE', 'package.json'];

/** Targets of the links of a page that lead into the repository, from its top. */
function targets(page: string): string[] {
  const links = readText(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g);
  const local = [...links].map((link) => link[1]!).filter((link) => !/^[a-z]+:/.test(link));
  return local.map((link) => normalize(join(dirname(page), link)).replace(/\/$/, ''));
}

describe.each(pages)('%s', (page) => {
  test('its links lead to something, in the package too', () => {
    for (const target of targets(page)) {
      expect(existsSync(join(repositoryRoot, target)), target).toBe(true);
      const packed = always.includes(target) || files.some((kept) => isBelow(target, kept));
      expect(packed, `${target} is packed`).toBe(true);
    }
  });
});

test('the pages: have links to look at', () => {
  expect(targets('README.md')).toContain('docs/ERRORS.md');
  expect(pages.length).toBeGreaterThan(10);
});

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
