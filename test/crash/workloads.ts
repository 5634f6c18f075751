/*
 * What the engine is doing when the power goes: scripts, each with the least number of disks that
 * the tests have to open for it. Together these are at least 20,000 (`workloads.test.ts`).
 */
import type { Durability } from '../../src/wal/log-options.ts';
import { backupWith } from '../../src/engine/backup-store.ts';
import { forkWith } from '../../src/engine/fork-store.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { SeededRandom, type SimulatedFileSystem } from '../../src/testing/index.ts';
import { inspectCopy } from './inspect-copy.ts';
import { logAppends, logRetention, logRotation, logTrims } from './log-workloads.ts';
import { Script } from './script.ts';
import { SelfMovingClock } from './self-moving-clock.ts';
import type { Inspect, Subject } from './subject.ts';

/** A script and how much of it is tried. */
export interface Workload {
  readonly name: string;
  readonly run: () => Promise<Subject>;
  /** Most disks of one moment. */
  readonly statesMax: number;
  /** Disks that are opened at least. */
  readonly disksLeast: number;
}

async function started(options: Script['options'] = {}): Promise<Script> {
  const script = new Script();
  script.record();
  await script.open(options);
  return script;
}

async function ended(script: Script): Promise<Script> {
  await script.close();
  script.note();
  return script;
}

const levels: readonly Durability[] = ['memory', 'os', 'disk', 'os', 'memory', 'disk'];

async function firstOpening(): Promise<Script> {
  const script = await started();
  await script.commit();
  return ended(script);
}

/** From a few bytes to frames of several pages, and one that is greater than a segment. */
async function everySize(): Promise<Script> {
  const script = await started();
  for (const bytes of [1, 400, 511, 512, 513, 1500, 3900, 4096, 5000, 9000, 1, 20_000, 1]) {
    await script.commit(bytes);
  }
  return ended(script);
}

async function inFlight(): Promise<Script> {
  const script = await started({ segmentBytesMax: 32_768 });
  for (let round = 0; round < 6; round++) {
    for (const [n, level] of levels.entries()) script.start(40 + n * 200 * (round % 3), level);
    if (round % 2 === 0) await script.settled();
    else await script.commit(700);
  }
  await script.settled();
  return ended(script);
}

/** Commits of lower levels, proved by idleness, then more of them behind the mark. */
async function idle(): Promise<Script> {
  const script = await started();
  for (let round = 0; round < 4; round++) {
    await script.commit(30, 'os');
    await script.commit(30, 'memory');
    script.clock.advance(1000);
    await turns();
    script.clock.advance(1000);
    await turns();
    await script.commit(30, 'os');
  }
  return ended(script);
}

async function rotation(): Promise<Script> {
  const script = await started();
  for (let n = 0; n < 12; n++) {
    script.start(900 + 100 * n, n % 3 === 0 ? 'os' : 'disk');
    await script.commit(1200);
  }
  await script.settled();
  return ended(script);
}

async function compressedLog(): Promise<Script> {
  const script = await started({ logCompression: { codec: 'lz4', bytesMin: 0 } });
  for (let n = 0; n < 14; n++) await script.commit(1000 + n);
  return ended(script);
}

async function checkpoints(): Promise<Script> {
  const script = await started();
  for (let round = 0; round < 4; round++) {
    await script.commits(2, 200);
    const checkpoint = script.checkpoint(round === 2 ? { kind: 'base' } : {});
    script.start();
    script.start(800, 'os');
    await checkpoint;
    await script.settled();
  }
  await script.checkpoint({ savepoint: 'kept' });
  return ended(script);
}

async function compaction(): Promise<Script> {
  const script = await started();
  for (let round = 0; round < 5; round++) {
    await script.commits(2, 200);
    await script.checkpoint();
  }
  const merge = script.engine.merge();
  script.start();
  await script.checkpoint();
  script.start(600);
  await merge;
  await script.settled();
  await script.engine.merge({ strategy: 'optimal' });
  return ended(script);
}

