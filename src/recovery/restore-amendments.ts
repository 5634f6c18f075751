/*
 * Entries that a restore makes itself: the reserved tables of a part, or of several stores together. They
 * are an input of the merge like any other, newer than all others, so that the kernel stays the only
 * thing that folds. Added in their order.
 */
import { hashBytes, type HashSeed } from '../codec/hash.ts';
import { encodeKey, type Key } from '../codec/key.ts';
import { Entry, compareEntries } from '../snapshot/entry.ts';
import { operatorIds, ops } from '../snapshot/entry-format.ts';
import { SliceBuilder } from '../snapshot/slice-builder.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import { copyBytes } from '../std/bytes.ts';
import { encodeInt64 } from '../state/operand-changes.ts';
import type { RangeTools } from './restore-source.ts';

const sliceBytesMax = 64 * 1024 * 1024;

/** The commit that made entries stand for. */
export interface AmendedMoment {
  readonly lsn: number;
  /** Microseconds. */
  readonly timestamp: number;
}

/** An entry that puts a value, to be added in its place among others of its table. */
export function putOf(
  place: { readonly table: number; readonly key: Key; readonly seed: HashSeed },
  value: Uint8Array,
  when: AmendedMoment,
): Entry {
  const { table, seed } = place;
  const key = encodeKey(place.key);
  const bytes = new Uint8Array(key.length + value.length);
  bytes.set(key);
  bytes.set(value, key.length);
  const spans = { keyEnd: key.length, subKeyEnd: key.length, valueEnd: bytes.length };
  const hash = hashBytes(bytes, 0, key.length, seed);
  return Object.assign(new Entry(), { table, hash, op: ops.put, bytes, ...spans, ...when });
}

/** A copy that stays when the cursor moves on. */
export function copyOf(entry: Entry): Entry {
  const copy = new Entry();
  copy.assign(entry);
  copy.bytes = new Uint8Array(entry.valueEnd - entry.keyStart);
  copyBytes(entry.bytes, entry.keyStart, entry.valueEnd, copy.bytes, 0);
  copy.keyStart = 0;
  copy.keyEnd = entry.keyEnd - entry.keyStart;
  copy.subKeyEnd = entry.subKeyEnd - entry.keyStart;
  copy.valueEnd = copy.bytes.length;
  return copy;
}

/** Builds the input. */
export class Amendments {
  readonly #builder: SliceBuilder;
  readonly #slices: SliceDescriptor[] = [];
  readonly #when: AmendedMoment;

  constructor({ slabs }: RangeTools, when: AmendedMoment) {
    this.#builder = new SliceBuilder(slabs, sliceBytesMax, 0);
    this.#when = when;
  }

  /** Adds entries of one table, in whatever order they are. */
  addAll(entries: readonly Entry[]): void {
    for (const entry of entries.toSorted(compareEntries)) this.#add(entry);
  }

  /** Changes the number of references of a chunk by a difference. */
  addReferences(of: Entry, difference: number): void {
    const key = of.keyEnd - of.keyStart;
    const bytes = new Uint8Array(key + 8);
    copyBytes(of.bytes, of.keyStart, of.keyEnd, bytes, 0);
    bytes.set(encodeInt64(BigInt(difference)), key);
    const { table, hash } = of;
    const kind = { op: ops.merge, operator: operatorIds.chunk };
    const spans = { keyEnd: key, subKeyEnd: key, valueEnd: bytes.length };
    const entry = { table, hash, ...kind, bytes, ...spans, ...this.#when };
    this.#add(Object.assign(new Entry(), entry));
  }

  finish(): readonly SliceDescriptor[] {
    this.#cut();
    return this.#slices;
  }

  #add(entry: Entry): void {
    if (!this.#builder.fits(entry)) this.#cut();
    this.#builder.append(entry);
  }

  #cut(): void {
    const slice = this.#builder.finish();
    if (slice) this.#slices.push(slice);
  }
}
