/*
 * The page of benchmarks is what its generator makes of the results that are kept, figure by figure,
 * and every chart it shows is there. Nothing here measures.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readText, repositoryRoot } from '../tools/repository.ts';

interface Page {
  readonly markdown: string;
  readonly charts: readonly { readonly file: string }[];
  readonly unexplained: readonly string[];
}

async function rendered(): Promise<Page> {
  const report = join(repositoryRoot, 'native-bench/report');
  const { renderPage } = (await import(join(report, 'page.mjs'))) as {
    renderPage: (results: unknown) => Page;
  };
  const { readResults } = (await import(join(report, 'results.mjs'))) as {
    readResults: () => unknown;
  };
  return renderPage(readResults());
}

test('the page: says what the kept results say', async () => {
  const { markdown } = await rendered();
  expect(readText('docs/BENCHMARKS.md')).toBe(markdown);
});

test('charts: each is there', async () => {
  const { charts } = await rendered();
  expect(charts.length).toBeGreaterThan(0);
  expect(charts.filter(({ file }) => !existsSync(join(repositoryRoot, 'docs', file)))).toEqual([]);
});

test('aims that are missed: of each the page says what stands between', async () => {
  const { unexplained } = await rendered();
  expect(unexplained).toEqual([]);
});