async function retention(): Promise<Script> {
  const script = await started({ retention: { checkpoints: 1 } });
  for (let round = 0; round < 4; round++) {
    await script.commits(3, 1500);
    if (round === 1) await script.checkpoint({ savepoint: 'one' });
    await script.checkpoint({ kind: 'base' });
    script.start(500);
    await script.engine.collect();
    await script.settled();
  }
  await script.engine.dropSavepoint('one');
  await script.engine.collect();
  return ended(script);
}

/** Openings that prove nothing, then one that works. */
async function openings(): Promise<Script> {
  const script = await started();
  for (let round = 0; round < 5; round++) {
    await script.commit(100);
    await script.commit(100, 'os');
    await script.close();
    await script.open();
    if (round === 2) await script.checkpoint();
    if (round % 2 === 0) {
      await script.close();
      await script.open();
    }
  }
  return ended(script);
}

/** A crash leaves a torn tail; its repair by the next opening is what is crashed. */
async function tornTail(): Promise<Script> {
  const first = await started({ segmentBytesMax: 32_768 });
  await first.commits(4, 500);
  for (let n = 0; n < 6; n++) await first.commit(900, 'os');
  await first.commit(900, 'memory');
  const { options, expected, acknowledged } = first;
  let script: Script | undefined;
  for (let seed = 1; seed < 50; seed++) {
    const fs = first.fs.crash(seed);
    script = new Script(fs, expected, 50);
    script.acknowledged = acknowledged;
    script.record();
    await script.open(options);
    if (script.engine.recovery.tornTail && script.engine.recovery.lsn > acknowledged) break;
  }
  await script!.commits(2, 500);
  await script!.checkpoint();
  return ended(script!);
}

/** A backup, more work, and the next backup; the copy is always what the last one made of it, or more. */
async function backups(): Promise<Script> {
  const script = await started();
  await script.commits(3, 300);
  await script.checkpoint();
  let backedUp = 0;
  const copy = '/copy';
  for (let round = 0; round < 2; round++) {
    await script.commits(2, 1500);
    const { expected, fs } = script;
    const least = backedUp;
    script.inspect = lookAt(copy, (disk) => inspectCopy(disk, copy, expected, { least }));
    const on = { fs, clock: new SelfMovingClock(), random: new SeededRandom(9), threads: false };
    ({ lsn: backedUp } = await backupWith({ from: { dir: '/store' }, to: copy }, on));
    const made = backedUp;
    script.inspect = lookAt(copy, (disk) => inspectCopy(disk, copy, expected, { least: made }));
    await script.checkpoint({ kind: 'base' });
    await script.engine.collect();
  }
  return ended(script);
}

/** A restore to a moment: refused, nothing, or the whole store; then it can be done again. */
async function restores(): Promise<Script> {
  const script = await started();
  await script.commits(3, 300);
  await script.checkpoint();
  await script.commits(2, 1500);
  const { expected } = script;
  const to = '/copy';
  const target = { lsn: 4 };
  const restoreOn = (fs: SimulatedFileSystem): Promise<unknown> => {
    const clock = new SelfMovingClock();
    const on = { fs, clock, random: new SeededRandom(9), threads: false };
    return restoreWith({ from: { dir: '/store' }, to, target }, on);
  };
  script.inspect = lookAt('/', async (disk) => {
    if (await inspectCopy(disk, to, expected, { least: 0, most: 4 })) return;
    await restoreOn(disk);
    await inspectCopy(disk, to, expected, { least: 4, most: 4 });
  });
  await restoreOn(script.fs);
  script.inspect = lookAt(to, (disk) => inspectCopy(disk, to, expected, { least: 4, most: 4 }));
  return ended(script);
}

