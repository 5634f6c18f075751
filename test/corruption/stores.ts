/*
 * The stores that are damaged: one with a file of every kind, as it is when it was closed and as it is
 * while it runs, together with what every file held before.
 */
import type { Engine, EngineOptions, Target } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { SeededRandom, SimulatedClock } from '../../src/testing/index.ts';
import { dir, filesOf, type Files } from './disk.ts';
import { Model } from './model.ts';

/** Everything happens after few bytes, and only when it is told to. */
export const small: EngineOptions = {
  dir,
  segmentBytesMax: 8192,
  undurableBytesMax: 4096,
  keyGroups: 4,
  checks: false,
  checkpointing: false,
  cleanupMs: false,
  maxChainLength: 100,
  record: '/recordings/workload',
};

/** A store, and what is known of it. */
export interface Sample {
  readonly name: string;
  readonly files: Files;
  /** What files held at earlier moments, also those that are gone, by path. */
  readonly older: ReadonlyMap<string, readonly Uint8Array[]>;
  readonly model: Model;
  /** Timelines of the current ancestry, and up to which LSN each counts. */
  readonly limits: ReadonlyMap<number, number>;
  /** Moments that readers ask for beside the newest, and what they have to show. */
  readonly moments: readonly Moment[];
  /** No file of it is spare: what is done may be refused for any. @defaultValue false */
  readonly anyRefusal?: boolean;
}

/** A moment that is kept. */
export interface Moment {
  readonly at: Target;
  readonly shown: string;
}

/** Opens an engine with the options of the sweep, on a clock of its own. */
export function openOn(
  fs: MemoryFileSystem,
  options: Partial<EngineOptions> = {},
  seed = 1,
): Promise<Engine> {
  const on = { fs, clock: new SimulatedClock(), random: new SeededRandom(seed), threads: false };
  return openEngineWith({ ...small, ...options }, on);
}

/** A run of an engine that remembers what its files held. */
export class Run {
  readonly fs: MemoryFileSystem;
  readonly model: Model = new Model();
  readonly older: Map<string, Uint8Array[]> = new Map();
  readonly moments: Moment[] = [];
  engine!: Engine;
  timeline = 1;
  #openings = 0;

  constructor(fs: MemoryFileSystem = new MemoryFileSystem()) {
    this.fs = fs;
  }

