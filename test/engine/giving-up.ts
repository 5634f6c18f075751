/*
 * Calls that are given up at some call of the file system: on a copy of a store, with the handles
 * counted that they leave open.
 */
import type { FileHandle, OpenMode } from '../../src/fs/file-system.ts';
import type { TidemarkError } from '../../src/errors.ts';
import { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { worldOn, type World } from './engine-fixture.ts';

export type HowToEnd = 'signal' | 'time';

/** Limits that end a call when the test says so. */
export interface EndingLimits {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface GivenUp {
  /** Undefined: the call came to its end. */
  readonly code: string | undefined;
  /** Calls of the file system so far. */
  readonly calls: number;
  readonly world: World;
  /** That are still open. */
  readonly handles: number;
}

/** The same files, all durable. */
export async function copyOf(fs: FaultyFileSystem): Promise<FaultyFileSystem> {
  const copy = new FaultyFileSystem();
  for (const [path, bytes] of await fs.contents()) {
    await copy.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    await copy.put(path, bytes);
  }
  copy.calls.length = 0;
  return copy;
}

/** Calls on a copy of a world, and gives up at a call of the file system. */
export async function giveUp(
  from: World,
  { at, how }: { readonly at: number; readonly how: HowToEnd },
  call: (world: World, limits: EndingLimits) => Promise<unknown>,
): Promise<GivenUp> {
  const world = worldOn(await copyOf(from.fs), new ManualClock(), 3);
  const handles = countHandles(world.fs);
  const abort = new AbortController();
  let calls = 0;
  world.fs.before = () => {
    if (++calls !== at) return;
    if (how === 'signal') abort.abort(new Error('enough'));
    else world.clock.advance(500);
  };
  const code = await call(world, { signal: abort.signal, timeoutMs: 500 }).then(
    () => undefined,
    (reason: TidemarkError) => reason.code ?? String(reason),
  );
  world.fs.before = () => {};
  return { code, calls, world, handles: handles.open };
}

/** Handles that are open. */
export function countHandles(fs: FaultyFileSystem): { open: number } {
  const count = { open: 0 };
  const real = fs.open.bind(fs);
  fs.open = async (path: string, mode: OpenMode): Promise<FileHandle> => {
    const handle = await real(path, mode);
    count.open++;
    const close = handle.close.bind(handle);
    return Object.assign(handle, {
      close: async () => {
        await close();
        count.open--;
      },
    });
  };
  return count;
}
