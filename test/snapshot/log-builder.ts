/*
 * Builds logs in memory for tests: commits as records, frames of one record, groups, segments.
 */
import { checksum } from '../../src/codec/checksum.ts';
import type { FileSystem } from '../../src/fs/file-system.ts';
import {
  commitEntryHeaderBytes,
  commitHeaderBytes,
  commitKind,
  commitVersion,
} from '../../src/snapshot/commit-format.ts';
import { entryFlags, ops } from '../../src/snapshot/entry-format.ts';
import type { RunLogRange } from '../../src/snapshot/log-run.ts';
import { writeU16, writeU32, writeU64 } from '../../src/std/bytes.ts';
import { chainCrc, chainStart, mixFrame, type ChainValue } from '../../src/wal/chain-value.ts';
import {
  encodeGroupHeader,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
} from '../../src/wal/group-format.ts';
import { encodeSegmentHeader, segmentHeaderBytes } from '../../src/wal/segment-format.ts';

/** One change of a commit. */
export interface Change {
  readonly table: number;
  readonly op: number;
  readonly operator?: number;
  readonly key: string;
  readonly subKey?: string | Uint8Array | undefined;
  readonly value?: string | Uint8Array;
  readonly expiry?: number;
  readonly eventTime?: number;
}

export interface Commit {
  readonly timestamp: number;
  readonly changes: readonly Change[];
  readonly metadata?: string;
}

export const put = (table: number, key: string, value: string, more: object = {}): Change => ({
  table,
  op: ops.put,
  key,
  value,
  ...more,
});

export function toBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? new TextEncoder().encode(text) : text;
}

export function int64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes;
}

export function encodeCommit(commit: Commit): Uint8Array {
  const header = new Uint8Array(commitHeaderBytes);
  const metadata = toBytes(commit.metadata ?? '');
  header[0] = commitKind;
  header[1] = commitVersion;
  writeU32(header, 4, commit.changes.length);
  writeU64(header, 8, commit.timestamp);
  writeU32(header, 16, metadata.length);
  return Buffer.concat([header, metadata, ...commit.changes.map(encodeChange)]);
}

function encodeChange(change: Change): Uint8Array {
  const key = toBytes(change.key);
  const subKey = toBytes(change.subKey ?? '');
  const value = toBytes(change.value ?? '');
  const times = [change.expiry ?? 0, change.eventTime ?? 0].filter((time) => time !== 0);
  const bytes = new Uint8Array(commitEntryHeaderBytes + times.length * 8);
  writeU32(bytes, 0, change.table);
  writeU32(bytes, 4, value.length);
  writeU16(bytes, 8, key.length);
  writeU16(bytes, 10, subKey.length);
  bytes[12] = change.op;
  bytes[13] = change.operator ?? 0;
  bytes[14] =
    (change.subKey === undefined ? 0 : entryFlags.subKey) |
    (change.expiry ? entryFlags.expiry : 0) |
    (change.eventTime ? entryFlags.eventTime : 0);
  times.forEach((time, i) => writeU64(bytes, commitEntryHeaderBytes + i * 8, time));
  return Buffer.concat([bytes, key, subKey, value]);
}

/** Where a log goes on. */
export interface LogEnd {
  readonly lsn: number;
  readonly chain: ChainValue;
}

export interface BuiltSegment extends LogEnd {
  readonly bytes: Uint8Array;
  readonly range: RunLogRange;
}

/** How commits are put into a segment. */
export interface SegmentShape {
  readonly path: string;
  readonly from?: LogEnd;
  readonly commitsPerGroup?: number;
  /** Puts a proof mark behind every group. */
  readonly marks?: boolean;
}

/** A segment that holds the records, and the range of all its groups. */
export function buildSegment(records: readonly Uint8Array[], shape: SegmentShape): BuiltSegment {
  const salt = new Uint8Array(8).fill(shape.path.length);
  let { lsn, chain } = shape.from ?? { lsn: 0, chain: chainStart };
  const range = { path: shape.path, salt, start: segmentHeaderBytes, firstLsn: lsn + 1, chain };
  const header = encodeSegmentHeader({
    storeId: new Uint8Array(16),
    timeline: 1,
    epoch: 1,
    number: 1,
    firstLsn: lsn + 1,
    size: 0,
    salt,
    createdAt: 0,
    predecessor: undefined,
    chain,
  });
  const parts: Uint8Array[] = [header];
  let offset = header.length;
  const add = (frames: readonly Uint8Array[]): void => {
    const body = Buffer.concat(frames);
    const group = new Uint8Array(groupBytes(body.length));
    let { mix } = chain;
    frames.forEach((frame, i) => {
      mix = mixFrame(mix, lsn + 1 + i, frame.length);
    });
    chain = { crc: chainCrc(chain.crc, body, 0, body.length), mix };
    const kind = frames.length === 0 ? groupKinds.proof : groupKinds.frames;
    const counts = { frameCount: frames.length, recordCount: frames.length };
    const lsns = { firstLsn: lsn + 1, durableLsn: lsn };
    const crcs = { chain, bodyCrc: checksum(body) };
    const bytes = { codec: 0, bodyBytes: body.length, frameBytes: body.length };
    const groupHeader = { kind, ...bytes, ...counts, ...lsns, ...crcs };
    encodeGroupHeader(group, 0, groupHeader, salt, offset);
    group.set(body, groupHeaderBytes);
    parts.push(group);
    offset += group.length;
    lsn += frames.length;
  };
  const perGroup = shape.commitsPerGroup ?? 3;
  for (let i = 0; i < records.length; i += perGroup) {
    add(records.slice(i, i + perGroup).map(encodeFrame));
    if (shape.marks) add([]);
  }
  return { bytes: Buffer.concat(parts), range: { ...range, end: offset }, lsn, chain };
}

function encodeFrame(record: Uint8Array): Uint8Array {
  const frame = new Uint8Array(8 + record.length);
  writeU32(frame, 0, 1);
  writeU32(frame, 4, record.length);
  frame.set(record, 8);
  return frame;
}

export async function writeFile(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  if (await fs.stat(path)) await fs.unlink(path);
  const handle = await fs.open(path, 'create');
  await handle.write(bytes, 0);
  await handle.close();
}

export async function readFile(fs: FileSystem, path: string): Promise<Uint8Array> {
  const handle = await fs.open(path, 'read');
  const bytes = new Uint8Array(await handle.size());
  await handle.read(bytes, 0);
  await handle.close();
  return bytes;
}

/** Writes commits as segments of the given lengths; LSNs start at 1. */
export async function writeLog(
  fs: FileSystem,
  directory: string,
  segments: readonly (readonly Commit[])[],
): Promise<RunLogRange[]> {
  const ranges: RunLogRange[] = [];
  let from: LogEnd | undefined;
  for (const [i, commits] of segments.entries()) {
    const path = `${directory}/segment-${'x'.repeat(i + 1)}.wal`;
    const shape = { path, ...(from && { from }) };
    const segment = buildSegment(commits.map(encodeCommit), shape);
    await writeFile(fs, path, segment.bytes);
    ranges.push(segment.range);
    from = segment;
  }
  return ranges;
}
