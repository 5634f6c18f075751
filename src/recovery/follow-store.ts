/*
 * The feed of changes of a store that another process may have open: its log is looked at again and
 * again. Between two looks that find nothing new only names and eight bytes are read: behind the last
 * group of the newest segment there are zeros until something is appended, and a new segment has a
 * new name (L1, L2).
 */
import { pinsOf } from '../checkpoint/retention/retention-pins.ts';
import { registerCodecs, type CodecModule } from '../codec/compression-modules.ts';
import { createReaderDecoder } from '../codec/value-reader.ts';
import type { TypeDefinition } from '../codec/value.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { systemClock } from '../std/clock.ts';
import { wholeNumber } from '../std/option-checks.ts';
import {
  changeOptionNames,
  checkChangeOptions,
  logNames,
  readChanges,
  type ChangedCommit,
  type ChangeOptions,
  type FeedPlace,
} from './change-feed.ts';
import { locationNames, sourceOf, type ReaderSource, type StoreLocation } from './reader-moment.ts';
import { isMissing } from './reader-objects.ts';
import type { ReaderComponents } from './reader.ts';

/** Options of {@link followStore}. */
export interface FollowStoreOptions extends StoreLocation, ChangeOptions {
  /** Milliseconds between two looks at the store. @defaultValue 200 */
  readonly intervalMs?: number;
  /** Classes whose instances are values; others are given as `UnknownTypeValue`. @defaultValue none */
  readonly types?: readonly TypeDefinition[];
  /** Codecs of your own that the store was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/** Names of the options of {@link followStore}. */
export const followOptionNames: readonly (keyof FollowStoreOptions)[] = [
  ...locationNames,
  ...changeOptionNames,
  'intervalMs',
  'types',
  'codecs',
];

/** Milliseconds between two looks. */
export const followIntervalMs = 200;

/**
 * Gives the commits of a store that are proved to be durable, in order, each once, and waits for
 * further ones: another process may be writing. Go on after an interruption with `from` one above the
 * LSN of the last commit that was handled. A writer proves its last commits within two seconds at
 * the latest. Waiting keeps the process alive; `signal` and `return()` end it.
 *
 * @throws InvalidArgumentError NOT_A_STORE, INVALID_OPTION
 * @throws NotFoundError OUT_OF_RETENTION, with what is kept, when `from` is below it, or the feed has
 *   fallen behind what the writer keeps
 * @throws CorruptionError when two readings agree on damage; nothing was changed
 */
export function followStore(options: FollowStoreOptions): AsyncGenerator<ChangedCommit> {
  return followStoreWith(options, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link followStore}, over given components. */
export function followStoreWith(
  options: FollowStoreOptions,
  components: ReaderComponents,
): AsyncGenerator<ChangedCommit> {
  const checked = checkChangeOptions(options, followOptionNames);
  const intervalMs = wholeNumber('intervalMs', options.intervalMs ?? followIntervalMs, 1);
  const { codecs = [] } = options;
  const source = sourceOf(components, options);
  return readChanges({
    source,
    decoder: createReaderDecoder(options.types),
    pins: pinsOf(components.fs, source.dir),
    options: checked,
    prepare: () => registerCodecs(codecs),
    durableLsn: () => 0,
    wait: (place, signal) => waitForMore(source, place, { intervalMs, signal }),
  });
}

interface Waiting {
  readonly intervalMs: number;
  readonly signal: AbortSignal;
}

async function waitForMore(
  source: ReaderSource,
  place: FeedPlace,
  { intervalMs, signal }: Waiting,
): Promise<void> {
  while (!signal.aborted) {
    await pause(source, { intervalMs, signal });
    if (signal.aborted || (await logNames(source)) !== place.names) return;
    if (await hasMore(source, place)) return;
  }
}

function pause(source: ReaderSource, { intervalMs, signal }: Waiting): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = source.clock.setTimer(intervalMs, end, true);
    signal.addEventListener('abort', end);
  });
}

/** Whether something stands behind the last group that was read, or its segment has gone. */
async function hasMore({ fs }: ReaderSource, { log }: FeedPlace): Promise<boolean> {
  const newest = log.ranges.at(-1);
  if (!newest) return true;
  try {
    const handle = await fs.open(newest.path, 'read');
    try {
      const bytes = new Uint8Array(8);
      await handle.read(bytes, newest.end);
      return bytes.some((byte) => byte !== 0);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
}
