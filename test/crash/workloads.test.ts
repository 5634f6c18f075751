/*
 * The crash tests as a whole: every workload is run by one file, and together they open no fewer
 * disks than is promised.
 */
import { expect, test } from 'vitest';
import { readText, repositoryFiles } from '../tools/repository.ts';
import { workloads } from './workloads.ts';

test('all workloads together: 20,000 disks at least', () => {
  const least = workloads.reduce((sum, { disksLeast }) => sum + disksLeast, 0);
  expect(least).toBeGreaterThanOrEqual(20_000);
});

test('every workload: is run by one file', () => {
  const files = repositoryFiles().filter((path) => /^test\/crash\/.*\.test\.ts$/.test(path));
  const texts = files.map(readText).filter((text) => text.includes('declareCrashes('));
  for (const { name } of workloads) {
    expect(
      texts.filter((text) => text.includes(`'${name}'`)),
      name,
    ).toHaveLength(1);
  }
});
