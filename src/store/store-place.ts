/*
 * Where the snapshots and records of a store are kept, as its identity says: without that, a store
 * that is opened without its `store` option finds no checkpoint and goes on from the log alone. The
 * kind is compared and refused; the location may change (a folder that was moved, a bucket that was
 * copied) and is only told. Written once, by the first opening; never a secret.
 */
import { IncompatibleError } from '../errors.ts';
import { badOption } from '../std/option-checks.ts';
import type { ObjectStore } from './object-store.ts';

/** Kind of an object store, and what tells it from others of its kind. */
export interface StorePlace {
  /** `directory`: files of the store's own directory. */
  readonly kind: string;
  readonly location?: string;
}

export const directoryPlace: StorePlace = Object.freeze({ kind: 'directory' });

const kindCharactersMax = 64;
const locationCharactersMax = 4096;

/** The place that a `store` option means; without one it is the directory itself. */
export function placeOf(store: ObjectStore | undefined, directory: string): StorePlace {
  if (store === undefined) return directoryPlace;
  const { kind, location } = store;
  const place = placeFromPlain(location === undefined ? { kind } : { kind, location });
  if (!place) {
    const why = `must have a kind, a text of 1 to ${kindCharactersMax} characters, and as location a text or nothing`;
    throw badOption('store', why, store);
  }
  // The default store, made by hand.
  return kind === 'file' && location === directory ? directoryPlace : place;
}

/** The place of its stored form, or undefined when it is none. */
export function placeFromPlain(plain: unknown): StorePlace | undefined {
  if (typeof plain !== 'object' || plain === null) return undefined;
  const { kind, location } = plain as Record<string, unknown>;
  if (!isText(kind, kindCharactersMax)) return undefined;
  if (location === undefined) return { kind };
  return isText(location, locationCharactersMax) ? { kind, location } : undefined;
}

/** Refuses a store of another kind than the one that the directory was made with. */
export function checkPlace(made: StorePlace, given: StorePlace, directory: string): void {
  if (made.kind === given.kind) return;
  throw new IncompatibleError(
    'STORE_MISMATCH',
    `checkpoints of this store are kept in ${describePlace(made)}, not in ` +
      `${describePlace(given)}: ${directory}`,
    { path: directory, expected: { ...made }, actual: { ...given } },
  );
}

/** For people. */
export function describePlace({ kind, location }: StorePlace): string {
  if (kind === directoryPlace.kind) return 'its directory';
  return `a store of kind ${kind}${location === undefined ? '' : ` (${location})`}`;
}

function isText(value: unknown, charactersMax: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= charactersMax;
}
