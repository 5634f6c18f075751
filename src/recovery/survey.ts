/*
 * What an opening of a store would find, without opening it: whether a way loses nothing, or the ways
 * that lose. Reads only; the caller holds the lock.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { TidemarkError } from '../errors.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Ancestry } from '../wal/ancestry.ts';
import { plainPath } from './losing-paths.ts';
import { findPartial } from './partial-chain.ts';
import { searchWays, type RecoveryInput } from './recover.ts';
import type { LosingPath } from './recovery-path.ts';

/** What an opening would find. */
export interface StoreSurvey {
  /** Why it would be refused; undefined: a way loses nothing. */
  readonly refused: TidemarkError | undefined;
  /** Where it would be refused: the ways that lose commits, the best first. */
  readonly paths: readonly LosingPath[];
  /**
   * Where it would be refused: operators that `optimistic` would lose instead, and the LSN that the others
   * reach; undefined: no such way.
   */
  readonly partial: { readonly missing: readonly string[]; readonly lsn: number } | undefined;
  /** The newest record that can be read. */
  readonly record: CheckpointRecord | undefined;
  /** Of the timeline that would be opened. */
  readonly ancestry: Ancestry;
}

/** Looks for the ways, gives everything back, and changes nothing. */
export async function survey(input: RecoveryInput, objects: ObjectStore): Promise<StoreSurvey> {
  const { ancestry } = input;
  const found = await searchWays(input);
  if ('recovered' in found) {
    const { links, tail, record } = found.recovered;
    for (const { image } of links) image.release();
    tail?.release();
    return { refused: undefined, paths: [], partial: undefined, record, ancestry };
  }
  const { refused, ways } = found;
  try {
    const partial = await findPartial(input, ways, objects);
    const left = partial && { missing: partial.missing, lsn: partial.path.lsn };
    const record = ways.records.at(0);
    return { refused, paths: ways.paths.map(plainPath), partial: left, record, ancestry };
  } finally {
    ways.loader.release();
  }
}
