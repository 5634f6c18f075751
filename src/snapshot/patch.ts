/*
 * Merge patches as bytes (patch-format.ts): applied to a value, and composed with an older patch.
 * Composing is exactly associative, and applying a composed patch is applying its parts in order:
 *
 *   P1 apply(compose(p, q), v) = apply(q, apply(p, v)), byte for byte;
 *   P2 compose(compose(p, q), r) = compose(p, compose(q, r)), byte for byte;
 *   P3 what comes out is no deeper than the deeper of the two, and its names are in order (N1);
 *   P4 all that meet have one version, which what comes out has too: no patch is applied to a value
 *      of another version, whose fields may mean something else.
 *
 * Pure. The kernel calls it for operands, the open transaction for what it shows, so the two cannot
 * differ.
 */
import { versionBytes } from '../codec/value-version.ts';
import { CorruptionError } from '../errors.ts';
import { compareBytes } from '../std/bytes.ts';
import {
  compareNames,
  isObjectHead,
  MARK,
  NIL,
  noFields,
  PatchWriter,
  PLACES,
  readFields,
  type BytesRange,
  type Fields,
  type ObjectRole,
} from './patch-format.ts';

/** Writes the patch that does what `older` and then `newer` do. */
export function composePatches(older: BytesRange, newer: BytesRange, out: PatchWriter): void {
  const [under, over] = withoutVersions(older, newer, out);
  composeObjects(readFields(under, 'patch', 0), readFields(over, 'patch', 0), out, 0);
}

/** Writes what a patch makes of a value; of what is no object, or of nothing, it makes an object. */
export function applyPatch(
  patch: BytesRange,
  value: BytesRange | undefined,
  out: PatchWriter,
): void {
  const [under, over] = withoutVersions(value, patch, out);
  const isObject = under && under.start < under.end && isObjectHead(under.bytes[under.start]!);
  const fields = isObject ? readFields(under, 'value', 0) : noFields;
  applyFields(readFields(over, 'patch', 0), fields, out, 0);
}

/** Makes the encoded plain object that a user gave a patch: names are put in order. */
export function patchOfObject(encoded: Uint8Array): Uint8Array {
  const out = new PatchWriter(encoded.length);
  const end = encoded.length;
  const start = versionBytes(encoded, 0, end);
  out.copy(encoded, 0, start);
  orderFields({ bytes: encoded, start, end }, out, 0);
  return out.bytes.subarray(0, out.length);
}

/** Both without their version, which is written; one that differs is refused (P4). */
function withoutVersions<V extends BytesRange | undefined>(
  older: V,
  newer: BytesRange,
  out: PatchWriter,
): [V, BytesRange] {
  const over = newer.start + versionBytes(newer.bytes, newer.start, newer.end);
  out.copy(newer.bytes, newer.start, over);
  const rest = { ...newer, start: over };
  if (older === undefined) return [older, rest];
  const { bytes, start, end } = older;
  const under = start + versionBytes(bytes, start, end);
  if (compareBytes(bytes, start, under, newer.bytes, newer.start, over) !== 0) {
    throw new CorruptionError('CORRUPT_SNAPSHOT', 'a merge patch meets a value of another version');
  }
  return [{ ...older, start: under }, rest];
}

function orderFields(range: BytesRange, out: PatchWriter, depth: number): void {
  const fields = readFields(range, 'value', depth);
  out.object(fields.count);
  for (let at = 0; at < fields.places.length; at += PLACES) {
    copyKey(fields, at, out);
    if (isObjectHead(headOf(fields, at))) orderFields(valueOf(fields, at), out, depth + 1);
    else copyValue(fields, at, 0, out);
  }
}

