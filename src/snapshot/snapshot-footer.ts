/*
 * Footer of a snapshot file, version 1. Little-endian. Starts behind the last slice.
 *
 * | Offset | Size | Field       | Meaning                                                         |
 * |      0 |  128 | header      | the file's header again                                         |
 * |    128 |    4 | sliceCount  |                                                                 |
 * |    132 |    4 | tableCount  | tables that have entries                                        |
 * |    136 |    4 | parentCount | 0 where a delta is valid on any chain (E2), and of a plain base |
 * |    140 |    4 | flags       | bit 0: the reserved table of chunks has entries                 |
 * |    144 |    4 | codecCount  | users' codecs that blocks can have, at most 128                 |
 * |    148 |    4 | reserved    | 0                                                               |
 * |    152 |      | slices      | sliceCount times, in order of table and hash:                   |
 *
 * | Offset | Size | Field       | Meaning                                                         |
 * |      0 |    4 | table       |                                                                 |
 * |      4 |    4 | flags       | bit 0: has clears of keys, bit 1: has clears of the table       |
 * |      8 |    4 | firstHash   | of the first entry                                              |
 * |     12 |    4 | lastHash    | of the last entry                                               |
 * |     16 |    4 | entryCount  |                                                                 |
 * |     20 |    4 | dataBytes   | of the entries, before compression                              |
 * |     24 |    4 | bucketCount | of the directory                                                |
 * |     28 |    1 | bucketShift | of the directory                                                |
 * |     29 |    3 | reserved    | 0                                                               |
 * |     32 |    8 | offset      | of the first block; slices stand without gaps                   |
 * |     40 |    8 | storedBytes | of the blocks; the block table follows them                     |
 * |     48 |    4 | tableCrc    | of the block table                                              |
 * |     52 |    4 | reserved    | 0                                                               |
 *
 * then per table `table u32, slices u32, entries u64, dataBytes u64`, and per parent the 32 bytes
 * of its SHA-256 (what a delta is valid on, or what a base was joined from: docs/adr/0012), and per
 * user's codec `bytes u8, name`, ASCII; blocks name the first as 128, the next as 129. Totals repeat
 * what the slices say, for a reader of the footer by hand.
 */
import { toHex, fromHex, readU32, readU64, writeU32, writeU64 } from '../std/bytes.ts';
import { assert, must } from '../std/assert.ts';
import { ownCodecsMax } from './block-packer.ts';
import { entryHeaderBytes, reservedTables } from './entry-format.ts';
import { bucketsOf, sliceBytesHardMax, sliceLayout } from './slice.ts';
import {
  allZero,
  blockCount,
  blockTableEntryBytes,
  corruptSnapshot,
  decodeSnapshotHeader,
  encodeSnapshotHeader,
  snapshotHeaderBytes,
  type SnapshotHeader,
  type SnapshotPlace,
} from './snapshot-format.ts';

const FIXED_BYTES = 152;
const SLICE_BYTES = 56;
const TABLE_BYTES = 24;
const DIGEST_BYTES = 32;
const FLAG_CHUNKS = 1;
const FLAG_KEY_CLEARS = 1;
const FLAG_TABLE_CLEARS = 2;

/** Where a slice stands in the file, and what is in it. */
export interface SliceRecord {
  readonly table: number;
  readonly firstHash: number;
  readonly lastHash: number;
  readonly entryCount: number;
  readonly dataBytes: number;
  readonly bucketShift: number;
  readonly bucketCount: number;
  readonly hasKeyClears: boolean;
  readonly hasTableClears: boolean;
  readonly offset: number;
  readonly storedBytes: number;
  readonly tableCrc: number;
}

/** Sums over the slices of one table. */
export interface TableTotals {
  readonly table: number;
  readonly sliceCount: number;
  readonly entryCount: number;
  readonly dataBytes: number;
}

/** Footer of a snapshot. */
export interface SnapshotFooter {
  readonly header: SnapshotHeader;
  readonly slices: readonly SliceRecord[];
  readonly tables: readonly TableTotals[];
  /**
   * SHA-256 of the snapshots that a delta is valid on, or that a base was joined from, in lower-case
   * hexadecimal.
   */
  readonly parents: readonly string[];
  /** Users' codecs that blocks can have, by name. */
  readonly ownCodecs: readonly string[];
}

/** Sums of slices that are in order, a table each. */
export function tableTotals(slices: readonly Omit<TableTotals, 'sliceCount'>[]): TableTotals[] {
  const totals: TableTotals[] = [];
  for (const { table, entryCount, dataBytes } of slices) {
    const last = totals.at(-1);
    if (last?.table === table) {
      totals[totals.length - 1] = {
        table,
        sliceCount: last.sliceCount + 1,
        entryCount: last.entryCount + entryCount,
        dataBytes: last.dataBytes + dataBytes,
      };
    } else {
      totals.push({ table, sliceCount: 1, entryCount, dataBytes });
    }
  }
  return totals;
}

