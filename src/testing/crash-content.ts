/*
 * What of a written page reaches the disk: all of it, some of its sectors, or garbage in its range.
 */
import { pageBytes, sectorBytes, type PageFate } from './crash-fate.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { FilePiece } from './simulated-file.ts';

/** Ranges of the pages that a write touches, cut at its ends. */
export function pagesOf(position: number, bytes: number): { start: number; end: number }[] {
  return cutAt(position, position + bytes, pageBytes);
}

/** What becomes of a page of a write, as ranges of bytes. */
export function piecesOf(
  write: { readonly position: number; readonly bytes: Uint8Array },
  page: { readonly start: number; readonly end: number },
  fate: PageFate,
  random: SeededRandom,
): FilePiece[] {
  const { start, end } = page;
  const bytes = write.bytes.subarray(start - write.position, end - write.position);
  if (fate === 'dropped') return [];
  if (fate === 'kept') return [{ position: start, bytes }];
  if (fate === 'garbled') return [{ position: start, bytes: garbled(bytes, random) }];
  const sectors = cutAt(start, end, sectorBytes);
  const inOrder = random.below(2) === 0;
  const first = random.below(sectors.length + 1);
  return sectors
    .filter((_, i) => (inOrder ? i < first : random.below(2) === 0))
    .map((sector) => ({
      position: sector.start,
      bytes: bytes.subarray(sector.start - start, sector.end - start),
    }));
}

/** Noise, zeros, or some bytes changed: never anything outside the range. */
function garbled(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const changed = bytes.slice();
  const from = random.below(bytes.length);
  const how = random.below(3);
  if (how === 0) random.fill(changed.subarray(from));
  else if (how === 1) changed.fill(0, from);
  else for (let i = 0; i < 3; i++) changed[random.below(bytes.length)]! ^= 1 + random.below(255);
  return changed;
}

/** Cuts a range where multiples of a unit are. */
function cutAt(start: number, end: number, unit: number): { start: number; end: number }[] {
  const parts: { start: number; end: number }[] = [];
  for (let at = start; at < end;) {
    const next = Math.min(end, (Math.floor(at / unit) + 1) * unit);
    parts.push({ start: at, end: next });
    at = next;
  }
  return parts;
}
