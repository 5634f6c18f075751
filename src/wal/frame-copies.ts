/*
 * The frames that an opening could not prove, read out of the segment where they were found and
 * written into the opening's own (O3). Groups keep their bodies and chain values; their headers are
 * encoded anew, for another salt, another place and another durable LSN. A timeline that leaves
 * another one inside a group takes the frames of that group along that it shares, as a group (T1).
 */
import { checksum } from '../codec/checksum.ts';
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { chainCrc, mixFrame, type ChainValue } from './chain-value.ts';
import type { GroupBody } from './group-body.ts';
import {
  encodeGroupHeader,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
  visitFrames,
  type GroupHeader,
} from './group-format.ts';
import type { SegmentFile } from './log-directory.ts';
import type { SegmentHeader } from './segment-format.ts';
import { GroupScanner, readFileRange, type Border } from './segment-scan.ts';

export interface CopiedGroup {
  readonly header: GroupHeader;
  readonly body: Uint8Array;
}

/** Up to where frames are copied. */
export interface CopyEnd {
  /** Behind the last group. */
  readonly end: number;
  /** Frames of that group above it are left out. @defaultValue none */
  readonly throughLsn?: number;
}

/** Groups with frames of a segment, from a border up to an offset; all of them were scanned before. */
export async function readCopies(
  fs: FileSystem,
  source: SegmentFile,
  from: Border,
  { end, throughLsn = Number.MAX_SAFE_INTEGER }: CopyEnd,
): Promise<CopiedGroup[]> {
  const { header, path } = source;
  const bytes = await readFileRange(fs, path, from.offset, end);
  const scanner = new GroupScanner(bytes, from.offset, header.salt, from);
  const groups: CopiedGroup[] = [];
  while (scanner.border.offset < end) {
    const { offset, lsn, chain } = scanner.border;
    const group = scanner.next();
    if (!group) {
      throw new CorruptionError('CORRUPT_FRAME', `group changed while it was copied: ${path}`, {
        path,
        offset,
        lsn: lsn + 1,
      });
    }
    if (group.kind !== groupKinds.frames) continue;
    if (scanner.border.lsn > throughLsn) {
      groups.push(firstFrames(scanner.body, { header: group, before: chain, throughLsn }));
      continue;
    }
    const bodyStart = scanner.bodyStart(offset);
    groups.push({ header: group, body: bytes.subarray(bodyStart, bodyStart + group.bodyBytes) });
  }
  return groups;
}

/** The frames of a group up to an LSN, as a group of its own that is not compressed. */
export function firstFrames(
  { bytes, start, end }: GroupBody,
  cut: { readonly header: GroupHeader; readonly before: ChainValue; readonly throughLsn: number },
): CopiedGroup {
  const { header, before, throughLsn } = cut;
  let { mix } = before;
  let frameCount = 0;
  let recordCount = 0;
  let frameEnd = start;
  visitFrames(bytes, start, end, header.firstLsn, (firstLsn, count, from, to) => {
    if (firstLsn + count - 1 > throughLsn) return;
    frameCount++;
    recordCount += count;
    frameEnd = to;
    mix = mixFrame(mix, firstLsn, to - from);
  });
  const body = bytes.slice(start, frameEnd);
  const { length } = body;
  const chain = { crc: chainCrc(before.crc, body, 0, length), mix };
  const sizes = { bodyBytes: length, frameBytes: length, frameCount, recordCount };
  return { header: { ...header, ...sizes, codec: 0, chain, bodyCrc: checksum(body) }, body };
}

/** Bytes that the copies take in a segment. */
export function copiedBytes(copies: readonly CopiedGroup[]): number {
  return copies.reduce((sum, copy) => sum + groupBytes(copy.body.length), 0);
}

/** Puts the copies into the content of a segment from a border on; the border behind them. */
export function writeCopies(
  content: Uint8Array,
  header: SegmentHeader,
  copies: readonly CopiedGroup[],
  start: Border,
): Border {
  let border = start;
  for (const copy of copies) {
    const group = { ...copy.header, durableLsn: start.lsn };
    encodeGroupHeader(content, border.offset, group, header.salt, border.offset);
    content.set(copy.body, border.offset + groupHeaderBytes);
    border = {
      offset: border.offset + groupBytes(copy.body.length),
      lsn: border.lsn + group.recordCount,
      chain: group.chain,
    };
  }
  return border;
}
