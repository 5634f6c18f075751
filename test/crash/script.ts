/*
 * What the crash tests run: an engine over a simulated file system, commits whose content follows
 * from their number, and the state that has to be there behind each of them. Every commit of one
 * opening says which opening it is of, so that a record that was cut and is back is seen.
 */
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import type { CheckpointOptions, Engine, EngineOptions } from '../../src/engine/index.ts';
import type { Durability } from '../../src/wal/log-options.ts';
import {
  openEngineWith,
  SeededRandom,
  SimulatedClock,
  SimulatedFileSystem,
  type FileCall,
} from '../../src/testing/index.ts';
import {
  changing,
  type Afterwards,
  type Expected,
  type Inspect,
  type Moment,
  type Subject,
} from './subject.ts';

/** Options of a small store: everything happens after few bytes, and only when it is told to. */
export const small: EngineOptions = {
  dir: '/store',
  segmentBytesMax: 8192,
  undurableBytesMax: 8192,
  keyGroups: 4,
  checks: false,
  checkpointing: false,
  cleanupMs: false,
  maxChainLength: 100,
};

/** Opens an engine as the scripts do. */
export function openOn(
  fs: SimulatedFileSystem,
  options: Partial<EngineOptions>,
  seed: number,
  clock: SimulatedClock = new SimulatedClock(),
): Promise<Engine> {
  const on = { fs, clock, random: new SeededRandom(seed), threads: false };
  return openEngineWith({ ...small, ...options }, on);
}

/** A run of an engine, and the model of it. */
export class Script implements Subject {
  readonly directory = '/store';
  fs: SimulatedFileSystem;
  engine!: Engine;
  readonly clock: SimulatedClock = new SimulatedClock();
  options: Partial<EngineOptions> = {};
  inspect: Inspect | undefined;
  acknowledged = 0;
  backTo: number | undefined;
  expected: Expected;
  readonly moments: Moment[] = [];
  #openings: number;
  #isLast = false;
  #waiting: Promise<void>[] = [];

  constructor(
    fs: SimulatedFileSystem = new SimulatedFileSystem(),
    expected: Expected = [emptyState],
    openings = 0,
  ) {
    this.fs = fs;
    this.expected = expected;
    this.#openings = openings;
  }

  after(moment: Moment, fs: SimulatedFileSystem, { openings, isLast }: Afterwards): Script {
    const script = new Script(fs, moment.expected.slice(0, moment.sealed + 1), openings);
    script.options = this.options;
    script.acknowledged = moment.acknowledged;
    script.backTo = moment.backTo;
    script.#isLast = isLast;
    return script;
  }

  record(): void {
    this.fs.beforeCall = (call) => {
      if (changing.has(call.call)) this.note(call);
    };
  }

  cutPower(): void {
    this.fs.beforeCall = () => new Promise(() => {});
  }

  note(call?: FileCall): void {
    const { acknowledged, expected, inspect, backTo } = this;
    const sealed = expected.length - 1;
    const point = this.fs.crashPoint();
    this.moments.push({ point, call, acknowledged, sealed, backTo, expected, inspect });
  }

