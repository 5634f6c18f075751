/*
 * A merge patch as log and snapshots are shown: an object whose fields are null where they are deleted, objects
 * where they are patched, and a `PatchReplacement` where an object takes the place of whatever was
 * there (several patches of one commit are logged as one, patch-format.ts).
 */
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { versionBytes } from '../codec/value-version.ts';
import { isObjectHead, MARK, PLACES, readFields, type BytesRange } from './patch-format.ts';

/** An object that takes the place of a field, and does not patch it. */
export class PatchReplacement {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** Decodes the operand of a patch, whatever its version. */
export function decodePatch(range: BytesRange, decoder: ValueDecoder): Record<string, unknown> {
  const start = range.start + versionBytes(range.bytes, range.start, range.end);
  return decodeObject({ ...range, start }, decoder, 0);
}

function decodeObject(
  range: BytesRange,
  decoder: ValueDecoder,
  depth: number,
): Record<string, unknown> {
  const { bytes, places } = readFields(range, 'patch', depth);
  const patch: [string, unknown][] = [];
  for (let at = 0; at < places.length; at += PLACES) {
    const name = String(decoder.decode(bytes, places[at]!, places[at + 2]!));
    const [start, end] = [places[at + 2]!, places[at + 3]!];
    const head = bytes[start]!;
    if (isObjectHead(head))
      patch.push([name, decodeObject({ bytes, start, end }, decoder, depth + 1)]);
    else if (head !== MARK) patch.push([name, decoder.decode(bytes, start, end)]);
    else patch.push([name, new PatchReplacement(decoder.decode(bytes, start + 1, end))]);
  }
  // Defined, not assigned: a field may be called `__proto__`.
  return Object.fromEntries(patch);
}
