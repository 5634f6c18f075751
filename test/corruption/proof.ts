/*
 * What the bytes of a damaged store still prove, worked out without the engine's recovery: every group
 * header, segment header and checkpoint record that verifies, of the current ancestry. By the protocol
 * the greatest LSN that one of them names as durable is the least that an opening may reach.
 */
import { parseRecordName } from '../../src/checkpoint/checkpoint-record.ts';
import { checksum } from '../../src/codec/checksum.ts';
import { decodeSealedJson } from '../../src/codec/sealed-json.ts';
import { readU32 } from '../../src/std/bytes.ts';
import {
  decodeGroupHeader,
  groupAlignment,
  groupBytes,
  groupHeaderBytes,
} from '../../src/wal/group-format.ts';
import {
  decodeSegmentHeader,
  parseSegmentName,
  segmentHeaderBytes,
  type SegmentHeader,
} from '../../src/wal/segment-format.ts';
import { dir, type Files } from './disk.ts';

/** Timelines of the current ancestry, and up to which LSN each counts. */
export type Limits = ReadonlyMap<number, number>;

/** The greatest LSN that is proved. */
export function survivingProof(files: Files, limits: Limits): number {
  let proved = 0;
  const prove = (lsn: number, timeline: number): void => {
    const limit = limits.get(timeline);
    if (limit !== undefined) proved = Math.max(proved, Math.min(lsn, limit));
  };
  for (const [path, bytes] of files) {
    const header = headerOf(path, bytes);
    if (header) for (const lsn of provedIn(bytes, header)) prove(lsn, header.timeline);
    const record = recordOf(path, bytes);
    // A record behind the fork is of the future that was left.
    if (record && record.lsn <= (limits.get(record.timeline) ?? -1)) {
      prove(record.lsn, record.timeline);
    }
  }
  return proved;
}

/** The header of a segment that stands under its own name. */
export function headerOf(path: string, bytes: Uint8Array): SegmentHeader | undefined {
  const name = path.startsWith(`${dir}/wal/`) ? path.slice(`${dir}/wal/`.length) : '';
  const named = parseSegmentName(name);
  if (!named) return undefined;
  try {
    const header = decodeSegmentHeader(bytes.subarray(0, segmentHeaderBytes), path);
    const isOwn = header.number === named.number && header.timeline === named.timeline;
    return isOwn ? header : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether nothing but zeros stands behind the last valid group of the newest segment: the log looks as
 * one that ends there.
 */
export function endsInZeros(files: Files): boolean {
  const found = [...files].flatMap(([path, bytes]) => {
    const header = headerOf(path, bytes);
    return header ? [{ header, bytes }] : [];
  });
  const newest = found.toSorted((a, b) => b.header.number - a.header.number)[0];
  if (!newest) return true;
  const { header, bytes } = newest;
  let at = segmentHeaderBytes;
  for (;;) {
    const group = decodeGroupHeader(bytes, at, header.salt, at);
    if (typeof group === 'string') break;
    const start = at + groupHeaderBytes;
    if (checksum(bytes, start, start + group.bodyBytes) !== group.bodyCrc) break;
    at += groupBytes(group.bodyBytes);
  }
  return bytes.subarray(at).every((byte) => byte === 0);
}

function provedIn(bytes: Uint8Array, { salt, predecessor }: SegmentHeader): number[] {
  const lsns = [predecessor?.lastLsn ?? 0];
  for (let at = segmentHeaderBytes; at + groupHeaderBytes <= bytes.length; at += groupAlignment) {
    const group = decodeGroupHeader(bytes, at, salt, at);
    if (typeof group !== 'string' && isSealed(bytes, at, salt)) lsns.push(group.durableLsn);
  }
  return lsns;
}

/** The checksum of a group header, worked out here once more: the decoder is what is tested. */
function isSealed(bytes: Uint8Array, at: number, salt: Uint8Array): boolean {
  const place = Buffer.alloc(16);
  place.set(salt);
  place.writeBigUInt64LE(BigInt(at), 8);
  const end = at + groupHeaderBytes - 4;
  return checksum(bytes, at, end, checksum(place, 0, 16)) === readU32(bytes, end);
}

function recordOf(path: string, bytes: Uint8Array): { lsn: number; timeline: number } | undefined {
  const name = path.slice(dir.length + 1);
  const id = name.endsWith('.json') ? parseRecordName(name)?.id : undefined;
  const body = id === undefined ? undefined : decodeSealedJson(bytes);
  if (typeof body !== 'object' || body['id'] !== id) return undefined;
  return { lsn: Number(body['lsn']), timeline: Number(body['timeline']) };
}
