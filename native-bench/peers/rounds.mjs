/*
 * Runs works in rounds: every round runs each contender once, each step in a fresh process in a fresh
 * directory, and starts with another contender than the round before, so that a neighbour on the
 * machine, a warm disk or a hot processor meets all of them alike.
 */
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const child = path.join(import.meta.dirname, 'child.mjs');

/** All runs of a work: for each case and contender its samples, or why there are none. */
export async function runWork(work, { contenders, sizes, rounds, scratch, seed, say }) {
  const cases = [];
  for (const one of work.cases(sizes)) {
    const entrants = contenders.flatMap((contender) => entrantsOf(work, contender));
    const fixtures = path.join(scratch, 'fixtures');
    const results = new Map(entrants.map((entrant) => [entrant, { samples: [] }]));
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < entrants.length; i++) {
        const entrant = entrants[(i + round) % entrants.length];
        const result = results.get(entrant);
        if (entrant.refused !== undefined || result.failed !== undefined) continue;
        say(`(${work.letter}) ${one.name}: round ${round + 1} of ${rounds}, ${entrant.title}`);
        try {
          const place = { fixtures, dir: path.join(scratch, 'round') };
          result.samples.push(await runOnce(work, one, entrant, { ...place, seed: seed + round }));
        } catch (error) {
          result.failed = error.message;
          say(`${entrant.title} failed: ${error.message}`, true);
        }
      }
      checkAgreement(
        work,
        one,
        [...results.values()].map(({ samples }) => samples[round]),
      );
    }
    fs.rmSync(fixtures, { recursive: true, force: true });
    cases.push({
      name: one.name,
      parameters: one,
      contenders: [...results].map(([{ title, contender, refused }, { samples, failed }]) => {
        const { durability } = contender;
        return { title, durability, refused, failed, samples };
      }),
    });
  }
  const { letter, title, metrics, reference = contenders[0].name } = work;
  return { letter, title, metrics, reference, cases };
}

function entrantsOf(work, contender) {
  const refused = contender.refuses[work.letter];
  const { name } = contender;
  if (work.variants === undefined) return [{ title: name, contender, refused }];
  return work.variants
    .filter(({ of }) => of === undefined || of === name)
    .map(({ variant, of }) => ({
      title: of === undefined ? name : `${name}, ${variant}`,
      contender,
      refused,
      variant,
    }));
}

async function runOnce(work, one, { contender, variant }, { fixtures, dir, seed }) {
  const job = { contender: contender.name, letter: work.letter, case: one, seed, variant, dir };
  fs.rmSync(dir, { recursive: true, force: true });
  if (work.fixture) {
    const fixture = path.join(fixtures, contender.name.replaceAll(/\W+/g, '-'));
    if (!fs.existsSync(fixture)) {
      fs.mkdirSync(fixture, { recursive: true });
      await runStep({ ...job, step: 'fixture', dir: fixture });
    }
    fs.cpSync(fixture, dir, { recursive: true });
  } else {
    fs.mkdirSync(dir, { recursive: true });
  }
  try {
    let result;
    for (const { name, killed } of work.steps) {
      result = await runStep({ ...job, step: name }, killed);
    }
    return result;
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** Resolves with what the process measured, when it is gone. */
function runStep(job, killed = false) {
  return new Promise((resolve, reject) => {
    const running = fork(child, [JSON.stringify(job)], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    let measured;
    let errors = '';
    running.stderr.on('data', (bytes) => {
      errors = (errors + bytes).slice(-4000);
    });
    running.on('message', (message) => {
      measured = message;
      if (killed) running.kill('SIGKILL');
    });
    running.on('error', reject);
    running.on('close', (code, signal) => {
      const ended = killed ? signal === 'SIGKILL' : code === 0;
      if (measured !== undefined && ended) resolve(measured);
      else reject(new Error(`${job.step} ended with ${code ?? signal}: ${errors.trim()}`));
    });
  });
}

function checkAgreement(work, one, samples) {
  const agreed = new Set(
    samples.flatMap((sample) => sample?.agreed ?? []).map((sums) => JSON.stringify(sortKeys(sums))),
  );
  if (agreed.size > 1) {
    throw new Error(`(${work.letter}) ${one.name}: contenders disagree: ${[...agreed].join(', ')}`);
  }
}

function sortKeys(object) {
  return Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export function machine() {
  return {
    date: new Date().toISOString(),
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    processor: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    loadBefore: os.loadavg(),
  };
}