/** Bytes of a slice's index before compression: hashes, pointers and directory. */
export function sliceIndexBytes(slice: {
  readonly dataBytes: number;
  readonly entryCount: number;
  readonly bucketCount: number;
}): number {
  const layout = sliceLayout(slice.dataBytes, slice.entryCount, slice.bucketCount);
  return layout.totalBytes - layout.hashesAt;
}

/** Offset behind a slice's block table. */
export function sliceEnd(slice: SliceRecord): number {
  const blocks = blockCount(slice.dataBytes, sliceIndexBytes(slice));
  return slice.offset + slice.storedBytes + blocks * blockTableEntryBytes;
}

export function encodeSnapshotFooter(footer: SnapshotFooter): Uint8Array {
  const { slices, tables, parents, ownCodecs } = footer;
  const tablesAt = FIXED_BYTES + slices.length * SLICE_BYTES;
  const parentsAt = tablesAt + tables.length * TABLE_BYTES;
  const codecsAt = parentsAt + parents.length * DIGEST_BYTES;
  const names = encodeNames(ownCodecs);
  const bytes = new Uint8Array(codecsAt + names.length);
  bytes.set(encodeSnapshotHeader(footer.header), 0);
  writeU32(bytes, 128, slices.length);
  writeU32(bytes, 132, tables.length);
  writeU32(bytes, 136, parents.length);
  writeU32(bytes, 140, holdsChunks(tables) ? FLAG_CHUNKS : 0);
  writeU32(bytes, 144, ownCodecs.length);
  slices.forEach((slice, i) => encodeSlice(bytes, FIXED_BYTES + i * SLICE_BYTES, slice));
  tables.forEach((totals, i) => {
    const at = tablesAt + i * TABLE_BYTES;
    writeU32(bytes, at, totals.table);
    writeU32(bytes, at + 4, totals.sliceCount);
    writeU64(bytes, at + 8, totals.entryCount);
    writeU64(bytes, at + 16, totals.dataBytes);
  });
  parents.forEach((digest, i) => {
    assert(digest.length === DIGEST_BYTES * 2, 'a digest is a SHA-256', { digest });
    bytes.set(must(fromHex(digest), 'a digest is hexadecimal'), parentsAt + i * DIGEST_BYTES);
  });
  bytes.set(names, codecsAt);
  return bytes;
}

function encodeSlice(bytes: Uint8Array, at: number, slice: SliceRecord): void {
  const keyClears = slice.hasKeyClears ? FLAG_KEY_CLEARS : 0;
  const tableClears = slice.hasTableClears ? FLAG_TABLE_CLEARS : 0;
  writeU32(bytes, at, slice.table);
  writeU32(bytes, at + 4, keyClears | tableClears);
  writeU32(bytes, at + 8, slice.firstHash);
  writeU32(bytes, at + 12, slice.lastHash);
  writeU32(bytes, at + 16, slice.entryCount);
  writeU32(bytes, at + 20, slice.dataBytes);
  writeU32(bytes, at + 24, slice.bucketCount);
  bytes[at + 28] = slice.bucketShift;
  writeU64(bytes, at + 32, slice.offset);
  writeU64(bytes, at + 40, slice.storedBytes);
  writeU32(bytes, at + 48, slice.tableCrc);
}

/** Decodes the footer, whose checksum has been checked and which stands at `place`. */
export function decodeSnapshotFooter(bytes: Uint8Array, place: SnapshotPlace): SnapshotFooter {
  if (bytes.length < FIXED_BYTES) {
    const details = { expected: FIXED_BYTES, actual: bytes.length };
    throw corruptSnapshot(place, 'footer is cut short', details);
  }
  const header = decodeSnapshotHeader(bytes.subarray(0, snapshotHeaderBytes), place);
  const sliceCount = readU32(bytes, 128);
  const tableCount = readU32(bytes, 132);
  const parentCount = readU32(bytes, 136);
  const tablesAt = FIXED_BYTES + sliceCount * SLICE_BYTES;
  const parentsAt = tablesAt + tableCount * TABLE_BYTES;
  const expected = parentsAt + parentCount * DIGEST_BYTES;
  const ownCodecs = decodeNames(bytes, expected, readU32(bytes, 144));
  if (!ownCodecs) {
    const details = { expected, actual: bytes.length };
    throw corruptSnapshot(place, 'footer has another size than its counts say', details);
  }
  const slices = Array.from({ length: sliceCount }, (_, i) =>
    decodeSlice(bytes, FIXED_BYTES + i * SLICE_BYTES, place),
  );
  checkOrder(slices, place);
  const tables = tableTotals(slices);
  const flags = holdsChunks(tables) ? FLAG_CHUNKS : 0;
  if (readU32(bytes, 148) !== 0) throw corruptSnapshot(place, 'footer has reserved bits set');
  if (tables.length !== tableCount || readU32(bytes, 140) !== flags) {
    throw corruptSnapshot(place, 'footer names other tables than its slices');
  }
  tables.forEach((totals, i) => {
    const at = tablesAt + i * TABLE_BYTES;
    const same =
      readU32(bytes, at) === totals.table &&
      readU32(bytes, at + 4) === totals.sliceCount &&
      readU64(bytes, at + 8) === totals.entryCount &&
      readU64(bytes, at + 16) === totals.dataBytes;
    if (!same) throw corruptSnapshot(place, `footer has wrong totals of table ${totals.table}`);
  });
  const parents = Array.from({ length: parentCount }, (_, i) => {
    const at = parentsAt + i * DIGEST_BYTES;
    return toHex(bytes.subarray(at, at + DIGEST_BYTES));
  });
  return { header, slices, tables, parents, ownCodecs };
}

