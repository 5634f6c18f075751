/*
 * What a merged delta is valid on. One from which was left out what changes nothing in the chain
 * below names all of that chain; one that is made of such deltas names what they named, as long as it
 * is a delta. A base stands alone.
 */
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { LoadedLink } from './chain-images.ts';

/** What a merge is told of the chain below it. */
export interface BelowMerge {
  readonly parents: readonly string[];
  /** Images to compare with, oldest first. */
  readonly older?: readonly (readonly SliceDescriptor[])[];
}

/** For a merge of a run of links that starts behind those `below`. */
export function belowMerge(
  below: readonly LoadedLink[],
  run: readonly LoadedLink[],
  deduplicate: boolean,
): BelowMerge {
  if (below.length === 0) return { parents: [] };
  const inherited = run.flatMap((input) => input.parents ?? []);
  if (!deduplicate) return { parents: [...new Set(inherited)] };
  const named = below.map(({ link }) => link.sha256);
  return {
    parents: [...new Set([...named, ...inherited])],
    older: below.map(({ image }) => image.descriptors),
  };
}
