/*
 * Versions of the values of a state. A program says which version it writes, and how it gets its own
 * form out of an older one; each stored value says which it was written with (value-version.ts). An
 * old value is brought up to date when it is read, each time, and never written back by that: it
 * stays as it is until it is set again.
 *
 * Invariants: V1 a state has one version in a process, so what memtables hold is of that version.
 * V2 its stored definition has the greatest version that anyone has written it with. V3 code of the
 * user runs on the main thread only, in calls of the user: no opening, merge or restore needs it.
 */
import { decodeKey, type Key } from '../codec/key.ts';
import { storedVersion, VERSION_MAX } from '../codec/value-version.ts';
import { IncompatibleError, InvalidArgumentError } from '../errors.ts';
import type { Entry } from '../snapshot/entry.ts';
import { entryFlags } from '../snapshot/entry-format.ts';
import { badOption, wholeNumber } from '../std/option-checks.ts';
import type { StateKind, TableDefinition } from './table-definition.ts';
import type { StateOptions } from './write-options.ts';

/** Options of a state whose values have a version. */
export interface VersionedOptions<V> extends StateOptions {
  /**
   * Version of the values, from 1 to 65,535: raise it when they change their shape. It is stored with
   * each value, in 3 bytes where it is above 1.
   * @defaultValue 1
   */
  readonly version?: number;
  /**
   * Makes a value of `version` out of one of an older version; synchronously, whenever such a value
   * is read. It is given a copy that it may change, and must depend on nothing else. What it returns
   * is not stored: that is left to the next `set`.
   */
  upgrade?(old: unknown, fromVersion: number): V;
}

/** How the values of a state are read and written in this process. */
export interface Versioning {
  readonly version: number;
  readonly upgrade: ((old: unknown, fromVersion: number) => unknown) | undefined;
  /** What it knows no way from is given as it is stored: a view to which nobody said a version. */
  readonly lenient?: boolean;
}

/** A state of which no version was said. */
export const unversioned: Versioning = { version: 1, upgrade: undefined };

export const versionNames: readonly string[] = ['version', 'upgrade'];

type Definition = Pick<TableDefinition, 'operator' | 'state' | 'version'>;

/** The version that a definition says. */
export function versionOf({ version }: Pick<TableDefinition, 'version'>): number {
  return version ?? 1;
}

/** Checks `version` and `upgrade`; undefined where nothing is said. */
export function checkVersioning(options: VersionedOptions<unknown>): Versioning | undefined {
  const { version } = options;
  const hasUpgrade = options.upgrade !== undefined;
  if (hasUpgrade && typeof options.upgrade !== 'function') {
    throw badOption('upgrade', 'must be a function', undefined);
  }
  if (version !== undefined) wholeNumber('version', version, 1, VERSION_MAX);
  if (hasUpgrade && (version ?? 1) === 1) {
    throw badOption('upgrade', 'needs a version above 1: there is no older one', undefined);
  }
  if (version === undefined) return undefined;
  // Held as it is now, whatever becomes of the options.
  return { version, upgrade: options.upgrade?.bind(options) };
}

/** Refuses a program that is older than what is stored, or knows no way from it. */
export function checkVersion(stored: Definition, asked: Versioning): void {
  const from = versionOf(stored);
  if (from === asked.version || (from < asked.version && asked.upgrade)) return;
  const { operator, state } = stored;
  const why = from < asked.version ? 'has no upgrade' : 'is older than what is stored';
  throw new IncompatibleError(
    'SCHEMA_CHANGED',
    `version of values of ${operator}.${state} ${why}: ` +
      `stored as ${from}, asked for as ${asked.version}`,
    { operator, state, stored: from, asked: asked.version },
  );
}

/** What handles of one state agree on; they may differ in who gives `upgrade`. */
export function agreed(
  { operator, state }: Definition,
  open: Versioning | undefined,
  asked: Versioning,
): Versioning {
  if (!open) return asked;
  if (open.version === asked.version) return asked.upgrade ? asked : open;
  throw badOption(
    'version',
    `of ${operator}.${state} is ${open.version} in this process already`,
    asked.version,
    { operator, state, open: open.version },
  );
}

/** Kinds of state whose values are the user's own. */
const versionedKinds: readonly StateKind[] = ['value', 'map', 'list', 'reducing', 'aggregating'];

/** The version of what an entry holds, for who shows entries: nothing where it is 1, or has none. */
export function shownVersion(
  definition: Pick<TableDefinition, 'kind'> | undefined,
  { bytes, subKeyEnd, valueEnd }: Pick<Entry, 'bytes' | 'subKeyEnd' | 'valueEnd'>,
): { readonly version?: number } {
  if (!definition || !versionedKinds.includes(definition.kind)) return {};
  const version = storedVersion(bytes, subKeyEnd, valueEnd);
  return version === 1 ? {} : { version };
}

/** What of an entry says where it stands. */
export type EntryPlace = Pick<Entry, 'bytes' | 'keyStart' | 'keyEnd' | 'subKeyEnd' | 'flags'>;

/** Runs code of the user, and refuses a promise. */
type Guard = (call: () => unknown) => unknown;

/**
 * The form that a state has in this process of a value that was decoded.
 * @throws IncompatibleError SCHEMA_CHANGED when it is newer, or `upgrade` is missing or throws
 */
export function upgraded(
  value: unknown,
  from: number,
  { version, upgrade, lenient }: Versioning,
  read: { readonly definition: TableDefinition; readonly at: EntryPlace; readonly guard: Guard },
): unknown {
  if (from === version) return value;
  const way = from < version ? upgrade : undefined;
  if (lenient && !way) return value;
  // Of an entry that is borrowed nothing is read once code of the user has run.
  const { definition, at } = read;
  const { operator, state } = definition;
  const details = { operator, state, ...placeOf(definition, at), stored: from, asked: version };
  if (!way) throw unreadable(details, from < version ? 'there is no upgrade' : 'it is newer');
  try {
    return read.guard(() => notPromise(way(value, from)));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw unreadable(details, `upgrade threw: ${text}`, error);
  }
}

function notPromise(value: unknown): unknown {
  if (typeof (value as { then?: unknown } | null | undefined)?.then !== 'function') return value;
  // What becomes of it is not ours; it is refused whole.
  void Promise.resolve(value).catch(() => {});
  throw new InvalidArgumentError('INVALID_VALUE', 'it returned a promise, and not a value');
}

/** A value that cannot be brought to the version that was asked for. */
function unreadable(
  details: Readonly<Record<'operator' | 'state', string> & Record<'stored' | 'asked', number>>,
  why: string,
  cause?: unknown,
): IncompatibleError {
  const { operator, state, stored, asked } = details;
  return new IncompatibleError(
    'SCHEMA_CHANGED',
    `a value of ${operator}.${state} cannot be read, ${why}: ` +
      `stored as version ${stored}, asked for as ${asked}`,
    details,
    cause,
  );
}

/** Key, and sub-key of a map. */
export function placeOf(
  { kind }: TableDefinition,
  { bytes, keyStart, keyEnd, subKeyEnd, flags }: EntryPlace,
): { readonly key: Key; readonly subKey?: Key } {
  const key = decodeKey(bytes, keyStart, keyEnd);
  if (kind !== 'map' || (flags & entryFlags.subKey) === 0) return { key };
  return { key, subKey: decodeKey(bytes, keyEnd, subKeyEnd) };
}