function composeObjects(older: Fields, newer: Fields, out: PatchWriter, depth: number): void {
  const pairs = pairUp(older, newer);
  out.object(pairs.length / 2);
  for (let i = 0; i < pairs.length; i += 2) {
    const under = pairs[i]!;
    const over = pairs[i + 1]!;
    if (over < 0) {
      copyField(older, under, out);
    } else if (under < 0 || !isObjectHead(headOf(newer, over))) {
      copyField(newer, over, out);
    } else {
      copyKey(newer, over, out);
      composeField(older, under, newer, { at: over, depth: depth + 1 }, out);
    }
  }
}

/** Composes a field with a newer patch for it. */
function composeField(
  older: Fields,
  under: number,
  newer: Fields,
  over: { readonly at: number; readonly depth: number },
  out: PatchWriter,
): void {
  const { depth } = over;
  const head = headOf(older, under);
  const patch = child(newer, over.at, 'patch', depth);
  if (isObjectHead(head)) {
    composeObjects(child(older, under, 'patch', depth), patch, out, depth);
    return;
  }
  // The field is known now, whatever it was before: deleted, a value that is no object, an object.
  const known = head === MARK ? child(older, under, 'value', depth, 1) : noFields;
  out.byte(MARK);
  applyFields(patch, known, out, depth);
}

function applyFields(patch: Fields, value: Fields, out: PatchWriter, depth: number): void {
  const pairs = pairUp(value, patch);
  let count = 0;
  for (let i = 1; i < pairs.length; i += 2) {
    const over = pairs[i]!;
    if (over < 0 || headOf(patch, over) !== NIL) count++;
  }
  out.object(count);
  for (let i = 0; i < pairs.length; i += 2) {
    const under = pairs[i]!;
    const over = pairs[i + 1]!;
    if (over < 0) {
      copyField(value, under, out);
      continue;
    }
    const head = headOf(patch, over);
    if (head === NIL) continue;
    copyKey(patch, over, out);
    if (!isObjectHead(head)) {
      copyValue(patch, over, head === MARK ? 1 : 0, out);
      continue;
    }
    const met = under >= 0 && isObjectHead(headOf(value, under));
    const fields = met ? child(value, under, 'value', depth + 1) : noFields;
    applyFields(child(patch, over, 'patch', depth + 1), fields, out, depth + 1);
  }
}

/** Places of the fields of the same name, by name: two numbers a name, -1 where one has none. */
function pairUp(a: Fields, b: Fields): number[] {
  const pairs: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.places.length || j < b.places.length) {
    let order = 0;
    if (i >= a.places.length) order = 1;
    else if (j >= b.places.length) order = -1;
    else {
      const [p, q] = [a.places, b.places];
      order = compareNames(a.bytes, p[i + 1]!, p[i + 2]!, b.bytes, q[j + 1]!, q[j + 2]!);
    }
    pairs.push(order > 0 ? -1 : i, order < 0 ? -1 : j);
    if (order <= 0) i += PLACES;
    if (order >= 0) j += PLACES;
  }
  return pairs;
}

function headOf({ bytes, places }: Fields, at: number): number {
  return bytes[places[at + 2]!]!;
}

function valueOf({ bytes, places }: Fields, at: number): BytesRange {
  return { bytes, start: places[at + 2]!, end: places[at + 3]! };
}

/** The fields of the object that stands in a field, behind so many bytes. */
function child(of: Fields, at: number, role: ObjectRole, depth: number, skipped = 0): Fields {
  const { bytes, start, end } = valueOf(of, at);
  return readFields({ bytes, start: start + skipped, end }, role, depth);
}

function copyKey({ bytes, places }: Fields, at: number, out: PatchWriter): void {
  out.copy(bytes, places[at]!, places[at + 2]!);
}

function copyValue({ bytes, places }: Fields, at: number, skipped: number, out: PatchWriter): void {
  out.copy(bytes, places[at + 2]! + skipped, places[at + 3]!);
}

function copyField({ bytes, places }: Fields, at: number, out: PatchWriter): void {
  out.copy(bytes, places[at]!, places[at + 3]!);
}
