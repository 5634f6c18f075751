/*
 * Measurements behind decisions, of the built engine: triggers, strategies, compression of the log,
 * what is saved, how fast an opening loads, and the tuner against real runs. Rounds are interleaved;
 * medians are printed. Run by `npm run measure`, or `npm run measure -- throughput` for one of them;
 * needs about 2 GB of disk in the temporary directory. What the engine does beside the limits of
 * the machine is `npm run bench`.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { tuning } from './tune.mjs';
import { strategies, triggers } from './chain.mjs';
import { logCompression } from './log-compression.mjs';
import { savings } from './savings.mjs';
import { throughput } from './throughput.mjs';
import { firstRead, heap, nonResident } from './first-read.mjs';

const rounds = Number(process.env.TIDEMARK_ROUNDS ?? 5);
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tidemark-measure-'));
const only = process.argv[2];

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

function fresh(name) {
  const dir = path.join(root, name);
  fs.rmSync(dir, { recursive: true, force: true });
  return dir;
}

try {
  const load = os.loadavg()[0].toFixed(1);
  console.log(
    `Node ${process.version}, ${os.availableParallelism()} cores, ${os.platform()}, load average ${load}`,
  );
  const chain = { commits: Number(process.env.TIDEMARK_COMMITS ?? 3000), rounds, fresh, median };
  if (!only || only === 'triggers') await triggers(chain);
  if (!only || only === 'strategies') await strategies(chain);
  if (!only || only === 'log') await logCompression(chain);
  if (!only || only === 'savings') await savings({ fresh, rounds });
  if (!only || only === 'throughput') await throughput({ fresh, rounds, median });
  if (!only || only === 'first-read') await firstRead(fresh, rounds);
  if (!only || only === 'nonresident') await nonResident(fresh);
  if (!only || only === 'heap') await heap(fresh);
  if (!only || only === 'tune') await tuning(root);
} finally {
  fs.rmSync(root, { recursive: true, force: true });
}
