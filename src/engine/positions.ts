/*
 * Positions of sources: entries of a reserved table, committed with the state by construction. Few,
 * so they are kept decoded beside the tables.
 */
import { keyOfMapKey, mapKeyOf } from '../codec/key.ts';
import type { ValueCodec } from '../codec/value.ts';
import { InvalidArgumentError } from '../errors.ts';
import { operatorIds, ops, reservedTables } from '../snapshot/entry-format.ts';
import type { CommitEncoder } from '../state/commit-encoder.ts';

/** Position of each source, any value that can be stored; null removes a source. */
export type Positions = Readonly<Record<string, unknown>>;

export class PositionTable {
  readonly #codec: ValueCodec;
  #positions: Record<string, unknown> = Object.create(null) as Record<string, unknown>;

  constructor(codec: ValueCodec) {
    this.#codec = codec;
  }

  /** Positions as of the last commit, as a fresh object. */
  get current(): Positions {
    return Object.freeze({ ...this.#positions });
  }

  load(source: string, position: unknown): void {
    this.#positions[source] = position;
  }

  /** Appends changes to a commit; returns what to call once it is sealed. */
  encode(changes: Positions | undefined, encoder: CommitEncoder): () => void {
    if (changes === undefined) return () => {};
    if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
      throw new InvalidArgumentError('INVALID_VALUE', 'positions must be an object');
    }
    const merged = { ...this.#positions };
    Object.setPrototypeOf(merged, null);
    for (const [source, position] of Object.entries(changes)) {
      const key = mapKeyOf(source);
      const gone = position === null;
      const bytes = gone ? undefined : this.#codec.encode(position);
      encoder.add({
        table: reservedTables.positions,
        op: gone ? ops.delete : ops.put,
        operator: operatorIds.none,
        expiry: 0,
        key,
        subKey: undefined,
        value: bytes,
      });
      const name = String(keyOfMapKey(key));
      if (gone) delete merged[name];
      // What is handed out later is what was stored, not an object that the caller may change.
      else merged[name] = this.#codec.decode(bytes!, 0, bytes!.length);
    }
    return () => {
      this.#positions = merged;
    };
  }
}
