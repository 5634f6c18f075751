/*
 * What the tests of the log share: small segments over a file system that can fail and crash, a
 * clock that stands still, and records that are short texts.
 */
import { expect } from 'vitest';
import { TidemarkError } from '../../src/errors.ts';
import {
  openLogWith,
  type Log,
  type LogComponents,
  type LogRecord,
  type OpenLogOptions,
} from '../../src/wal/log.ts';
import {
  FaultyFileSystem,
  changes,
  type CrashChoice,
  type NotedCall,
} from '../tools/faulty-file-system.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { SeededRandom } from '../tools/seeded-random.ts';

export const walDirectory = '/log/wal';

/** Options with segments that a few records fill. */
export const small: OpenLogOptions = { dir: '/log', segmentBytesMax: 4096 };

/** A log's components, which a test may reach into. */
export interface World extends LogComponents {
  readonly fs: FaultyFileSystem;
  readonly clock: ManualClock;
}

export function worldOn(fs: FaultyFileSystem = new FaultyFileSystem(), seed = 1): World {
  return { fs, clock: new ManualClock(), random: new SeededRandom(seed) };
}

export function open(world: World, options: Partial<OpenLogOptions> = {}): Promise<Log> {
  return openLogWith({ ...small, ...options }, world);
}

/** The world that comes up after a power loss. */
export async function crashed(world: World, choice: CrashChoice): Promise<World> {
  return worldOn(await world.fs.crash(choice), 99);
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
/** A record of a number, padded so that a few of them fill a segment. */
export const record = (n: number, bytes = 500): Uint8Array => bytesOf(`r${n}`.padEnd(bytes, '.'));

export async function appendMany(log: Log, from: number, through: number): Promise<void> {
  for (let n = from; n <= through; n++) expect(await log.append(record(n))).toBe(n);
}

/** All records as `lsn text`, trailing dots cut. */
export async function readAll(log: Log, options = {}): Promise<string[]> {
  return collect(log.read(options));
}

export async function collect(records: AsyncGenerator<LogRecord>): Promise<string[]> {
  const found: string[] = [];
  for await (const { lsn, bytes } of records) {
    found.push(`${lsn} ${Buffer.from(bytes).toString().replace(/\.+$/, '')}`);
  }
  return found;
}

/** What `readAll` gives of records `from` to `through` that `record` made. */
export function recordsOf(from: number, through: number): string[] {
  const due: string[] = [];
  for (let n = from; n <= through; n++) due.push(`${n} r${n}`);
  return due;
}

/** The error that a call fails with. */
export async function errorOf(action: Promise<unknown>): Promise<TidemarkError> {
  try {
    await action;
  } catch (error) {
    expect(error).toBeInstanceOf(TidemarkError);
    return error as TidemarkError;
  }
  throw new Error('the call has not failed');
}

export const codeOf = async (action: Promise<unknown>): Promise<string> =>
  (await errorOf(action)).code;

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Calls that change the disk, as `call name`. */
export function changesOf(calls: readonly NotedCall[]): string[] {
  return calls.filter(changes).map(({ call, path }) => `${call} ${nameOf(path)}`);
}

export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Paths of the log's segments, by number. */
export async function segmentPaths(fs: FaultyFileSystem): Promise<string[]> {
  const paths = [...(await fs.contents()).keys()];
  return paths.filter((path) => path.startsWith(walDirectory) && path.endsWith('.wal'));
}

/** A promise that the test settles. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open: () => void = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
