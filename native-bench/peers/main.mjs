/*
 * Tidemark beside its peers. Run by `npm run bench:peers`, which builds Tidemark first:
 *
 *     npm run bench:peers -- [--quick | --smoke | --large] [--only a,c] [--peers tidemark,lmdb] [--rounds 5]
 *                            [--json FILE [--keep]] [--dir DIR]
 *
 * `--keep` keeps the works of the file that are not run again, of the same sizes and rounds.
 * Works and sizes are in works/, contenders in contenders/. Every ratio says how many times as good
 * Tidemark is as the peer: below 1 the peer wins.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { askedFor } from '../../test/bench/statistics.mjs';
import { contenders as all } from './contenders/index.mjs';
import { install } from './install.mjs';
import { machine, runWork } from './rounds.mjs';
import { printWork } from './table.mjs';
import { sizes, works } from './works/index.mjs';

const usage = `npm run bench:peers -- [--quick | --smoke | --large] [--only a,c] [--peers tidemark,lmdb] [--rounds 5]
                       [--json FILE [--keep]] [--dir DIR]
works: ${works.map(({ letter, title }) => `(${letter}) ${title}`).join('\n       ')}
peers: ${all.map(({ name }) => name).join('; ')}
rounds: a whole number from 1`;
const { values: flags } = argumentsOf({
  quick: { type: 'boolean', default: false },
  smoke: { type: 'boolean', default: false },
  large: { type: 'boolean', default: false },
  only: { type: 'string' },
  peers: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'string' },
  keep: { type: 'boolean', default: false },
  dir: { type: 'string', default: os.tmpdir() },
  help: { type: 'boolean', default: false },
});
if (flags.help) {
  console.log(usage);
  process.exit(0);
}

function argumentsOf(options) {
  try {
    return parseArgs({ options });
  } catch (error) {
    console.error(`${error.message.split('\n')[0]}\n${usage}`);
    process.exit(2);
  }
}

const size = ['smoke', 'quick', 'large'].find((name) => flags[name]) ?? 'full';
const wanted = flags.only?.split(',') ?? works.map(({ letter }) => letter);
const unknown = wanted.filter((letter) => works.every((work) => work.letter !== letter));
// A comma ahead of a space is part of a name.
const names = flags.peers?.split(/,(?! )/) ?? all.map(({ name }) => name);
const strangers = names.filter((name) => all.every((contender) => contender.name !== name));
const rounds = Number(flags.rounds ?? { full: 5, large: 5, quick: 2, smoke: 1 }[size]);
if (unknown.length > 0 || strangers.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  console.error(usage);
  process.exit(2);
}

install();
const contenders = [];
const missing = [];
for (const contender of all.filter(({ name }) => names.includes(name))) {
  try {
    contenders.push({ ...contender, found: await contender.version() });
  } catch (error) {
    missing.push({ name: contender.name, why: error.message });
    console.log(`${contender.name} is not here: ${error.message.split('\n')[0]}`);
  }
}

const scratch = fs.mkdtempSync(path.join(flags.dir, 'tidemark-peers-'));
const report = {
  kind: 'peers',
  command: ['npm run bench:peers --', ...askedFor(process.argv.slice(2))].join(' '),
  size,
  rounds,
  machine: { ...machine(), fileSystem: `0x${fs.statfsSync(scratch).type.toString(16)}` },
  contenders: contenders.map(({ name, found, durability }) => ({
    name,
    version: found,
    durability,
  })),
  missing,
  works: [],
};
const kept = flags.keep && flags.json && fs.existsSync(flags.json) ? earlier(flags.json) : [];

/** Works of an earlier run that this one does not repeat; its command goes before this one's. */
function earlier(file) {
  const before = JSON.parse(fs.readFileSync(file, 'utf8'));
  if (before.size !== size || before.rounds !== rounds) {
    throw new Error(`${file} has other sizes or rounds`);
  }
  report.command = `${before.command}; ${report.command}`;
  return before.works.filter(({ letter }) => !wanted.includes(letter));
}

const say = (line, stays = false) => {
  if (stays) console.log(line);
  else if (process.stdout.isTTY) process.stdout.write(`\r${line.padEnd(100)}`);
};
try {
  for (const work of works.filter(({ letter }) => wanted.includes(letter))) {
    const done = await runWork(work, {
      contenders,
      sizes: sizes[size],
      rounds,
      scratch,
      seed: 1,
      say,
    });
    report.works.push(done);
    const found = [...kept, ...report.works].toSorted((a, b) => (a.letter < b.letter ? -1 : 1));
    printWork(done);
    // After each work, so that a run that is ended keeps what it has.
    if (flags.json)
      fs.writeFileSync(flags.json, `${JSON.stringify({ ...report, works: found }, null, 2)}\n`);
  }
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}
