/*
 * Global setup of the tests: compiles `src/` to `dist/` once, and bundles it, so that tests of worker threads and of
 * the command line run the code of this moment. The build is incremental: with nothing changed it
 * costs a fraction of a second. A failed build fails the run.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { bundle } from '../../tools/bundle.mjs';
import { repositoryRoot } from './repository.ts';

/** Compiles `src/`, or throws with the compiler's output. */
export default async function build(): Promise<void> {
  const manifest = createRequire(import.meta.url).resolve('typescript/package.json');
  const compiler = join(dirname(manifest), 'bin', 'tsc');
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [compiler, '-p', 'tsconfig.build.json'],
    { cwd: repositoryRoot, encoding: 'utf8' },
  );
  if (error !== undefined) throw error;
  if (status === 0) {
    await bundle();
    return;
  }
  const output = `${stdout}${stderr}`.trim();
  if (process.env['TIDEMARK_BUILD_ERRORS'] === 'ignore') {
    console.warn(`tsc -p tsconfig.build.json failed; going on as asked.\n${output}`);
    return;
  }
  throw new Error(
    `tsc -p tsconfig.build.json failed with status ${status}; TIDEMARK_BUILD_ERRORS=ignore runs ` +
      `the tests all the same.\n${output}`,
  );
}
