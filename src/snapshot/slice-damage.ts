/*
 * What a merge failed for, where that is no error of ours: it trusts its slices, whose blocks had their
 * checksums compared when they were loaded, unless the user gave that up. So nothing is looked at entry by entry
 * before a merge has failed; then the slices tell whether it was them. An error that they do not explain
 * stays as it is.
 */
import { CorruptionError, TidemarkError } from '../errors.ts';
import { findSliceFault } from './slice-check.ts';
import type { SliceDescriptor } from './slice.ts';
import type { Turns } from './task-context.ts';

/** The error to be thrown in place of one that a merge of these slices ended with. */
export async function damageBehind(
  error: unknown,
  slices: readonly SliceDescriptor[],
  turns: Turns,
): Promise<unknown> {
  if (error instanceof TidemarkError && error.kind !== 'internal') return error;
  for (const descriptor of slices) {
    const fault = await findSliceFault(descriptor, undefined, turns);
    if (fault === undefined) continue;
    const { table } = descriptor;
    const message = `slice of table ${table} ${fault.what}`;
    return new CorruptionError('CORRUPT_SNAPSHOT', message, { table, at: fault.offset }, error);
  }
  return error;
}
