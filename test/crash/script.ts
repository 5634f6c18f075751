/*
 * What the crash tests run: an engine over a simulated file system, commits whose content follows
 * from their number, and the state that has to be there behind each of them. Every commit of one
 * opening says which opening it is of, so that a record that was cut and is back is seen.
 */
import type { CheckpointOptions, Engine, EngineOptions } from '../../src/engine/index.ts';
import type { Durability } from '../../src/wal/log-options.ts';
import {
  openEngineWith,
  SeededRandom,
  SimulatedClock,
  SimulatedFileSystem,
  type CrashPoint,
  type FileCall,
} from '../../src/testing/index.ts';

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

/** Behind every LSN, from 0 on: what the engine has to show. */
export type Expected = string[];

/** Looks at what else a script has made, on a disk that a crash has left. */
export type Inspect = (fs: SimulatedFileSystem) => Promise<void>;

/** A moment at which the power may go. */
export interface Moment {
  readonly point: CrashPoint;
  readonly call: FileCall | undefined;
  readonly inspect: Inspect | undefined;
  /** Greatest LSN that was acknowledged at level `disk`. */
  readonly acknowledged: number;
  readonly sealed: number;
  /** An LSN that is as good: that of a moment which is being gone back to. */
  readonly backTo: number | undefined;
  readonly expected: Expected;
}

/** Calls before which the disk may be another than before the last one. */
const changing = new Set<string>([
  'open',
  'write',
  'truncate',
  'sync',
  'rename',
  'link',
  'unlink',
  'syncDirectory',
  'makeDirectory',
  'lock',
]);

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
export class Script {
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

  /** Notes every moment from now on at which the disk can be another. */
  record(): void {
    this.fs.beforeCall = (call) => {
      if (changing.has(call.call)) this.note(call);
    };
  }

  /** Notes this moment. */
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
    if (engine.sealedLsn === lsn) expected.push(shown(engine));
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
