/*
 * The identity of a store: `store.json`, written once when the directory is made, never changed.
 * Settings that shape the format are kept here and compared on open.
 */
import { parseTemporaryName } from './segment-format.ts';
import { decodeSealedJson, encodeSealedJson } from '../codec/sealed-json.ts';
import {
  CorruptionError,
  IncompatibleError,
  InvalidArgumentError,
  type TidemarkError,
  errnoOf,
  toStorageError,
} from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { holdDirectory } from '../fs/hold-directory.ts';
import { createFile, temporarySuffix } from '../fs/replace-file.ts';
import type { Random } from '../std/random.ts';
import { fromHex, toHex } from '../std/bytes.ts';
import { directoryPlace, placeFromPlain, type StorePlace } from '../store/store-place.ts';
import { claimedError, claimedName } from './claimed.ts';
import { logMarkName } from './log-mark.ts';
import { readFileRange } from './segment-scan.ts';

export const identityName = 'store.json';
export const lockName = 'LOCK';
export const storeFormatVersion = 1;
const keyGroupsMost = 65_536;

/** What `store.json` holds. */
export interface StoreIdentity {
  readonly format: number;
  readonly kind: 'engine' | 'log';
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** Seed of the key hash, 8 bytes; inherited by forks and restores. */
  readonly seed: Uint8Array;
  /** Power of two, fixed at creation. */
  readonly keyGroups: number;
  /** Where snapshots and records are kept; of a log it means nothing. */
  readonly place: StorePlace;
}

/** Refuses a directory that `openLog` made: NOT_A_STORE. */
export function assertEngine({ kind }: StoreIdentity, directory: string): void {
  if (kind === 'engine') return;
  const message = `directory holds a log, no engine: ${directory}`;
  throw new InvalidArgumentError('NOT_A_STORE', message, { path: directory });
}

/** Names that may stand in a directory that is becoming a store and has no identity yet. */
const unfinished: readonly string[] = [
  lockName,
  logMarkName,
  logMarkName + temporarySuffix,
  identityName + temporarySuffix,
  'wal',
  '~staging',
  'staging',
  'snapshots',
  'checkpoints',
  'timelines',
];

/** The mark of a directory that a restore or fork is being made in (recovery/new-store.ts). */
export const restoringName = 'RESTORING';
const unfinishedCopy = `the restore or fork into it is not finished (${restoringName}): if it does not run any more, do it again into this directory, or delete it`;

/** Reads the identity; undefined in an empty directory; NOT_A_STORE where other files are. */
export async function readIdentity(
  fs: FileSystem,
  directory: string,
): Promise<StoreIdentity | undefined> {
  const path = `${directory}/${identityName}`;
  let names: string[];
  try {
    names = await fs.list(directory);
  } catch (error) {
    throw directoryError(error, 'list', directory);
  }
  if (names.includes(claimedName)) throw await claimedError(fs, directory);
  if (!names.includes(identityName)) {
    const foreign = names.find((name) => !unfinished.includes(name));
    // With a suffix too: the mark on its way.
    if (names.some((name) => name.startsWith(restoringName))) {
      throw notAStore(directory, unfinishedCopy);
    }
    if (foreign !== undefined) throw notAStore(directory, `it holds ${foreign}`);
    await refuseLostIdentity(fs, directory, names);
    return undefined;
  }
  return decodeIdentity(await readFileRange(fs, path, 0), path);
}

/** Segments, records or a mark without an identity are a damaged store, not an empty directory. */
async function refuseLostIdentity(
  fs: FileSystem,
  directory: string,
  names: readonly string[],
): Promise<void> {
  const path = `${directory}/${identityName}`;
  const lost = (beside: string): CorruptionError =>
    new CorruptionError(
      'CORRUPT_STORE',
      `store has no identity: ${path} is missing beside ${beside}`,
      {
        path,
        offset: 0,
      },
    );
  if (names.includes(logMarkName)) throw lost(logMarkName);
  for (const name of ['wal', 'snapshots', 'checkpoints', 'timelines']) {
    if (!names.includes(name)) continue;
    const inside = await listNames(fs, `${directory}/${name}`);
    // Zeros for a segment to come are none yet: a first opening that failed may leave them alone.
    const found = inside.find((file) => parseTemporaryName(file) === undefined);
    if (found !== undefined) throw lost(`${name}/${found}`);
  }
}

