/*
 * Which bytes of a store anything can ever need. What is behind the end of a segment that is not the
 * newest is no part of the log (L3), segments to come are zeros that nobody reads, and a recording is
 * none of the store's own. Damage of all else has to be told by somebody.
 */
import { decodeGroupHeader, groupBytes, groupKinds } from '../../src/wal/group-format.ts';
import { segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import type { Files } from './disk.ts';
import { kindOf } from './kinds.ts';
import { headerOf } from './proof.ts';

/** Nobody reads them, or only the next backup, or only their name says something. */
const unneeded: ReadonlySet<string> = new Set([
  'segment to come',
  'recording',
  'left over',
  'manifest',
  'restore mark',
]);

/** The offset behind the last byte of a file that is needed. */
export function neededEnd(files: Files, path: string): number {
  const bytes = files.get(path)!;
  const kind = kindOf(path);
  if (unneeded.has(kind)) return 0;
  const header = kind === 'segment' ? headerOf(path, bytes) : undefined;
  if (!header) return bytes.length;
  const numbers = [...files].map(([name, content]) => headerOf(name, content)?.number ?? 0);
  // The newest one is examined to its end (L6).
  if (header.number === Math.max(...numbers)) return bytes.length;
  let at = segmentHeaderBytes;
  for (;;) {
    const group = decodeGroupHeader(bytes, at, header.salt, at);
    // A seal mark that is missing means nothing: the header of the successor seals (L5).
    if (typeof group === 'string' || group.kind === groupKinds.seal) return at;
    at += groupBytes(group.bodyBytes);
  }
}
