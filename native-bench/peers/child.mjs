/*
 * One step of one contender, in a process of its own: `process.send` gives what it measured, and the
 * most memory that the process had. Started by rounds.mjs.
 */
import fs from 'node:fs';
import { contenderNamed } from './contenders/index.mjs';
import { workOf } from './works/index.mjs';

const job = JSON.parse(process.argv[2]);
const contender = contenderNamed(job.contender);
const work = workOf(job.letter);
const step =
  job.step === 'fixture' ? work.fixture : work.steps.find(({ name }) => name === job.step);

// Modules are loaded before any clock starts.
await contender.version();
const result = await step.run({
  open: (options) => contender.open(job.dir, options),
  case: job.case,
  seed: job.seed,
  dir: job.dir,
  variant: job.variant,
});
process.send({ ...result, peakMemoryBytes: peakMemory() }, () => {
  // A step that is to be killed stays; any other has nothing left to do.
  if (step.killed) setInterval(() => {}, 1000);
  else process.disconnect();
});

function peakMemory() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) * 1024;
}
