/*
 * Savepoints by name: a name is in use until its savepoint is dropped. Those of futures that were left
 * are in nobody's way.
 */
import type { CheckpointStore, ListedCheckpoint } from '../checkpoint/checkpoint-store.ts';
import { ConflictError } from '../errors.ts';
import { savepointNotFound } from '../recovery/not-found.ts';
import { checkName } from '../state/operator.ts';
import { isOf, type Ancestry } from '../wal/ancestry.ts';

/** Where savepoints are looked for. */
export interface SavepointPlace {
  readonly checkpoints: CheckpointStore;
  readonly ancestry: Ancestry;
}

/** The savepoint of a name, if there is one; one of a future that was left where there is no other. */
export async function findSavepoint(
  { checkpoints, ancestry }: SavepointPlace,
  name: string,
): Promise<ListedCheckpoint | undefined> {
  checkName('savepoint', name);
  const all = await checkpoints.list();
  const named = all.filter((record) => record.savepoint === name && !record.dropped);
  return named.find((record) => isOf(ancestry, record)) ?? named.at(-1);
}

/** Throws SAVEPOINT_EXISTS when a name is in use. */
export async function checkSavepointFree(place: SavepointPlace, name: string): Promise<void> {
  const found = await findSavepoint(place, name);
  if (!found || !isOf(place.ancestry, found)) return;
  throw new ConflictError('SAVEPOINT_EXISTS', `there is a savepoint ${name} already`, { name });
}

/** The savepoint of a name. @throws NotFoundError SAVEPOINT_NOT_FOUND, which lists those there are */
export async function existingSavepoint(
  place: SavepointPlace,
  name: string,
): Promise<ListedCheckpoint> {
  const found = await findSavepoint(place, name);
  if (found) return found;
  const all = await place.checkpoints.list();
  const savepoints = all.flatMap(({ savepoint, dropped }) =>
    savepoint === undefined || dropped ? [] : [savepoint],
  );
  throw savepointNotFound(name, savepoints);
}
