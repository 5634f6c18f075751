/*
 * Bundles what the package ships: a process that opens a store loads a few files in place of some
 * three hundred, and each worker thread too (docs/adr: bundles). Reads the JavaScript that the
 * compiler has put into dist/, writes dist/bundle/; declarations stay where the compiler put them.
 * Dependencies are not bundled. Run by `npm run build` and by the tests.
 */
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Bundled files, by the file of dist/ that each is made of. */
export const entries = {
  index: 'engine/index',
  log: 'wal/log',
  snapshot: 'checkpoint/library/snapshot-library',
  testing: 'testing/index',
  main: 'cli/main',
  // Found beside the file that starts threads, whatever that is called.
  'worker-entry': 'threads/worker-entry',
};

const root = fileURLToPath(new URL('..', import.meta.url));

export async function bundle() {
  const outdir = `${root}dist/bundle`;
  rmSync(outdir, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: Object.entries(entries).map(([out, from]) => ({ out, in: `dist/${from}.js` })),
    outdir,
    bundle: true,
    // Code that several of them need is shared: a class has one identity, whichever is imported.
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    target: 'node20.19',
    logLevel: 'warning',
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
