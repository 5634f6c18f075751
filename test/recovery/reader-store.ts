/*
 * Stores for the tests of readers: in memory, with a clock that the test moves, filled with a few
 * entries of each kind; and ways to damage a file of one.
 */
import { openEngineWith } from '../../src/engine/open-engine.ts';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import type { FileSystem } from '../../src/fs/file-system.ts';
import { openReaderWith, type Reader } from '../../src/recovery/reader.ts';
import { systemRandom } from '../../src/std/random.ts';
import type { Clock } from '../../src/std/clock.ts';

export const dir = '/store';

/** A clock that stands still until it is moved; its timers never fire. */
export class StillClock implements Clock {
  micros = 1_700_000_000_000_000;

  nowMicros(): number {
    return this.micros;
  }

  monotonicMs(): number {
    return this.micros / 1000;
  }

  setTimer(): { cancel(): void } {
    return { cancel: () => {} };
  }
}

/** A store in memory and what it runs on. */
export class TestStore {
  readonly fs: MemoryFileSystem = new MemoryFileSystem();
  readonly clock: StillClock = new StillClock();

  open(options: Partial<EngineOptions> = {}, fs: FileSystem = this.fs): Promise<Engine> {
    return openEngineWith(
      { dir, ...options },
      { fs, clock: this.clock, random: systemRandom, threads: false },
    );
  }

  get components(): { fs: FileSystem; clock: Clock } {
    return { fs: this.fs, clock: this.clock };
  }

  /** All files and their sizes. */
  async files(under: string = dir): Promise<{ path: string; bytes: number }[]> {
    const found = [];
    for (const name of await this.fs.list(under)) {
      const path = `${under}/${name}`;
      const stat = await this.fs.stat(path);
      if (stat?.kind === 'directory') found.push(...(await this.files(path)));
      else found.push({ path, bytes: stat?.bytes ?? 0 });
    }
    return found;
  }

  async read(path: string): Promise<Uint8Array> {
    const handle = await this.fs.open(path, 'read');
    const bytes = new Uint8Array(await handle.size());
    await handle.read(bytes, 0);
    await handle.close();
    return bytes;
  }

  /** Changes one byte. */
  async flip(path: string, offset: number): Promise<void> {
    const bytes = await this.read(path);
    const handle = await this.fs.open(path, 'write');
    await handle.write(Uint8Array.of(bytes[offset]! ^ 0x41), offset);
    await handle.close();
  }

  async truncate(path: string, bytes: number): Promise<void> {
    const handle = await this.fs.open(path, 'write');
    await handle.truncate(bytes);
    await handle.close();
  }
}

/** Segments that rotate after a few commits. */
export const smallSegments = { segmentBytesMax: 16_384, undurableBytesMax: 2048 } as const;

/** Commits entries of each kind, with a checkpoint after every twelfth commit. */
export async function fill(engine: Engine, commits: number): Promise<void> {
  const operator = engine.operator('routes');
  const stats = operator.value('stats');
  const days = operator.map('days');
  const recent = operator.list('recent', { itemsMax: 3 });
  const flights = operator.counter('flights');
  const model = operator.blob('model');
  for (let i = 0; i < commits; i++) {
    stats.set(`route ${i}`, { count: i });
    days.set('JFK', i, i * 2);
    recent.append('JFK', i);
    flights.add('JFK', 2);
    if (i === 3) model.set('m', new Uint8Array(500).fill(7));
    await engine.commit({ positions: { flights: i }, metadata: { step: i } });
    if (i % 12 === 5) await engine.checkpoint();
  }
}

/** Calls with a reader of a store, and closes it. */
export async function withReader<T>(
  store: TestStore,
  use: (reader: Reader) => T | Promise<T>,
  fs: FileSystem = store.fs,
): Promise<T> {
  const reader = await openReaderWith({ dir }, { fs, clock: store.clock });
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}

/** A closed store with some commits. */
export async function filled(commits = 30): Promise<TestStore> {
  const store = new TestStore();
  const engine = await store.open(smallSegments);
  await fill(engine, commits);
  await engine.close();
  return store;
}
