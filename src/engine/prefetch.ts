/*
 * Bringing parts of the state into memory because somebody knows that they will be read. Of states
 * that stay in their files only the blocks of the keys asked for are read, into the cache.
 */
import type { SlicePlace } from '../checkpoint/residency/load-queue.ts';
import type { Residency } from '../checkpoint/residency/residency.ts';
import type { Key } from '../codec/key.ts';
import type { MapKey } from '../state/key-hash.ts';
import { keyIn } from '../state/keys.ts';
import { badOption, knownOnly } from '../std/option-checks.ts';
import type { StateSpace } from '../state/state-space.ts';
import { yieldNow } from '../std/turns.ts';

/** What is to be brought into memory; nothing said: everything. */
export interface PrefetchRequest {
  /** States of this operator only. */
  readonly operator?: string;
  /** This state of the operator only. */
  readonly state?: string;
  /** What is read of these keys of the state only. */
  readonly keys?: Iterable<Key>;
}

/** Keys of a state that stays in files that are looked up in one turn. */
const KEYS_A_TURN = 16;

export async function prefetch(
  { space, residency }: { readonly space: StateSpace; readonly residency: Residency },
  request: PrefetchRequest,
): Promise<void> {
  const { operator, state, keys } = checkRequest(request);
  const tables = new Set(
    space
      .loggedDefinitions()
      .filter((of) => operator === undefined || of.operator === operator)
      .filter((of) => state === undefined || of.state === state)
      .map(({ id }) => id),
  );
  if (keys === undefined) {
    await residency.load(
      placesIn(space, ({ table }) => tables.has(table) && residency.keeps(table)),
    );
    return;
  }
  for (const table of tables) {
    if (residency.keeps(table)) await residency.load(placesOf(space, table, keys));
    else await readAhead(space, table, keys);
  }
}

function checkRequest(request: PrefetchRequest): {
  readonly operator: string | undefined;
  readonly state: string | undefined;
  readonly keys: readonly MapKey[] | undefined;
} {
  knownOnly(request, ['operator', 'state', 'keys']);
  const { operator, state, keys } = request;
  for (const [name, value] of Object.entries({ operator, state })) {
    if (value === undefined || (typeof value === 'string' && value !== '')) continue;
    throw badOption(name, 'must be a name', value);
  }
  if (state !== undefined && operator === undefined) {
    throw badOption('state', 'is one of an operator, which is not given', state);
  }
  if (keys === undefined) return { operator, state, keys };
  if (operator === undefined || state === undefined)
    throw badOption('keys', 'are those of a state, which is not given', keys);
  if (typeof keys === 'string' || typeof keys[Symbol.iterator] !== 'function') {
    throw badOption('keys', 'must be a list of keys', keys);
  }
  const table = { definition: { operator, state } };
  return { operator, state, keys: [...keys].map((key) => keyIn(table, key)) };
}

interface Facts {
  readonly table: number;
  readonly firstHash: number;
  readonly lastHash: number;
}

/** Slices that are not in memory. */
function placesIn(space: StateSpace, isMeant: (facts: Facts) => boolean): SlicePlace[] {
  return space.images.newestFirst.flatMap((image) =>
    image.slices.flatMap(({ slice, facts }, index) =>
      slice === undefined && isMeant(facts) ? [{ image, index }] : [],
    ),
  );
}

function placesOf(space: StateSpace, table: number, keys: readonly MapKey[]): SlicePlace[] {
  const hashes = Uint32Array.from(keys, (key) => space.images.probe(table, key, undefined).hash);
  hashes.sort();
  return placesIn(space, (facts) => {
    if (facts.table !== table) return false;
    const at = firstAtLeast(hashes, facts.firstHash);
    return at < hashes.length && hashes[at]! <= facts.lastHash;
  });
}

function firstAtLeast(hashes: Uint32Array, hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashes[middle]! < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function readAhead(space: StateSpace, table: number, keys: readonly MapKey[]): Promise<void> {
  for (const [i, key] of keys.entries()) {
    if (i % KEYS_A_TURN === KEYS_A_TURN - 1) await yieldNow();
    space.assertOpen();
    space.images.find(table, key, undefined, space);
  }
}