/** Names of users' codecs, which are ASCII, each behind its length. */
function encodeNames(names: readonly string[]): Uint8Array {
  assert(names.length <= ownCodecsMax, 'a file has at most 128 codecs of users');
  return Buffer.concat(
    names.map((name) => {
      assert(name.length > 0 && name.length < 256, 'a codec has a short name', { name });
      return Buffer.from(String.fromCodePoint(name.length) + name, 'latin1');
    }),
  );
}

/** Names of users' codecs, which end where the bytes end; undefined when they do not. */
function decodeNames(bytes: Uint8Array, start: number, count: number): string[] | undefined {
  if (count > ownCodecsMax) return undefined;
  const names: string[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const end = at + 1 + (bytes[at] ?? 0);
    if (end <= at + 1 || end > bytes.length) return undefined;
    names.push(Buffer.from(bytes.subarray(at + 1, end)).toString('latin1'));
    at = end;
  }
  return at === bytes.length ? names : undefined;
}

function decodeSlice(bytes: Uint8Array, at: number, place: SnapshotPlace): SliceRecord {
  const flags = readU32(bytes, at + 4);
  const reserved = allZero(bytes, at + 29, at + 32) && readU32(bytes, at + 52) === 0;
  if (flags > (FLAG_KEY_CLEARS | FLAG_TABLE_CLEARS) || !reserved) {
    throw corruptSnapshot(place, 'footer has reserved bits set in a slice');
  }
  const slice: SliceRecord = {
    table: readU32(bytes, at),
    firstHash: readU32(bytes, at + 8),
    lastHash: readU32(bytes, at + 12),
    entryCount: readU32(bytes, at + 16),
    dataBytes: readU32(bytes, at + 20),
    bucketShift: bytes[at + 28]!,
    bucketCount: readU32(bytes, at + 24),
    hasKeyClears: (flags & FLAG_KEY_CLEARS) !== 0,
    hasTableClears: (flags & FLAG_TABLE_CLEARS) !== 0,
    offset: readU64(bytes, at + 32),
    storedBytes: readU64(bytes, at + 40),
    tableCrc: readU32(bytes, at + 48),
  };
  const { entryCount, dataBytes, firstHash, lastHash } = slice;
  const sizes = entryCount > 0 && dataBytes >= entryCount * entryHeaderBytes;
  if (!sizes || dataBytes > sliceBytesHardMax || firstHash > lastHash) {
    throw corruptSnapshot(place, 'footer has a slice that cannot be');
  }
  const buckets = bucketsOf(entryCount, firstHash, lastHash);
  if (buckets.bucketShift !== slice.bucketShift || buckets.bucketCount !== slice.bucketCount) {
    throw corruptSnapshot(place, 'footer has a slice with another directory than it must have');
  }
  return slice;
}

function checkOrder(slices: readonly SliceRecord[], place: SnapshotPlace): void {
  let offset = snapshotHeaderBytes;
  let before: SliceRecord | undefined;
  for (const slice of slices) {
    if (slice.offset !== offset) {
      const details = { expected: offset, actual: slice.offset };
      throw corruptSnapshot(place, 'footer has a slice out of place', details);
    }
    const ordered =
      before === undefined ||
      before.table < slice.table ||
      (before.table === slice.table && before.lastHash <= slice.firstHash);
    if (!ordered) throw corruptSnapshot(place, 'footer has slices out of order');
    offset = sliceEnd(slice);
    before = slice;
  }
  if (offset !== place.offset) {
    const details = { expected: offset, actual: place.offset };
    throw corruptSnapshot(place, 'footer does not stand behind the last slice', details);
  }
}

function holdsChunks(tables: readonly TableTotals[]): boolean {
  return tables.some((totals) => totals.table === reservedTables.chunks);
}
