/*
 * What is done to sound bytes before a decoder gets them: flipped bits, fields of any width set to
 * numbers that lengths and counts must not have, bytes cut off, left out, repeated, moved, and the end
 * of another sound encoding. Positions are taken modulo what is there, so every mutation fits any bytes.
 */
import * as fc from 'fast-check';

const spots = fc.nat(0xffff_ffff);
/** Numbers that lengths, counts, offsets and times must be checked for; -1 fills every bit. */
const numbers = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 3n, 7n, 8n, 63n, 64n, 65n, 127n, 128n, 255n, 256n, 65_535n, 65_536n),
  fc.constantFrom(2n ** 30n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n),
  fc.constantFrom(2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, -1n, -2n, -8n),
  fc.bigInt({ min: 0n, max: 4096n }),
);

/** One change; what a field means depends on `act`. */
export interface Mutation {
  readonly act: (typeof acts)[number];
  readonly at: number;
  readonly to: number;
  readonly length: number;
  readonly width: 1 | 2 | 4 | 8;
  readonly bigEndian: boolean;
  readonly value: bigint;
}

const acts = [
  'flip',
  'set',
  'number',
  'add',
  'cut',
  'leave out',
  'repeat',
  'move',
  'append',
  'splice',
] as const;

const mutation: fc.Arbitrary<Mutation> = fc.record({
  // Numbers and single bytes most often: they keep the rest in its place.
  act: fc.constantFrom(...acts, 'flip', 'set', 'number', 'number', 'add'),
  at: spots,
  to: spots,
  length: fc.integer({ min: 1, max: 40 }),
  width: fc.constantFrom(1, 2, 4, 8),
  bigEndian: fc.boolean(),
  value: numbers,
});

/** A few changes, most often one. */
export const mutations: fc.Arbitrary<Mutation[]> = fc.oneof(
  { weight: 4, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 1 }) },
  { weight: 2, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant<Mutation[]>([]) },
);

/** The bytes after all changes, as a copy; `other` is what ends are taken from. */
export function mutated(
  bytes: Uint8Array,
  changes: readonly Mutation[],
  other: Uint8Array,
): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (const change of changes) result = mutate(result, change, other);
  return result;
}

function mutate(bytes: Uint8Array, change: Mutation, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const { act, length } = change;
  const at = change.at % (bytes.length + 1);
  const to = change.to % (bytes.length + 1);
  const end = Math.min(bytes.length, at + length);
  switch (act) {
    case 'cut':
      return bytes.slice(0, at);
    case 'leave out':
      return joined(bytes.subarray(0, at), bytes.subarray(end));
    case 'repeat':
      return joined(bytes.subarray(0, end), bytes.subarray(at));
    case 'move': {
      const copy = bytes.slice();
      copy.set(bytes.subarray(at, Math.min(end, at + bytes.length - to)), to);
      return copy;
    }
    case 'append':
      return joined(bytes, other.subarray(0, length));
    case 'splice':
      return joined(bytes.subarray(0, at), other.subarray(change.to % (other.length + 1)));
    default:
      return changed(bytes, change, at);
  }
}

/** Bytes whose length stays. */
function changed(bytes: Uint8Array, change: Mutation, at: number): Uint8Array<ArrayBuffer> {
  const { act, to, width, value, bigEndian } = change;
  const copy = Uint8Array.from(bytes);
  if (act === 'flip') {
    if (at < copy.length) copy[at]! ^= 1 << (to % 8);
    return copy;
  }
  if (act === 'set') {
    if (at < copy.length) copy[at] = to % 256;
    return copy;
  }
  // Numbers of a format stand at multiples of their width more often than not.
  const start = to % 4 === 0 ? at : at - (at % width);
  const places = Array.from({ length: width }, (_, i) =>
    bigEndian ? start + width - 1 - i : start + i,
  );
  if (places.some((place) => place >= copy.length)) return copy;
  let number = value;
  if (act === 'add') {
    const before = places.reduce(
      (sum, place, i) => sum + (BigInt(copy[place]!) << BigInt(8 * i)),
      0n,
    );
    number = to % 2 === 0 ? before + value : before - value;
  }
  for (const [i, place] of places.entries()) {
    copy[place] = Number(BigInt.asUintN(8, number >> BigInt(8 * i)));
  }
  return copy;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}