/** A fork: refused, nothing, or the whole store; then it can be done again. */
async function forks(): Promise<Script> {
  const script = await started({ segmentBytesMax: 16_384 });
  await script.commits(3, 300);
  await script.checkpoint();
  await script.commits(2, 1500);
  await script.close();
  const { expected } = script;
  const to = '/copy';
  const all = { least: 5, most: 5 };
  const forkOn = (fs: SimulatedFileSystem): Promise<unknown> => {
    const clock = new SelfMovingClock();
    const on = { fs, clock, random: new SeededRandom(9), threads: false };
    return forkWith({ from: { dir: '/store' }, to }, on);
  };
  script.inspect = lookAt('/', async (disk) => {
    if (!(await inspectCopy(disk, to, expected, { least: 0, most: 5 }))) await forkOn(disk);
    await inspectCopy(disk, to, expected, all);
  });
  await forkOn(script.fs);
  script.inspect = lookAt(to, (disk) => inspectCopy(disk, to, expected, all));
  await script.open({ segmentBytesMax: 16_384 });
  await script.commits(1, 300);
  return ended(script);
}

/** Goes back in place, works on, and goes back again: to before the fork, and to behind it (T1). */
async function timelines(): Promise<Script> {
  const script = await started({ segmentBytesMax: 16_384 });
  await script.commits(3, 300);
  await script.checkpoint();
  await script.commits(3, 900);
  await script.commit(50, 'os');
  for (const lsn of [5, 2, 4]) {
    if (lsn === 4) {
      // A checkpoint behind a mark, at the very commit that is gone back to.
      script.clock.advance(1000);
      await turns();
      await script.checkpoint();
      const at = script.expected.length - 1;
      await script.commit(60);
      await script.close();
      await script.goBack(at);
    }
    await script.close();
    await script.goBack(lsn);
    await script.commits(2, 700);
    if (lsn === 2) await script.checkpoint();
    script.start(400, 'os');
    await script.commit(90);
  }
  await script.engine.collect();
  return ended(script);
}

function lookAt(directory: string, look: (disk: SimulatedFileSystem) => Promise<unknown>): Inspect {
  return {
    directory,
    async look(fs) {
      await look(fs);
    },
  };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
}

export const workloads: readonly Workload[] = [
  { name: 'first opening', run: firstOpening, statesMax: 30, disksLeast: 215 },
  { name: 'commits of every size', run: everySize, statesMax: 14, disksLeast: 790 },
  { name: 'commits in flight', run: inFlight, statesMax: 20, disksLeast: 370 },
  { name: 'idleness', run: idle, statesMax: 14, disksLeast: 640 },
  { name: 'rotation', run: rotation, statesMax: 14, disksLeast: 690 },
  { name: 'compressed log', run: compressedLog, statesMax: 14, disksLeast: 480 },
  { name: 'checkpoints', run: checkpoints, statesMax: 7, disksLeast: 1770 },
  { name: 'compaction', run: compaction, statesMax: 5, disksLeast: 1400 },
  { name: 'retention', run: retention, statesMax: 5, disksLeast: 1900 },
  { name: 'openings', run: openings, statesMax: 10, disksLeast: 1650 },
  { name: 'timelines', run: timelines, statesMax: 4, disksLeast: 1700 },
  { name: 'backups', run: backups, statesMax: 4, disksLeast: 1060 },
  { name: 'restores', run: restores, statesMax: 6, disksLeast: 720 },
  { name: 'forks', run: forks, statesMax: 6, disksLeast: 670 },
  { name: 'openLog: appends', run: logAppends, statesMax: 20, disksLeast: 870 },
  { name: 'openLog: rotation', run: logRotation, statesMax: 20, disksLeast: 1590 },
  { name: 'openLog: trims', run: logTrims, statesMax: 20, disksLeast: 1900 },
  { name: 'openLog: retention', run: logRetention, statesMax: 20, disksLeast: 3070 },
  { name: 'repair of a torn tail', run: tornTail, statesMax: 16, disksLeast: 365 },
];
