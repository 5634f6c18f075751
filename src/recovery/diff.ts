/*
 * What differs between two moments of one store: both are read into images, and their tables are
 * walked side by side in the order of the kernel (E5). Entries whose stored bytes are equal are
 * passed without being decoded. Nothing is locked or written; memory is that of the two moments.
 */
import { registerCodecs, type CodecModule } from '../codec/compression-modules.ts';
import { decodeKey, type Key } from '../codec/key.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { createReaderDecoder } from '../codec/value-reader.ts';
import type { TypeDefinition } from '../codec/value.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { compareEntries, type Entry } from '../snapshot/entry.ts';
import { compareBytes } from '../std/bytes.ts';
import { systemClock } from '../std/clock.ts';
import { knownOnly } from '../std/option-checks.ts';
import { checkName } from '../state/operator.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import { shownVersion } from '../state/value-versions.ts';
import { beginCall, limitNames, type CallLimits } from './limited-call.ts';
import {
  decodeStored,
  decodeSubKey,
  mergeTable,
  readDefinitions,
  selectTables,
} from './moment-tables.ts';
import {
  locationNames,
  readerContext,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import type { ReaderComponents } from './reader.ts';
import { readStateMoment, releaseMoment, type StateMoment } from './state-moment.ts';
import { checkTarget, type CheckedTarget, type Target } from './target.ts';

/** An entry that is there, gone or another than before. */
export interface StateChange {
  readonly operator: string;
  readonly state: string;
  readonly key: Key;
  /**
   * Sub-key of a map; of an item of a list the tuple of the LSN of its commit and its place in that
   * commit. Of other kinds undefined.
   */
  readonly subKey: Key | undefined;
  readonly kind: 'insert' | 'update' | 'delete';
  /**
   * Undefined for an insert. Of a counter a number, of a blob `{ bytes, chunks }`: its length and
   * the digests of its chunks.
   */
  readonly oldValue: unknown;
  /** Undefined for a delete. */
  readonly newValue: unknown;
  /** Version that the old value was written with; left out: 1. */
  readonly oldVersion?: number;
  /** Version that the new value was written with; left out: 1. */
  readonly newVersion?: number;
}

/** States to look at. */
export interface StateNames {
  /** This operator only. @defaultValue all */
  readonly operator?: string;
  /** States of this name only. @defaultValue all */
  readonly state?: string;
}

/** Options of {@link diffStore}. */
/** The time counts from the first change that is asked for, and includes what the caller does between two. */
export interface DiffStoreOptions extends StoreLocation, StateNames, CallLimits {
  /** The one moment. */
  readonly from: Target;
  /** The other moment; it may be the older one. @defaultValue 'latest' */
  readonly to?: Target;
  /** Classes whose instances are values; others are given as `UnknownTypeValue`. @defaultValue none */
  readonly types?: readonly TypeDefinition[];
  /** Codecs of your own that the store was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/** Names of the options of {@link diffStore}. */
export const diffOptionNames: readonly (keyof DiffStoreOptions)[] = [
  ...locationNames,
  ...limitNames,
  'from',
  'to',
  'operator',
  'state',
  'types',
  'codecs',
];

/** Two moments, and which of their states. */
export interface DiffInput {
  readonly from: CheckedTarget;
  readonly to: CheckedTarget;
  readonly operator: string | undefined;
  readonly state: string | undefined;
}

/**
 * Compares two moments of a store, which another process may have open: what has to be done to the
 * first to get the second. States in the order of their first use, keys in the order of their hash.
 * A value that was set again to what it was is no difference; whether something had expired is judged
 * by the time of each moment. Both moments are held in memory until the end, or `return()`.
 *
 * @example
 * for await (const { key, oldValue, newValue } of diffStore({ dir: './state', from: { lsn: 7 } })) {
 *   console.log(key, oldValue, newValue);
 * }
 *
 * @throws InvalidArgumentError NOT_A_STORE, INVALID_OPTION, INVALID_NAME
 * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND; STATE_NOT_FOUND
 *   when neither moment has a state of these names
 * @throws CorruptionError when two readings agree on damage; nothing was changed
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function diffStore(options: DiffStoreOptions): AsyncGenerator<StateChange> {
  return diffStoreWith(options, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link diffStore}, over given components. */
export function diffStoreWith(
  options: DiffStoreOptions,
  components: ReaderComponents,
): AsyncGenerator<StateChange> {
  knownOnly(options, diffOptionNames);
  const input = checkDiff(options.from, options.to ?? 'latest', options);
  const decoder = createReaderDecoder(options.types);
  const { codecs = [] } = options;
  const { clock } = components;
  sourceOf(components, options);
  beginCall('diff', options, clock).end();
  async function* changes(): AsyncGenerator<StateChange> {
    const run = beginCall('diff', options, clock);
    try {
      run.check();
      await registerCodecs(codecs);
      yield* diffMoments(sourceOf(components, options, run), decoder, input);
    } catch (error) {
      throw run.failure(error);
    } finally {
      run.end();
    }
  }
  return changes();
}

/** Checks the form of what is to be compared. */
export function checkDiff(from: Target, to: Target, { operator, state }: StateNames): DiffInput {
  return {
    from: checkTarget(from, 'from'),
    to: checkTarget(to, 'to'),
    operator: operator === undefined ? undefined : checkName('operator', operator),
    state: state === undefined ? undefined : checkName('state', state),
  };
}

/** Entries that are compared before others have their turn. */
const turnEntries = 4096;

/** The differences of two moments of a source. */
export async function* diffMoments(
  source: ReaderSource,
  decoder: ValueDecoder,
  input: DiffInput,
): AsyncGenerator<StateChange> {
  const moments: StateMoment[] = [];
  try {
    const before = await readStateMoment(source, input.from);
    moments.push(before);
    const after = await readStateMoment(source, input.to);
    moments.push(after);
    for (const pair of pairTables(before, after, { decoder, input })) {
      let entries = 0;
      for (const step of compareTables(pair)) {
        source.check?.();
        if (step) yield describeChange(pair, step, decoder);
        if (++entries % turnEntries === 0) await readerContext.yieldNow();
      }
    }
  } finally {
    for (const moment of moments) await releaseMoment(moment);
  }
}

/** One table as both moments know it. */
interface TablePair {
  readonly definition: TableDefinition;
  /** Undefined where the moment does not have the table. */
  readonly before: ReturnType<typeof mergeTable> | undefined;
  readonly after: ReturnType<typeof mergeTable> | undefined;
}

function* pairTables(
  before: StateMoment,
  after: StateMoment,
  { decoder, input }: { readonly decoder: ValueDecoder; readonly input: DiffInput },
): Generator<TablePair> {
  const olds = new Map(readDefinitions(before, decoder).map((table) => [table.id, table]));
  const news = new Map(readDefinitions(after, decoder).map((table) => [table.id, table]));
  const all = [...new Map([...olds, ...news]).values()].sort((a, b) => a.id - b.id);
  for (const definition of selectTables(all, input.operator, input.state)) {
    const [old, now] = [olds.get(definition.id), news.get(definition.id)];
    yield {
      definition,
      before: old && mergeTable(before, old),
      after: now && mergeTable(after, now),
    };
  }
}

/** An entry of one moment, or both entries of a key; borrowed until the next step. */
interface Step {
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

/** Walks both sides; undefined for entries that are equal. */
function* compareTables({ before, after }: TablePair): Generator<Step | undefined> {
  let old = before?.next() ? before : undefined;
  let now = after?.next() ? after : undefined;
  while (old || now) {
    const order = !old ? 1 : !now ? -1 : compareEntries(old, now);
    if (order < 0) {
      yield { before: old, after: undefined };
    } else if (order > 0) {
      yield { before: undefined, after: now };
    } else {
      yield sameValue(old!, now!) ? undefined : { before: old, after: now };
    }
    if (order <= 0 && !old!.next()) old = undefined;
    if (order >= 0 && !now!.next()) now = undefined;
  }
}

/** Whether two entries hold the same bytes; when they expire does not count. */
export function sameValue(a: Entry, b: Entry): boolean {
  return compareBytes(a.bytes, a.subKeyEnd, a.valueEnd, b.bytes, b.subKeyEnd, b.valueEnd) === 0;
}

/** What became of an entry; one of the two is there. */
export function describeChange(
  { definition }: { readonly definition: TableDefinition },
  { before, after }: Step,
  decoder: ValueDecoder,
): StateChange {
  const { operator, state } = definition;
  const entry = (after ?? before)!;
  const { version: oldVersion } = before ? shownVersion(definition, before) : {};
  const { version: newVersion } = after ? shownVersion(definition, after) : {};
  return {
    operator,
    state,
    key: decodeKey(entry.bytes, entry.keyStart, entry.keyEnd),
    subKey: decodeSubKey(definition, entry),
    kind: before && after ? 'update' : after ? 'insert' : 'delete',
    oldValue: before && decodeStored(definition, before, decoder),
    newValue: after && decodeStored(definition, after, decoder),
    ...(oldVersion !== undefined && { oldVersion }),
    ...(newVersion !== undefined && { newVersion }),
  };
}
