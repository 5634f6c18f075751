/*
 * Tries every seeded bug of mutants.ts: copies the sources into a temporary folder, puts one bug in,
 * runs the tests that have to find it, and demands one that fails. Prints a table; a bug that nothing
 * finds is a failure.
 *
 *     npm run mutants [-- NAME …]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import Table from 'cli-table3';

const root = fileURLToPath(new URL('../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'tidemark-mutants-'));
const only = process.argv.slice(2);
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

const tracked = execFileSync('git', ['ls-files', '-z', 'src', 'test', 'tools', '*.json', '*.ts'], {
  cwd: root,
  encoding: 'utf8',
});
for (const path of tracked.split('\0').filter(Boolean)) cpSync(join(root, path), join(work, path));
symlinkSync(join(root, 'node_modules'), join(work, 'node_modules'));

// The list is TypeScript, which the oldest Node that is supported does not load.
const list = join(work, 'mutants.mjs');
await build({
  entryPoints: [join(dirname(fileURLToPath(import.meta.url)), 'mutants.ts')],
  outfile: list,
});
const { mutants } = await import(pathToFileURL(list).href);

const table = new Table({
  head: ['bug', 'rule', 'found by', 's'],
  style: { head: [], border: [] },
});
let survivors = 0;
for (const { name, rule, file, from, to, tests } of mutants) {
  if (only.length > 0 && !only.includes(name)) continue;
  const path = join(work, file);
  const source = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  const startedAt = performance.now();
  const report = join(work, 'report.json');
  rmSync(report, { force: true });
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const flags = ['run', ...tests, '--bail', '1', '--reporter', 'json', '--outputFile', report];
  const { stderr } = spawnSync(process.execPath, [vitest, ...flags], {
    cwd: work,
    encoding: 'utf8',
  });
  writeFileSync(path, source);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  const found = failedTest(report, stderr);
  if (found === undefined) survivors++;
  table.push([name, rule, found ?? 'NOTHING', seconds]);
  console.log(`${name}: ${found ?? 'NOTHING'}`);
}
console.log(table.toString());
if (survivors > 0) process.exitCode = 1;

/**
 * The first test that has failed by what it asserts; a run that did not come to its tests is an error of
 * this program.
 */
function failedTest(report, stderr) {
  let results;
  try {
    ({ testResults: results } = JSON.parse(readFileSync(report, 'utf8')));
  } catch (cause) {
    throw new Error(`the tests did not run:\n${stderr}`, { cause });
  }
  const ran = results.some(({ assertionResults }) => assertionResults.length > 0);
  // A bug that does not compile is found by no test.
  if (!ran) throw new Error(`the tests did not run:\n${stderr}`);
  for (const { assertionResults } of results) {
    const failed = assertionResults.find((result) => result.status === 'failed' && isFound(result));
    if (failed) return failed.fullName;
  }
  return undefined;
}

/** Time that ran out finds nothing: it says so of a machine that is busy as well. */
function isFound({ failureMessages }) {
  return !failureMessages.some((message) => /timed out in \d+ms/.test(message));
}
