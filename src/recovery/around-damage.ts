/*
 * Ways to a moment, tried one after the other: where the chain of a checkpoint turns out to be damaged,
 * an older checkpoint and the longer log behind it give the same state. What is damaged is known
 * only once it is read, so whoever reads says so here, and plans again without that checkpoint.
 */
import { TidemarkError } from '../errors.ts';
import { isDamage } from './recovery-path.ts';

/** A chain that is being read. */
export interface ReadChain {
  /** Directory of the store, or whatever else tells stores apart. */
  readonly store: string;
  /** Of the checkpoint. */
  readonly id: number;
  /** Its snapshots are files of this machine. */
  readonly isLocal: boolean;
  /** Of those files; with one chain it matters to nobody. */
  readonly paths?: readonly string[];
}

/** Damage of a chain, which another checkpoint may do without. */
class DamagedChain extends Error {
  readonly chain: ReadChain;
  readonly damage: TidemarkError;

  constructor(chain: ReadChain, damage: TidemarkError) {
    super(damage.message);
    this.chain = chain;
    this.damage = damage;
  }
}

/** Checkpoints that were found damaged, and with what. */
export class Without {
  readonly #found = new Map<string, Map<number, TidemarkError>>();
  /** What was found first. */
  first: TidemarkError | undefined;

  /** Those of one store, by id. */
  of(store: string): ReadonlyMap<number, TidemarkError> {
    return this.#found.get(store) ?? new Map<number, TidemarkError>();
  }

  add({ store, id }: ReadChain, damage: TidemarkError): void {
    this.#found.set(store, new Map([...this.of(store), [id, damage]]));
    this.first ??= damage;
  }
}

/**
 * Calls until one way is sound, each time without the checkpoints that were found damaged before. Where
 * no other could stand in, the first damage is the reason, and not what came of going without it.
 */
export async function aroundDamage<T>(attempt: (without: Without) => Promise<T>): Promise<T> {
  const without = new Without();
  for (;;) {
    try {
      return await attempt(without);
    } catch (error) {
      if (!(error instanceof DamagedChain)) throw causeOf(error, without.first);
      without.add(error.chain, error.damage);
    }
  }
}

/** Runs what reads chains, inside `aroundDamage`. */
export async function readingChain<T>(
  chains: readonly ReadChain[],
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const chain = chains.length === 1 ? chains[0] : chains.find((one) => isNamedBy(one, error));
    if (chain && isChainDamage(error, chain.isLocal)) throw new DamagedChain(chain, error);
    throw error;
  }
}

function isNamedBy({ paths = [] }: ReadChain, error: unknown): boolean {
  const path = error instanceof TidemarkError ? error.details['path'] : undefined;
  return typeof path === 'string' && paths.includes(path);
}

/** A snapshot of a newer format, or one whose version was garbled, is damage too: an older may do. */
function isChainDamage(error: unknown, isLocal: boolean): error is TidemarkError {
  if (isDamage(error, isLocal)) return true;
  return error instanceof TidemarkError && error.code === 'UNSUPPORTED_FORMAT';
}

function causeOf(error: unknown, first: TidemarkError | undefined): unknown {
  if (!first || !(error instanceof TidemarkError)) return error;
  return error.kind === 'corrupt' || error.code === 'OUT_OF_RETENTION' ? first : error;
}