  async open(options: Partial<EngineOptions> = {}): Promise<void> {
    await this.fs.makeDirectory('/recordings');
    this.engine = await openOn(this.fs, options, ++this.#openings);
    await this.remember();
  }

  async commits(count: number, bytes: number, durability: 'disk' | 'os' = 'disk'): Promise<void> {
    for (let n = 0; n < count; n++) {
      this.model.change(this.engine, this.timeline, bytes);
      await this.engine.commit({ positions: { source: this.model.lsn }, durability });
    }
    await this.remember();
  }

  async checkpoint(options?: Parameters<Engine['checkpoint']>[0]): Promise<void> {
    await this.engine.checkpoint(options);
    await this.remember();
  }

  /** Notes that the last commit is what a reader of this moment has to show. */
  keep(at: Target): void {
    this.moments.push({ at, shown: this.model.shown[this.model.lsn]! });
  }

  /** Notes what every file holds now. */
  async remember(): Promise<Files> {
    const files = await filesOf(this.fs);
    for (const [path, bytes] of files) {
      const known = this.older.get(path) ?? [];
      this.older.set(path, known);
      if (known.every((one) => Buffer.compare(one, bytes) !== 0)) known.push(bytes);
    }
    return files;
  }

  sample(name: string, files: Files, limits: ReadonlyMap<number, number>): Sample {
    const older = new Map<string, Uint8Array[]>();
    for (const [path, contents] of this.older) {
      const now = files.get(path);
      older.set(
        path,
        contents.filter((bytes) => !now || Buffer.compare(bytes, now) !== 0),
      );
    }
    const model = this.model.copyAt(this.model.lsn);
    return { name, files, older, model, limits, moments: [...this.moments] };
  }
}

/** A store with a file of every kind: closed, and while its engine runs. */
export async function everyKind(): Promise<{ closed: Sample; running: Sample }> {
  const run = new Run();
  await run.open();
  await run.commits(3, 300);
  await run.checkpoint({ kind: 'base' });
  await run.commits(4, 1500);
  await run.checkpoint({ savepoint: 'dropped' });
  await run.engine.dropSavepoint('dropped');
  await run.commits(4, 1200);
  await run.checkpoint({ kind: 'base' });
  await run.commits(2, 200);
  await run.checkpoint({ savepoint: 'kept' });
  run.keep({ savepoint: 'kept' });
  await run.commits(2, 900);
  await run.checkpoint({ kind: 'base' });
  await run.engine.collect();
  await run.remember();
  // Deltas, of which some are merged into one.
  for (let round = 0; round < 4; round++) {
    await run.commits(1, 400);
    await run.checkpoint({ kind: 'delta' });
    if (round === 2) await run.engine.merge();
  }
  await run.commits(2, 600);
  const forkLsn = run.model.lsn - 1;
  run.keep({ timeline: 1, lsn: run.model.lsn });
  await run.engine.close();
  // Another timeline: the last commit is left behind.
  run.timeline = 2;
  await run.open({ recoverTo: { lsn: forkLsn } });
  run.model.backTo(forkLsn);
  await run.commits(2, 300);
  await run.checkpoint({ kind: 'delta' });
  await run.commits(2, 300);
  await run.engine.close();
  await run.remember();
  // Compressed groups, and a log behind the newest checkpoint that is several segments long.
  await run.open({ logCompression: { codec: 'lz4', bytesMin: 0 } });
  await run.commits(3, 900);
  await run.checkpoint({ savepoint: 'dropped too' });
  await run.engine.dropSavepoint('dropped too');
  await run.commits(9, 1100);
  await run.commits(1, 900, 'os');
  const limits = new Map([
    [1, forkLsn],
    [2, Number.MAX_SAFE_INTEGER],
  ]);
  const running = run.sample('running', await run.remember(), limits);
  await run.engine.close();
  const closed = run.sample('closed', await run.remember(), limits);
  return { closed, running };
}

/** A young store: six small commits in one segment, no checkpoint. */
export async function young(): Promise<{ closed: Sample; running: Sample }> {
  const run = new Run();
  await run.open();
  await run.commits(6, 10);
  const limits = new Map([[1, Number.MAX_SAFE_INTEGER]]);
  const running = run.sample('running', await run.remember(), limits);
  await run.engine.close();
  const closed = run.sample('closed', await run.remember(), limits);
  return { closed, running };
}

/** Moments of a store's life while it runs: openings, rotations, checkpoints, collections, going back. */
export async function lifeOf(): Promise<Sample[]> {
  const run = new Run();
  const samples: Sample[] = [];
  let limits = new Map([[1, Number.MAX_SAFE_INTEGER]]);
  const note = async (what: string): Promise<void> => {
    samples.push(run.sample(what, await run.remember(), limits));
  };
  await run.open();
  await note('a first opening');
  await run.commits(1, 100);
  await note('a first commit');
  await run.commits(4, 2000);
  await note('a rotation');
  await run.checkpoint();
  await note('a first checkpoint');
  await run.commits(3, 2000);
  await run.checkpoint({ kind: 'base' });
  await run.commits(3, 1500);
  await run.checkpoint({ kind: 'base' });
  await run.commits(1, 300);
  await run.checkpoint({ kind: 'base' });
  await run.engine.collect();
  await note('a collection');
  await run.commits(1, 300, 'os');
  await run.engine.close();
  await note('a close');
  await run.open();
  await note('an opening without a commit');
  await run.commits(1, 300, 'os');
  await run.checkpoint({ kind: 'delta' });
  await run.engine.merge({ strategy: 'optimal' });
  await note('a merge');
  await run.commits(2, 300);
  const forkLsn = run.model.lsn - 1;
  await run.engine.close();
  await run.open({ recoverTo: { lsn: forkLsn } });
  run.model.backTo(forkLsn);
  run.timeline = 2;
  limits = new Map([
    [1, forkLsn],
    [2, Number.MAX_SAFE_INTEGER],
  ]);
  await note('going back');
  await run.commits(1, 300, 'os');
  await note('a commit on another timeline');
  await run.engine.close();
  return samples;
}
