/*
 * `openLog` alone under the crash tests: appends and batches of every size and level, rotation, trims,
 * retention, and the state behind each LSN: the records up to it, from no later than the last trim on. A batch is
 * there whole or not at all, so that an LSN inside of one is no state at all.
 */
import {
  SeededRandom,
  SimulatedClock,
  SimulatedFileSystem,
  type FileCall,
} from '../../src/testing/index.ts';
import { openLogWith, type Log, type OpenLogOptions } from '../../src/wal/log.ts';
import type { Durability } from '../../src/wal/log-options.ts';
import { changing, type Afterwards, type Expected, type Moment, type Subject } from './subject.ts';

/** Options of a small log: everything happens after few bytes. */
const small: OpenLogOptions = { dir: '/log', segmentBytesMax: 8192, undurableBytesMax: 8192 };

/** In place of a record behind which no state ends: the middle of a batch. */
const inside = 'inside ';
const decoder = new TextDecoder();
/** Greatest LSN that a trim had been asked for at a moment; what is at or above it stays. */
const trimmedAt = new WeakMap<Moment, number>();

/** A run of a log, and the model of it. */
export class LogScript implements Subject {
  readonly directory = '/log';
  readonly fs: SimulatedFileSystem;
  readonly moments: Moment[] = [];
  readonly clock: SimulatedClock = new SimulatedClock();
  log!: Log;
  options: Partial<OpenLogOptions> = {};
  acknowledged = 0;
  /** Record of each LSN; what is above the sealed LSN is none. */
  expected: Expected;
  #openings: number;
  #trimmed = 0;
  #waiting: Promise<void>[] = [];

  constructor(
    fs: SimulatedFileSystem = new SimulatedFileSystem(),
    expected: Expected = [''],
    openings = 0,
  ) {
    this.fs = fs;
    this.expected = expected;
    this.#openings = openings;
  }

  after(moment: Moment, fs: SimulatedFileSystem, { openings }: Afterwards): LogScript {
    const script = new LogScript(fs, moment.expected.slice(0, moment.sealed + 1), openings);
    script.options = this.options;
    script.acknowledged = moment.acknowledged;
    script.#trimmed = trimmedAt.get(moment)!;
    return script;
  }

  record(): void {
    this.fs.beforeCall = (call) => {
      if (changing.has(call.call)) this.note(call);
    };
  }

  note(call?: FileCall): void {
    const { acknowledged, expected } = this;
    const sealed = expected.length - 1;
    const point = this.fs.crashPoint();
    const none = { inspect: undefined, backTo: undefined };
    const moment = { point, call, acknowledged, sealed, expected, ...none };
    trimmedAt.set(moment, this.#trimmed);
    this.moments.push(moment);
  }

  cutPower(): void {
    this.fs.beforeCall = () => new Promise(() => {});
  }

  async open(options: Partial<OpenLogOptions> = this.options): Promise<void> {
    this.options = options;
    const random = new SeededRandom(++this.#openings);
    this.log = await openLogWith(
      { ...small, ...options },
      { fs: this.fs, clock: this.clock, random },
    );
    const { tail } = this.log;
    if (tail + 1 < this.expected.length) this.expected = this.expected.slice(0, tail + 1);
    // What an opening serves is durable (O3).
    this.acknowledged = tail;
  }

  async recover(): Promise<number> {
    const { expected } = this;
    await this.open();
    const { tail } = this.log;
    const last = expected[tail];
    if (last === undefined) return tail;
    if (last.startsWith(inside)) throw new Error(`the log ends inside of a batch, at LSN ${tail}`);
    const { firstLsn } = this.log.stats();
    // Without a bound of its own, nothing but a trim takes records away.
    if (this.options.retain === undefined && firstLsn > Math.max(1, this.#trimmed)) {
      throw new Error(`kept from LSN ${firstLsn}, trimmed to ${this.#trimmed}`);
    }
    let next = firstLsn;
    for await (const { lsn, bytes } of this.log.read()) {
      const found = shownRecord(bytes);
      const due = expected[next]!.replace(inside, '');
      if (lsn !== next || found !== due) throw new Error(`LSN ${lsn} is ${found}, not ${due}`);
      next++;
    }
    if (next !== tail + 1) throw new Error(`records end at ${next - 1}, the log at ${tail}`);
    return tail;
  }

  /** Appends records as one batch, or one alone; resolves when they are acknowledged. */
  append(sizes: readonly number[], durability: Durability = 'disk'): Promise<void> {
    const { log, expected } = this;
    const first = expected.length;
    const records = sizes.map((bytes, i) => recordOf(first + i, bytes, this.#openings));
    const done =
      records.length === 1
        ? log.append(records[0]!, { durability })
        : log.appendBatch(records, { durability });
    const last = first + records.length - 1;
    for (const [i, record] of records.entries()) {
      expected.push((first + i < last ? inside : '') + shownRecord(record));
    }
    return done.then((lsn) => {
      if (lsn !== first) throw new Error(`LSN ${lsn} was given for ${first}`);
      if (durability === 'disk') this.acknowledged = Math.max(this.acknowledged, last);
    });
  }

  /** An append that nobody waits for until `settled`. */
  start(sizes: readonly number[], durability?: Durability): void {
    this.#waiting.push(this.append(sizes, durability));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
  }

  async commits(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await this.append([20, 300]);
  }

  async trim(lsn: number): Promise<void> {
    this.#trimmed = Math.max(this.#trimmed, lsn);
    await this.log.trim(lsn);
  }

  async goOn(): Promise<void> {
    this.start([700], 'os');
    await this.append([9000]);
    await this.settled();
    await this.trim(this.expected.length - 2);
    await this.close();
    const last = this.expected.length - 1;
    const lsn = await this.recover();
    if (lsn !== last) throw new Error(`${lsn} of ${last} records are there after a clean close`);
  }

  async close(): Promise<void> {
    await this.log.close();
    this.acknowledged = this.expected.length - 1;
  }

  /** Everything is read by an opening that comes after a clean close. */
  async verify(): Promise<void> {
    const last = this.expected.length - 1;
    const lsn = await this.recover();
    if (lsn !== last) throw new Error(`${lsn} of ${last} records are there`);
    if (this.log.tornTail) throw new Error('a torn tail after a clean close');
    await this.close();
  }
}

/** A record says its LSN and the opening that wrote it, and is filled up. */
function recordOf(lsn: number, bytes: number, opening: number): Uint8Array {
  const head = new TextEncoder().encode(`${lsn} of opening ${opening};`);
  const record = new Uint8Array(Math.max(bytes, head.length)).fill(lsn);
  record.set(head);
  return record;
}

function shownRecord(bytes: Uint8Array): string {
  const end = bytes.indexOf(59) + 1;
  const isFilled = bytes.subarray(end).every((byte) => byte === bytes[end]);
  return `${decoder.decode(bytes.subarray(0, end))} ${bytes.length} x ${isFilled ? bytes[end] : '?'}`;
}
