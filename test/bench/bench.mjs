/*
 * Figures of the built engine, each beside the limit of the same run. A benchmark is a file in parts/
 * that gives cases; it runs in a process of its own (part.mjs), its cases in interleaved rounds.
 *
 *     npm run bench -- [NAME …] [--quick] [--json FILE] [--profile DIR]
 *     npm run bench -- scale [NAME …] [--quick] [--json FILE]
 *
 * `--profile` writes a CPU profile of each benchmark and a flame graph of it into the folder.
 */
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { drawFlames } from './flames.mjs';
import { askedFor, short } from './statistics.mjs';

const groups = {
  parts: [
    'commit',
    'flight',
    'batches',
    'paced',
    'reads',
    'memtable',
    'merge',
    'recovery',
    'stall',
    'sizes',
  ],
  scale: ['state', 'chain', 'segments', 'groups', 'values', 'day'],
};

const usage = `npm run bench -- [NAME …] [--quick] [--json FILE] [--profile DIR] [--dir DIR]
npm run bench -- scale [NAME …] [--quick] [--json FILE] [--dir DIR]
benchmarks: ${groups.parts.join(', ')}
scale: ${groups.scale.join(', ')}`;
const { values: flags, positionals } = argumentsOf({
  quick: { type: 'boolean', default: false },
  json: { type: 'string' },
  profile: { type: 'string' },
  dir: { type: 'string', default: os.tmpdir() },
  help: { type: 'boolean', default: false },
});
if (flags.help) {
  console.log(usage);
  process.exit(0);
}
const group = positionals[0] === 'scale' ? 'scale' : 'parts';
const asked = group === 'scale' ? positionals.slice(1) : positionals;
const names = asked.length > 0 ? asked : groups[group];
const unknown = names.filter((name) => !groups[group].includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are: ${groups[group].join(', ')}`);
  process.exit(2);
}

const report = {
  kind: group === 'scale' ? 'scale' : 'bench',
  command: ['npm run bench --', ...askedFor(process.argv.slice(2))].join(' '),
  size: flags.quick ? 'quick' : 'full',
  machine: {
    date: new Date().toISOString(),
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    processor: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    loadBefore: os.loadavg(),
    fileSystem: `0x${fs.statfsSync(flags.dir).type.toString(16)}`,
  },
  benchmarks: [],
};

function argumentsOf(options) {
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    console.error(`${error.message.split('\n')[0]}\n${usage}`);
    process.exit(2);
  }
}

const scratch = fs.mkdtempSync(path.join(flags.dir, 'tidemark-bench-'));
if (flags.profile) fs.mkdirSync(flags.profile, { recursive: true });
try {
  for (const name of names) {
    const done = await runPart(name);
    report.benchmarks.push(done);
    print(done);
    if (flags.profile) flames(name);
    if (flags.json) fs.writeFileSync(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  }
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}

function runPart(name) {
  const profiling = flags.profile
    ? ['--cpu-prof', `--cpu-prof-dir=${path.join(scratch, 'profiles')}`]
    : [];
  const directory = path.join(scratch, name);
  fs.mkdirSync(directory);
  const job = { name, group, quick: flags.quick, directory };
  return new Promise((resolve, reject) => {
    const running = fork(path.join(import.meta.dirname, 'part.mjs'), [JSON.stringify(job)], {
      execArgv: ['--expose-gc', ...profiling],
    });
    let measured;
    running.on('message', (message) => {
      measured = message;
    });
    running.on('error', reject);
    running.on('close', (code) => {
      fs.rmSync(directory, { recursive: true, force: true });
      if (code === 0 && measured !== undefined) resolve(measured);
      else reject(new Error(`benchmark ${name} ended with ${code}`));
    });
  });
}

/** Keeps the profile of the main thread, the largest one, with its flame graph. */
function flames(name) {
  const folder = path.join(scratch, 'profiles');
  const largest = fs
    .readdirSync(folder)
    .map((file) => path.join(folder, file))
    .toSorted((a, b) => fs.statSync(b).size - fs.statSync(a).size)[0];
  const profile = path.join(flags.profile, `${name}.cpuprofile`);
  fs.copyFileSync(largest, profile);
  fs.rmSync(folder, { recursive: true });
  const picture = path.join(flags.profile, `${name}.svg`);
  fs.writeFileSync(picture, drawFlames(JSON.parse(fs.readFileSync(profile, 'utf8')), name));
  console.log(`  profile ${profile}, flame graph ${picture}`);
}

function print({ title, rounds, results }) {
  console.log(`\n${title}; median of ${rounds} (least … greatest)`);
  if (group === 'scale') {
    printSeries(results);
    return;
  }
  for (const result of results) {
    const { name, unit, median, least, greatest, limit, aim, published, processor } = result;
    const value = `${short(median)} ${unit}`.padStart(18);
    const spread = `(${short(least)} … ${short(greatest)})`.padEnd(22);
    const parts = [];
    if (processor) parts.push(`${short(processor.median)} by processor time`);
    if (limit) parts.push(`${limit.ratio.toPrecision(3)} of "${limit.name}"`);
    if (aim) parts.push(`aim ${aim.text}: ${aim.met ? 'met' : 'MISSED'}`);
    if (published) parts.push(`published: ${published.text}`);
    console.log(`  ${name.padEnd(44)} ${value} ${spread} ${parts.join('; ')}`);
  }
}

/** Series down, places of the axis across. */
function printSeries(results) {
  const places = [...new Set(results.map(({ at }) => at))];
  const line = (name, cells) => {
    console.log(`  ${name.padEnd(40)}${cells.map((cell) => cell.padStart(11)).join('')}`);
  };
  line('', places.map(short));
  for (const series of new Set(results.map((result) => result.series))) {
    const own = results.filter((result) => result.series === series);
    const cells = places.map((at) => own.find((result) => result.at === at));
    line(
      `${series}, ${own[0].unit}`,
      cells.map((cell) => (cell ? short(cell.median) : '')),
    );
  }
}
