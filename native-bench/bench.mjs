/*
 * Runs the measurements that decisions of Tidemark rest on and prints their tables:
 *
 *     npm --prefix native-bench run bench [-- --only codecs|checksums|file-system|log-writers]
 *
 * Figures compare cases of one run on one machine; those of different runs do not compare.
 */
import { parseArgs } from 'node:util';
import { benchChecksums } from './checksums.mjs';
import { benchCodecs } from './codecs.mjs';
import { benchFileSystem } from './file-system.mjs';
import { benchLogWriters } from './log-writers.mjs';
import { printMachine } from './report.mjs';

const benches = {
  codecs: benchCodecs,
  checksums: benchChecksums,
  'file-system': benchFileSystem,
  'log-writers': benchLogWriters,
};

const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
if (only !== undefined && !Object.hasOwn(benches, only)) {
  console.error(`--only takes one of: ${Object.keys(benches).join(', ')}`);
  process.exitCode = 2;
} else {
  printMachine(import.meta.dirname);
  for (const [name, bench] of Object.entries(benches)) {
    if (only === undefined || only === name) await bench();
  }
}