async function listNames(fs: FileSystem, directory: string): Promise<string[]> {
  try {
    return await fs.list(directory);
  } catch (error) {
    throw toStorageError(error, 'list', directory);
  }
}

/**
 * Makes the name of an identity durable that is there: the opening that put it may have failed right
 * then. Before anything stands beside it that must not be found alone after a power loss.
 */
export async function holdIdentity(fs: FileSystem, directory: string): Promise<void> {
  try {
    await fs.syncDirectory(directory);
  } catch (error) {
    throw toStorageError(error, 'sync', directory);
  }
}

/** Makes an identity; durable when it resolves. */
export async function createIdentity(
  fs: FileSystem,
  directory: string,
  kind: StoreIdentity['kind'],
  keyGroups: number,
  random: Random,
  place: StorePlace = directoryPlace,
): Promise<StoreIdentity> {
  const storeId = new Uint8Array(16);
  const seed = new Uint8Array(8);
  random.fill(storeId);
  random.fill(seed);
  const identity = { format: storeFormatVersion, kind, storeId, seed, keyGroups, place };
  await writeIdentity(fs, directory, identity);
  return identity;
}

/**
 * Writes an identity where there is none; durable when it resolves, and with it the name of the
 * directory, which the user may have made.
 */
export async function writeIdentity(
  fs: FileSystem,
  directory: string,
  identity: StoreIdentity,
): Promise<void> {
  try {
    await holdDirectory(fs, directory);
    await createFile(fs, directory, identityName, encodeIdentity(identity));
  } catch (error) {
    throw toStorageError(error, 'create the store', directory);
  }
}

/** The bytes of `store.json`. */
export function encodeIdentity(identity: StoreIdentity): Uint8Array {
  const { format, kind, keyGroups, place } = identity;
  const storeId = toHex(identity.storeId);
  const seed = toHex(identity.seed);
  return encodeSealedJson({ format, kind, storeId, seed, keyGroups, place });
}

function decodeIdentity(bytes: Uint8Array, path: string): StoreIdentity {
  const body = decodeSealedJson(bytes);
  const corrupt = (why: string): CorruptionError =>
    new CorruptionError('CORRUPT_STORE', `store identity ${why}: ${path}`, { path, offset: 0 });
  if (typeof body === 'string') throw corrupt(body);
  const { format, kind, keyGroups } = body;
  if (typeof format !== 'number') throw corrupt('has no format');
  if (format !== storeFormatVersion) {
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `store format version ${format} is not known to this release: ${path}`,
      { path, version: format, supported: storeFormatVersion },
    );
  }
  const storeId = typeof body['storeId'] === 'string' ? fromHex(body['storeId']) : undefined;
  const seed = typeof body['seed'] === 'string' ? fromHex(body['seed']) : undefined;
  if (kind !== 'engine' && kind !== 'log') throw corrupt('has no kind');
  if (storeId?.length !== 16 || seed?.length !== 8) throw corrupt('has no store id or seed');
  if (typeof keyGroups !== 'number' || !isKeyGroupCount(keyGroups)) {
    throw corrupt('has no key groups');
  }
  const place = placeFromPlain(body['place']);
  if (!place) throw corrupt('does not say where checkpoints are kept');
  return { format, kind, storeId, seed, keyGroups, place };
}

/** A power of two, as many as the top bits of a hash can name. */
function isKeyGroupCount(count: number): boolean {
  return count >= 1 && count <= keyGroupsMost && Number.isInteger(Math.log2(count));
}

/** What the file system says about a directory; one that is a file, or below one, is NOT_A_STORE. */
export function directoryError(error: unknown, action: string, directory: string): TidemarkError {
  const errno = errnoOf(error);
  if (errno === 'ENOTDIR' || errno === 'EEXIST') {
    return notAStore(directory, 'it is a file, or below one', error);
  }
  return toStorageError(error, action, directory);
}

function notAStore(directory: string, why: string, cause?: unknown): InvalidArgumentError {
  const message = `directory is no store, ${why}: ${directory}`;
  return new InvalidArgumentError('NOT_A_STORE', message, { path: directory }, cause);
}
