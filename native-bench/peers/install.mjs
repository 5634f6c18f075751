/*
 * Installs the peers for the Node that runs this, into a folder named for it: a native module that
 * was built for one version of Node is never loaded by another. A build from source takes the headers
 * that stand beside the running Node; where there are none, those that node-gyp fetches.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const home = path.resolve(import.meta.dirname, '..');
const files = ['package.json', 'package-lock.json', '.npmrc'];

/** Folder of the modules for this Node. */
export const installed = path.join(home, 'installed', `${process.version}-${process.arch}`);

const requireInstalled = createRequire(path.join(installed, 'package.json'));

/** Loads an installed package; throws what loading it threw. */
export function load(name) {
  return requireInstalled(name);
}

/** Version of an installed package. */
export function versionOf(name) {
  const file = path.join(installed, 'node_modules', name, 'package.json');
  return JSON.parse(fs.readFileSync(file, 'utf8')).version;
}

/** Imports a module of an installed package that has no CommonJS. */
export function importInstalled(name) {
  return import(requireInstalled.resolve(name));
}

/** Installs what the lockfile names, unless that was done for this Node and this lockfile. */
export function install() {
  const wanted = fs.readFileSync(path.join(home, 'package-lock.json'), 'utf8');
  const stamp = path.join(installed, 'complete');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return;
  fs.rmSync(installed, { recursive: true, force: true });
  fs.mkdirSync(installed, { recursive: true });
  for (const file of files) fs.copyFileSync(path.join(home, file), path.join(installed, file));
  // Ahead of a setting of the user's, which may name the headers of another Node; empty: fetched ones.
  fs.appendFileSync(path.join(installed, '.npmrc'), `nodedir=${headersBeside()}\n`);
  console.log(`Installing the peers for Node ${process.version}`);
  execFileSync('npm', ['ci', '--no-progress'], {
    cwd: installed,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      // The Node that runs this also runs npm and what npm builds with.
      PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}`,
    },
  });
  fs.writeFileSync(stamp, wanted);
}

/** The folder above `include/node` with the headers of exactly this Node, or nothing. */
function headersBeside() {
  const prefix = path.resolve(path.dirname(process.execPath), '..');
  const header = path.join(prefix, 'include', 'node', 'node_version.h');
  if (!fs.existsSync(header)) return '';
  const text = fs.readFileSync(header, 'utf8');
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  const version = ['MAJOR', 'MINOR', 'PATCH'].map(part).join('.');
  return `v${version}` === process.version ? prefix : '';
}
