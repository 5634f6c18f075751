/*
 * Savepoints by name: a name is in use until its savepoint is dropped.
 */
import type { CheckpointStore, ListedCheckpoint } from '../checkpoint/checkpoint-store.ts';
import { ConflictError } from '../errors.ts';
import { checkName } from '../state/operator.ts';

/** The savepoint of a name, if there is one. */
export async function findSavepoint(
  checkpoints: CheckpointStore,
  name: string,
): Promise<ListedCheckpoint | undefined> {
  checkName('savepoint', name);
  const all = await checkpoints.list();
  return all.find((record) => record.savepoint === name && !record.dropped);
}

/** Throws SAVEPOINT_EXISTS when a name is in use. */
export async function checkSavepointFree(
  checkpoints: CheckpointStore,
  name: string,
): Promise<void> {
  if (!(await findSavepoint(checkpoints, name))) return;
  throw new ConflictError('SAVEPOINT_EXISTS', `there is a savepoint ${name} already`, { name });
}
