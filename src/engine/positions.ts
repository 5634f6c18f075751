/*
 * Positions of the sources: entries of a reserved table, so they are committed, restored and viewed
 * with the state by construction. Few, so they are kept beside the tables; as bytes, so that nothing
 * that was handed in or out is what the engine holds.
 */
import { mapKeyOf } from '../codec/key.ts';
import type { ValueCodec } from '../codec/value.ts';
import { InvalidArgumentError, TidemarkError } from '../errors.ts';
import { badOption } from '../std/option-checks.ts';
import { operatorIds, ops, reservedTables } from '../snapshot/entry-format.ts';
import type { CommitEncoder } from '../state/commit-encoder.ts';

/** Position of each source, any value that can be stored but undefined; null removes a source. */
export type Positions = Readonly<Record<string, unknown>>;

const nothing = (): void => {};

export class PositionTable {
  readonly #codec: ValueCodec;
  readonly #positions = new Map<string, Uint8Array>();

  constructor(codec: ValueCodec) {
    this.#codec = codec;
  }

  /** Positions as of the last commit, as a fresh object. */
  get current(): Positions {
    const positions: Record<string, unknown> = {};
    for (const [source, bytes] of this.#positions) {
      // Defined, not assigned: a source may have any name.
      Object.defineProperty(positions, source, {
        value: this.#codec.decode(bytes, 0, bytes.length),
        enumerable: true,
      });
    }
    return Object.freeze(positions);
  }

  /** Positions as they are now, which later commits do not change. */
  copy(): PositionTable {
    const copy = new PositionTable(this.#codec);
    for (const [source, bytes] of this.#positions) copy.#positions.set(source, bytes);
    return copy;
  }

  /** Takes a position that the store holds; refuses one that cannot be decoded. */
  load(source: string, bytes: Uint8Array): void {
    this.#codec.decode(bytes, 0, bytes.length);
    this.#positions.set(source, bytes);
  }

  /** Appends changes to a commit; returns what to call once it is sealed. */
  encode(changes: Positions | undefined, encoder: CommitEncoder): () => void {
    if (changes === undefined) return nothing;
    if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
      throw badOption('positions', 'must be an object of positions by source', changes);
    }
    const encoded: [string, Uint8Array | undefined][] = [];
    for (const [source, position] of Object.entries(changes)) {
      const key = mapKeyOf(source);
      if (position === undefined) {
        throw new InvalidArgumentError(
          'INVALID_VALUE',
          `position of ${source} is undefined: null removes a source`,
          { source },
        );
      }
      const gone = position === null;
      const value = gone ? undefined : this.#encodePosition(source, position);
      encoder.add({
        table: reservedTables.positions,
        op: gone ? ops.delete : ops.put,
        operator: operatorIds.none,
        expiry: 0,
        eventTime: 0,
        key,
        subKey: undefined,
        value,
      });
      encoded.push([source, value]);
    }
    return () => {
      for (const [source, bytes] of encoded) {
        if (bytes) this.#positions.set(source, bytes);
        else this.#positions.delete(source);
      }
    };
  }

  #encodePosition(source: string, position: unknown): Uint8Array {
    try {
      return Uint8Array.prototype.slice.call(this.#codec.encode(position));
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== 'INVALID_VALUE') throw error;
      const message = `position of ${source} cannot be stored: ${error.message}`;
      throw new InvalidArgumentError('INVALID_VALUE', message, { ...error.details, source }, error);
    }
  }
}
