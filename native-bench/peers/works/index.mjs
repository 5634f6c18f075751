/*
 * The works, by letter. A work has cases; a case has steps, each a process of its own. A `fixture` is
 * made once for each contender, and every round works on a copy of it. A step that is `killed`
 * ends with SIGKILL when it has run. What a step returns under `agreed` must be the same for all.
 */
import { batches, commits } from './commits.mjs';
import { copy } from './copy.mjs';
import { disk } from './disk.mjs';
import { flights } from './flights.mjs';
import { appends, counters } from './jobs.mjs';
import { reads } from './reads.mjs';
import { recovery } from './recovery.mjs';

export const works = [commits, batches, reads, counters, appends, copy, recovery, disk, flights];

export function workOf(letter) {
  return works.find((work) => work.letter === letter);
}

const full = {
  depths: [1, 64, 1024],
  keys: 1_000_000,
  commits: 10_000_000,
  batches: 10_000,
  secondsMax: 2,
  readEntries: [1_000_000],
  reads: 100_000,
  counters: 200_000,
  updates: 10_000_000,
  entries: 1_000_000,
  records: 300_000,
  events: 1_000_000,
};

/**
 * Sizes of a run that counts, of one with more for works (c) and (i), of one to try things out, and of
 * one that only shows that all works.
 */
export const sizes = {
  full,
  large: { ...full, readEntries: [10_000_000], reads: 50_000, events: 3_000_000 },
  quick: {
    depths: [1, 64],
    keys: 100_000,
    commits: 6000,
    batches: 50,
    secondsMax: 1,
    readEntries: [100_000],
    reads: 20_000,
    counters: 20_000,
    updates: 100_000,
    entries: 100_000,
    records: 100_000,
    events: 200_000,
  },
  smoke: {
    depths: [1, 8],
    keys: 1000,
    commits: 20,
    batches: 2,
    secondsMax: 0.2,
    readEntries: [5000],
    reads: 2000,
    counters: 1000,
    updates: 2000,
    entries: 5000,
    records: 5000,
    events: 5000,
  },
};
