/*
 * A merge cut into ranges of (table, hash) that are merged apart from each other. Borders stand at
 * key groups, because a clear of a table is stored once for each of them; so joined in order, the
 * ranges are what one merge gives, and the same inputs are always cut the same way.
 * Pure arithmetic on where slices begin and end.
 */
import { firstWhere } from '../std/halving.ts';
import { groupStart, keyGroupOf } from './entry.ts';
import type { SliceRange } from './slice-cursor.ts';
import type { Slice } from './slice.ts';

/** Where a slice stands, in a file or in memory. */
export interface SliceSpan {
  readonly table: number;
  /** Hash of the first and of the last entry. */
  readonly firstHash: number;
  readonly lastHash: number;
  readonly dataBytes: number;
}

/** A place in the order of entries; `hash` may be one above the greatest. */
export interface MergeBorder {
  readonly table: number;
  readonly hash: number;
}

/** Entries at or behind `from` and before `to`. */
export interface MergeRange {
  readonly from: MergeBorder;
  readonly to: MergeBorder;
}

const HASHES = 0x1_0000_0000;
const start: MergeBorder = { table: 0, hash: 0 };
const end: MergeBorder = { table: Number.POSITIVE_INFINITY, hash: 0 };

/** Everything. */
export const wholeRange: MergeRange = { from: start, to: end };

/**
 * Cuts a merge into ranges whose inputs have about `bytesTarget` bytes each, as far as slices say
 * where their entries are: they are taken to be spread evenly over their hashes.
 */
export function planRanges(
  spans: readonly SliceSpan[],
  groupBits: number,
  bytesTarget: number,
): MergeRange[] {
  const tables = new Map<number, { bytes: number; groups: Float64Array | undefined }>();
  for (const { table, dataBytes } of spans) {
    const known = tables.get(table);
    if (known) known.bytes += dataBytes;
    else tables.set(table, { bytes: dataBytes, groups: undefined });
  }
  // Only a table that is larger than a range is cut in the middle.
  for (const span of spans) {
    const table = tables.get(span.table)!;
    if (table.bytes <= bytesTarget) continue;
    spread(span, (table.groups ??= new Float64Array(2 ** groupBits)), groupBits);
  }
  const ranges: MergeRange[] = [];
  let from = start;
  let bytes = 0;
  const cut = (to: MergeBorder): void => {
    ranges.push({ from, to });
    from = to;
    bytes = 0;
  };
  for (const [table, { bytes: all, groups }] of [...tables].sort(([a], [b]) => a - b)) {
    if (!groups) {
      if (bytes > 0 && bytes + all > bytesTarget) cut({ table, hash: 0 });
      bytes += all;
      continue;
    }
    for (let group = 0; group < groups.length; group++) {
      if (bytes > 0 && bytes + groups[group]! > bytesTarget) {
        cut({ table, hash: groupStart(group, groupBits) });
      }
      bytes += groups[group]!;
    }
  }
  cut(end);
  return ranges;
}

/** The same for parts of a merge only, which are in order and do not overlap. */
export function planRangesIn(
  parts: readonly MergeRange[],
  spans: readonly SliceSpan[],
  groupBits: number,
  bytesTarget: number,
): MergeRange[] {
  return parts.flatMap((part) => {
    const inside = spans.filter((span) => overlaps(span, part));
    const planned = planRanges(inside, groupBits, bytesTarget);
    return planned.flatMap(({ from, to }) => {
      const cut = { from: later(from, part.from), to: earlier(to, part.to) };
      return isBefore(cut.from, cut.to) ? [cut] : [];
    });
  });
}

/** A border behind the last hash of a table. */
export function tableEnd(table: number): MergeBorder {
  return { table, hash: HASHES };
}

/** Key groups of a table, half-open; the borders of groups are those of hashes. */
export function groupsOf(
  table: number,
  { from, to }: { readonly from: number; readonly to: number },
  groupBits: number,
): MergeRange {
  const end = to < 2 ** groupBits ? { table, hash: groupStart(to, groupBits) } : tableEnd(table);
  return { from: { table, hash: groupStart(from, groupBits) }, to: end };
}

/** Orders borders. */
export function isBefore(a: MergeBorder, b: MergeBorder): boolean {
  return a.table < b.table || (a.table === b.table && a.hash < b.hash);
}

function later(a: MergeBorder, b: MergeBorder): MergeBorder {
  return isBefore(a, b) ? b : a;
}

function earlier(a: MergeBorder, b: MergeBorder): MergeBorder {
  return isBefore(b, a) ? b : a;
}

function spread(span: SliceSpan, groups: Float64Array, groupBits: number): void {
  const { firstHash, lastHash, dataBytes } = span;
  const first = keyGroupOf(firstHash, groupBits);
  const last = keyGroupOf(lastHash, groupBits);
  const width = lastHash - firstHash + 1;
  for (let group = first; group <= last; group++) {
    const groupFrom = Math.max(firstHash, groupStart(group, groupBits));
    const next = group + 1 < groups.length ? groupStart(group + 1, groupBits) : HASHES;
    const groupTo = Math.min(lastHash + 1, next);
    groups[group]! += (dataBytes * (groupTo - groupFrom)) / width;
  }
}

/** Whether a slice has a part in a range. */
export function overlaps({ table, firstHash, lastHash }: SliceSpan, range: MergeRange): boolean {
  const { from, to } = range;
  if (table < from.table || (table === from.table && lastHash < from.hash)) return false;
  return table < to.table || (table === to.table && firstHash < to.hash);
}

/**
 * How many ranges a slice has a part in; they are in order and do not overlap, so that those stand
 * together and are found by halving: a large merge has thousands of ranges for each of its slices.
 */
export function countOverlapping(ranges: readonly MergeRange[], span: SliceSpan): number {
  const { table, firstHash, lastHash } = span;
  const first = firstWhere(ranges, ({ to }) => isBefore({ table, hash: firstHash }, to));
  const behind = firstWhere(ranges, ({ from }) => isBefore({ table, hash: lastHash }, from));
  return Math.max(0, behind - first);
}

/** Those of one snapshot, in order, that have a part in a range; they stand together. */
export function overlapping<T>(
  items: readonly T[],
  range: MergeRange,
  spanOf: (item: T) => SliceSpan,
): T[] {
  const { from, to } = range;
  const first = firstWhere(items, (item) => {
    const { table, lastHash } = spanOf(item);
    return !isBefore({ table, hash: lastHash }, from);
  });
  const behind = firstWhere(items, (item) => {
    const { table, firstHash } = spanOf(item);
    return !isBefore({ table, hash: firstHash }, to);
  });
  return items.slice(first, behind);
}

/** The entries of a slice that a range holds; the slice overlaps it. */
export function partOf(slice: Slice, { from, to }: MergeRange): SliceRange {
  const { table, lastHash, entryCount } = slice.descriptor;
  const first = table === from.table ? slice.hashStart(from.hash) : 0;
  const last = table === to.table && to.hash <= lastHash ? slice.hashStart(to.hash) : entryCount;
  return { slice, from: first, to: last };
}
