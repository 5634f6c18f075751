/*
 * Loads the snapshots of one checkpoint after another, until a chain is whole: what the next chain
 * shares with the one before is kept, the rest is given back first, and a snapshot that was found
 * damaged is not read again. The images are the caller's once a chain is whole.
 */
import type { LoadedLink } from '../checkpoint/chain-images.ts';
import type { ChainLink, CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { ColdLink, Residency } from '../checkpoint/residency/residency.ts';
import type { SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import type { HashSeed } from '../codec/hash.ts';
import { CorruptionError, TidemarkError } from '../errors.ts';
import { Image } from '../snapshot/image.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import type { Verification } from '../snapshot/tasks.ts';
import { toHex } from '../std/bytes.ts';
import { LoadQueue, loadWhole, type LoadTools } from '../threads/snapshot-load.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { isDamage } from './recovery-path.ts';

export interface ChainLoaderInput {
  readonly identity: StoreIdentity;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly transfer: SnapshotTransfer;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  /** How much of each snapshot is checked. @defaultValue `standard` */
  readonly verification?: Verification;
  readonly signal?: AbortSignal;
  /** Leaves slices in their files, for lookups and for later. @defaultValue they are loaded */
  readonly cold?: ColdLinks | undefined;
}

/** How snapshots are opened that are not loaded at once. */
export interface ColdLinks {
  readonly residency: Residency;
  /** Their slices are loaded later even if nobody looks into them. */
  readonly whole: boolean;
  /** All that belongs in memory is loaded at once. */
  readonly now: boolean;
}

/** Damage of one snapshot. */
export interface LinkDamage {
  readonly name: string;
  readonly error: TidemarkError;
}

/** A snapshot of a chain as it was read. */
export interface ReadLink extends LoadedLink {
  readonly header: SnapshotHeader;
}

/** What the snapshot of a link is loaded with. */
export interface LoadInput extends Omit<ChainLoaderInput, 'identity' | 'signal'>, LoadTools {
  readonly storeId: string;
}

export class ChainLoader {
  readonly #in: ChainLoaderInput;
  readonly #loaded = new Map<string, ReadLink>();
  readonly #damaged = new Map<string, TidemarkError>();
  readonly #queue: LoadQueue;

  constructor(input: ChainLoaderInput) {
    this.#in = input;
    this.#queue = new LoadQueue(input.pool.threadsMax);
  }

  /** Snapshots that were found damaged, by name. */
  get damaged(): ReadonlyMap<string, TidemarkError> {
    return this.#damaged;
  }

  /** The images of a chain, base first, or the damage that keeps it from being whole. */
  async load(
    record: CheckpointRecord,
    onPart?: LoadTools['onPart'],
  ): Promise<LoadedLink[] | LinkDamage[]> {
    const known = this.#damageOf(record);
    if (known.length > 0) return known;
    const names = new Set(record.chain.map(({ name }) => name));
    for (const name of this.#loaded.keys()) if (!names.has(name)) this.#release(name);
    this.#in.cold?.residency.follow(() => record.tables);
    const loading = record.chain.map((link) => this.#loadLink(link, onPart));
    const settled = await Promise.allSettled(loading);
    for (const result of settled) if (result.status === 'rejected') throw result.reason;
    const found = this.#damageOf(record);
    if (found.length > 0) return found;
    return record.chain.map((link) => {
      const { image, parents } = this.#loaded.get(link.name)!;
      return parents === undefined ? { link, image } : { link, image, parents };
    });
  }

  /** Gives every image back. */
  release(): void {
    for (const name of this.#loaded.keys()) this.#release(name);
  }

  #damageOf({ chain }: CheckpointRecord): LinkDamage[] {
    return chain.flatMap(({ name }) => {
      const error = this.#damaged.get(name);
      return error ? [{ name, error }] : [];
    });
  }

  #release(name: string): void {
    this.#loaded.get(name)?.image.release();
    this.#loaded.delete(name);
  }

  async #loadLink(link: ChainLink, onPart: LoadTools['onPart']): Promise<void> {
    const { transfer } = this.#in;
    const { name } = link;
    try {
      const loaded = this.#loaded.get(name);
      const storeId = toHex(this.#in.identity.storeId);
      const input = { ...this.#in, storeId, queue: this.#queue, onPart };
      if (loaded) checkHeader(input, link, loaded.header);
      else this.#loaded.set(name, await loadLink(input, link));
    } catch (error) {
      // A snapshot of a newer format, or one whose version was garbled: an older way may do.
      const newer = error instanceof TidemarkError && error.code === 'UNSUPPORTED_FORMAT';
      if (!newer && !isDamage(error, transfer.isLocal)) throw error;
      this.#release(name);
      this.#damaged.set(name, error);
    }
  }
}

/**
 * Loads the snapshot of a link by workers, or opens it and leaves its slices where they are, and
 * checks that it is the one that is meant.
 */
export async function loadLink(input: LoadInput, link: ChainLink): Promise<ReadLink> {
  const { cold } = input;
  const isCold = cold !== undefined && !(cold.now && cold.residency.keepsAll);
  const opened = isCold ? cold.residency.open(link, { whole: cold.whole }) : loadImage(input, link);
  const { image, header, parents } = await opened;
  try {
    if (isCold && cold.now) await cold.residency.loadAll(image, link, input);
    checkHeader(input, link, header);
  } catch (error) {
    image.release();
    throw error;
  }
  return { link, image, parents, header };
}

async function loadImage(input: LoadInput, link: ChainLink): Promise<ColdLink> {
  const { transfer, slabs, groupBits, verification = 'standard' } = input;
  const { sha256, bytes, name } = link;
  const output = await transfer.withLocal(name, (path) =>
    loadWhole({ path, sha256, bytes, verification }, input),
  );
  const { slices, header, parents } = output;
  return { image: new Image(slices, { slabs, groupBits }), header, parents };
}

/** The file has to be the one that the record means: of this store, seed and place in the chain. */
export function checkHeader(
  input: Pick<LoadInput, 'seed' | 'groupBits' | 'storeId'>,
  link: ChainLink,
  header: SnapshotHeader,
): void {
  const { seed, groupBits, storeId: own } = input;
  const expected = {
    kind: link.kind,
    fromLsn: link.fromLsn,
    lastLsn: link.lastLsn,
    lastTimestamp: link.lastTimestamp,
    groupBits,
    seed: `${seed.low} ${seed.high}`,
    storeId: link.storeId ?? own,
  };
  const { kind, fromLsn, lastLsn, lastTimestamp } = header;
  const actual = {
    kind,
    fromLsn,
    lastLsn,
    lastTimestamp,
    groupBits: header.groupBits,
    seed: `${header.seed.low} ${header.seed.high}`,
    storeId: toHex(header.storeId),
  };
  for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
    if (expected[name] === actual[name]) continue;
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `snapshot is not the one that its record means, ${name} differs: ${link.name}`,
      { path: link.name, field: name, expected: expected[name], actual: actual[name] },
    );
  }
}

/** Throws unless the record is of this store's key groups and its chain leads to its LSN. */
export function checkRecord(record: CheckpointRecord, { keyGroups }: StoreIdentity): void {
  if (record.keyGroups !== keyGroups) {
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `checkpoint ${record.id} is of ${record.keyGroups} key groups, the store of ${keyGroups}`,
      { expected: keyGroups, actual: record.keyGroups },
    );
  }
  checkChain(record);
}

/** Each link continues the one before, and the last ends at the record's LSN. */
export function checkChain(record: CheckpointRecord): void {
  let lastLsn = 0;
  record.chain.forEach((link, i) => {
    const fits = i === 0 ? link.kind === 'base' : link.kind === 'delta' && link.fromLsn === lastLsn;
    if (!fits) {
      throw new CorruptionError(
        'BROKEN_CHAIN',
        `snapshot does not continue the chain of checkpoint ${record.id}: ${link.name}`,
        { path: link.name, expected: lastLsn, actual: link.fromLsn },
      );
    }
    ({ lastLsn } = link);
  });
  if (record.chain.length === 0 || lastLsn !== record.lsn || record.position.lsn !== record.lsn) {
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `chain of checkpoint ${record.id} does not end at its LSN ${record.lsn}: ${lastLsn}`,
      { expected: record.lsn, actual: lastLsn },
    );
  }
}
