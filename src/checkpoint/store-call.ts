/*
 * Calls of an object store, which anybody may have written: an error of theirs that is none of ours
 * becomes a StorageError that names the object.
 */
import { StorageError, TidemarkError, errnoOf, toStorageError } from '../errors.ts';

export async function storeCall<T>(
  action: string,
  name: string,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof TidemarkError || errnoOf(error) !== undefined) {
      throw toStorageError(error, action, name);
    }
    const text = error instanceof Error ? error.message : String(error);
    throw new StorageError('IO', `${action} failed: ${name}: ${text}`, { path: name }, error);
  }
}
