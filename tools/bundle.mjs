/*
 * Bundles what the package ships: a process that opens a store loads a few files in place of some
 * three hundred, and each worker thread too (docs/adr: bundles). Reads the JavaScript that the
 * compiler has put into dist/, writes dist/bundle/; declarations stay where the compiler put them.
 * Dependencies are not bundled. What is there already stays as it is, so that a run of the tests takes nothing away from
 * another one that starts threads meanwhile. Run by `npm run build` and by the tests.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
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
  const { outputFiles } = await build({
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
    write: false,
  });
  mkdirSync(outdir, { recursive: true });
  for (const { path, contents } of outputFiles) put(path, contents);
  const names = new Set(outputFiles.map(({ path }) => basename(path)));
  for (const name of readdirSync(outdir)) {
    // What another run is about to rename has another ending.
    if (name.endsWith('.js') && !names.has(name)) rmSync(`${outdir}/${name}`, { force: true });
  }
}

/** Whoever loads the file meanwhile finds the old one or the new one. */
function put(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
