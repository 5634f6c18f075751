/*
 * What a merge reads, and what a merged delta is valid on. An image that is not all in memory is read
 * from its file, a slice at a time. One from which was left out what changes nothing in the chain
 * below names all of that chain; one that is made of such deltas names what they named, as long as it
 * is a delta. A base stands alone. Damage that a merge meets in a file is told to those who can mend it.
 */
import { TidemarkError } from '../errors.ts';
import type { Image } from '../snapshot/image.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import { must } from '../std/assert.ts';
import type { MergeSource } from '../threads/slice-loans.ts';
import type { LoadedLink } from './chain-images.ts';
import type { Residency } from './residency/residency.ts';

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
  // What stands below is compared in memory: where it is not all there, nothing is left out.
  const compares = deduplicate && below.every(({ image }) => image.isResident);
  if (!compares) return { parents: [...new Set(inherited)] };
  const named = below.map(({ link }) => link.sha256);
  return {
    parents: [...new Set([...named, ...inherited])],
    older: below.map(({ image }) => image.descriptors),
  };
}

/** An input of a merge; the image is retained by the caller. */
export function mergeSource(image: Image): MergeSource {
  if (image.isResident) return { slices: image.descriptors };
  return { path: must(image.file, 'an image is in memory or in a file').path };
}

/** What a merge reads: files of snapshots, by the names of these, before anything else. */
export interface MergeInputs {
  readonly residency: Pick<Residency, 'report'>;
  readonly sources: readonly MergeSource[];
  readonly inputs: readonly string[];
}

/** Waits for a merge; where it fails for damage of a file, that is told by the snapshot's name. */
export async function tellingDamage<T>(merging: Promise<T>, from: MergeInputs): Promise<T> {
  try {
    return await merging;
  } catch (error) {
    if (error instanceof TidemarkError) tellDamage(error, from);
    throw error;
  }
}

function tellDamage(error: TidemarkError, { residency, sources, inputs }: MergeInputs): void {
  for (const [i, name] of inputs.entries()) {
    const source = must(sources[i], 'a snapshot that is merged is a source');
    if ('path' in source && source.path === error.details['path']) residency.report(name, error);
  }
}