  async open(options: Partial<EngineOptions> = this.options): Promise<void> {
    this.options = options;
    this.engine = await openOn(this.fs, options, ++this.#openings, this.clock);
    const { lsn } = this.engine.recovery;
    if (lsn + 1 < this.expected.length) this.expected = this.expected.slice(0, lsn + 1);
    // What an opening serves is durable: it has copied and synced what was not proved (O3).
    this.acknowledged = lsn;
    this.backTo = undefined;
  }

  async recover(): Promise<number> {
    const { expected } = this;
    await this.open();
    const { lsn } = this.engine.recovery;
    if (lsn < expected.length) checkShown(this.engine, expected[lsn]!);
    return lsn;
  }

  /** Goes back to a commit, on a new timeline; the engine is closed. */
  async goBack(lsn: number): Promise<void> {
    this.backTo = lsn;
    const options = { ...this.options, recoverTo: { lsn } };
    this.engine = await openOn(this.fs, options, ++this.#openings, this.clock);
    this.expected = this.expected.slice(0, lsn + 1);
    this.acknowledged = lsn;
    this.backTo = undefined;
  }

  /** Changes and seals; resolves when the commit is acknowledged. */
  commit(bytes = 20, durability: Durability = 'disk'): Promise<void> {
    const { engine, expected } = this;
    const lsn = expected.length;
    change(engine, lsn, bytes, this.#openings);
    const done = engine.commit({ positions: { source: lsn }, durability });
    if (engine.sealedLsn === lsn) expected.push(this.#isLast ? '' : shown(engine));
    return done.then(() => {
      if (durability === 'disk') this.acknowledged = Math.max(this.acknowledged, lsn);
    });
  }

  /** A commit that nobody waits for until `settled`. */
  start(bytes?: number, durability?: Durability): void {
    this.#waiting.push(this.commit(bytes, durability));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
  }

  async commits(count: number, bytes?: number): Promise<void> {
    for (let n = 0; n < count; n++) await this.commit(bytes);
  }

  async checkpoint(options?: CheckpointOptions): Promise<void> {
    await this.engine.checkpoint(options);
  }

  async close(): Promise<void> {
    await this.engine.close();
    this.acknowledged = this.expected.length - 1;
  }

  async goOn(): Promise<void> {
    await this.checkpoint();
    await this.commit(300);
    await this.engine.collect();
    await this.close();
    const last = this.expected.length - 1;
    const lsn = await this.recover();
    if (lsn !== last) throw new Error(`${lsn} of ${last} commits are there after a clean close`);
  }

  async verify(): Promise<void> {
    const { fs, clock } = this;
    const on = { fs, clock, random: new SeededRandom(1), threads: false };
    const { faults } = await verifyStoreWith({ dir: '/store' }, on);
    if (faults.length === 0) return;
    throw new Error(`verify found ${faults.map(({ path, what }) => `${path}: ${what}`).join()}`);
  }
}

const keys = 5;

/** The changes of a commit, as its number has them. */
function change(engine: Engine, lsn: number, bytes: number, opening: number): void {
  const op = engine.operator('op');
  const value = op.value<number | Uint8Array>('value');
  value.set(lsn % keys, lsn);
  value.set('opening', opening);
  value.set(`big${lsn % 2}`, new Uint8Array(bytes).fill(lsn));
  if (lsn % 4 === 0) value.delete((lsn + 2) % keys);
  if (lsn % 13 === 0) value.clearAll();
  op.counter('sum').add('all', lsn);
  op.list<number>('list', { itemsMax: 4 }).append('last', lsn);
  const map = op.map<number, number>('map');
  if (lsn % 6 === 0) map.clear('a');
  map.set('a', lsn % 3, lsn);
}

function checkShown(engine: Engine, expected: string): void {
  const found = shown(engine);
  if (found === expected) return;
  throw new Error(`the state is ${found}\n and should be ${expected}`);
}

/** Everything that an engine shows. */
export function shown(engine: Engine): string {
  const op = engine.operator('op');
  const values = [...op.value<number | Uint8Array>('value').entries()]
    .map(([key, value]) =>
      typeof value === 'number'
        ? `${String(key)}=${value}`
        : `${String(key)}=${value.length}x${value[0]}`,
    )
    .sort();
  const sum = op.counter('sum').get('all');
  const list = op.list<number>('list', { itemsMax: 4 }).get('last');
  const map = [...op.map<number, number>('map').entries()].map(String).sort();
  const { positions } = engine;
  return JSON.stringify({ values, sum, list, map, positions });
}

/** What a store shows that has had no commit. */
export const emptyState: string = JSON.stringify({
  values: [],
  sum: 0,
  list: [],
  map: [],
  positions: {},
});
