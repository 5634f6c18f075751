/*
 * What the joining of lineages adds beside the conflicts of keys, so that nothing that is kept by
 * reference or by position is lost.
 *
 * Lists: an item's place is (LSN, ordinal), and lineages gave the same LSNs. The items of all are
 * kept: the ordinals of each lineage are shifted into a range of its own.
 * Blobs: each lineage counted the references of chunks as if it were alone. Where several changed one
 * blob, the counts are corrected by the difference between what was chosen and what they counted.
 */
import { InvalidArgumentError } from '../../errors.ts';
import { toHex } from '../../std/bytes.ts';
import type { Entry } from '../../snapshot/entry.ts';
import { ops } from '../../snapshot/entry-format.ts';
import type { JoinedKey } from '../../snapshot/conflicts-join.ts';
import { RunCursor } from '../../snapshot/run-cursor.ts';

const LSN_BYTES = 8;
const ITEM_BYTES = 12;
const ORDINALS = 0x1_0000_0000;
const LENGTH_BYTES = 8;
const DIGEST_BYTES = 32;

/** A lineage's run of a list table, its items moved into the lineage's range of ordinals. */
export class ShiftedItems extends RunCursor {
  readonly #items: RunCursor;
  readonly #lineage: number;
  readonly #range: number;

  constructor(items: RunCursor, lineage: number, lineageCount: number) {
    super();
    this.#items = items;
    this.#lineage = lineage;
    this.#range = Math.floor(ORDINALS / lineageCount);
  }

  next(): boolean {
    if (!this.#items.next()) return false;
    this.assign(this.#items);
    if (this.#lineage > 0 && this.subKeyEnd - this.keyEnd === ITEM_BYTES) this.#shift();
    return true;
  }

  #shift(): void {
    const bytes = this.bytes.slice(this.keyStart, this.valueEnd);
    const keyBytes = this.keyEnd - this.keyStart;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = keyBytes + LSN_BYTES;
    const ordinal = view.getUint32(at);
    if (ordinal >= this.#range) {
      throw new InvalidArgumentError(
        'INVALID_CALL',
        `too many items were appended in one commit to join so many lineages: ${ordinal}`,
        { table: this.table, lsn: this.lsn, ordinal, ordinalsMax: this.#range },
      );
    }
    view.setUint32(at, ordinal + this.#lineage * this.#range);
    this.subKeyEnd -= this.keyStart;
    this.valueEnd -= this.keyStart;
    this.keyStart = 0;
    this.keyEnd = keyBytes;
    this.bytes = bytes;
  }
}

/** Corrections of the reference counts of chunks; memory grows with the chunks concerned. */
export class ChunkCorrections {
  readonly #counts = new Map<string, number>();

  /** Differences by digest, hexadecimal. */
  *[Symbol.iterator](): Iterator<[digest: string, count: number]> {
    for (const [digest, count] of this.#counts) if (count !== 0) yield [digest, count];
  }

  /** Takes a key of a blob's table that was joined. */
  add({ base, effects, result }: JoinedKey): void {
    if (effects.length < 2) return;
    // Each lineage counted its own blob in, and the base's out.
    for (const { entry } of effects) {
      this.#count(entry, -1);
      this.#count(base, 1);
    }
    this.#count(result, 1);
    this.#count(base, -1);
  }

  #count(entry: Entry | undefined, by: number): void {
    if (entry?.op !== ops.put) return;
    const { bytes, subKeyEnd, valueEnd } = entry;
    for (let at = subKeyEnd + LENGTH_BYTES; at + DIGEST_BYTES <= valueEnd; at += DIGEST_BYTES) {
      const digest = toHex(bytes.subarray(at, at + DIGEST_BYTES));
      this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + by);
    }
  }
}
