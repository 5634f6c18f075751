/*
 * Reads one segment from some group border to its end and says what stands there: where the last
 * valid group ends, what is proved, and what the damage is, if there is any. Decides nothing; the
 * decisions are in log-opening.ts. Rules: L4, L5, L6, L7.
 */
import { toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import type { ChainValue } from './chain-value.ts';
import { readGroupBody, type GroupBody } from './group-body.ts';
import {
  decodeGroupHeader,
  groupAlignment,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
  type GroupHeader,
} from './group-format.ts';
import { decodeSegmentHeader, segmentHeaderBytes, type SegmentHeader } from './segment-format.ts';

/** A place between two groups of one segment. */
export interface Border {
  readonly offset: number;
  /** Last LSN before the border. */
  readonly lsn: number;
  readonly chain: ChainValue;
}

/** What is wrong behind the last valid group. */
export interface SegmentDamage {
  readonly offset: number;
  readonly why: string;
}

/** What one segment holds from the given border on. */
export interface SegmentScan {
  /** Behind the last valid group. */
  readonly end: Border;
  /** Borders behind valid groups, from the last one at or below the proved LSN on. */
  readonly borders: readonly Border[];
  /** Greatest LSN that a valid group or mark, also one behind damage, says was durable. */
  readonly proved: number;
  /** A seal mark stands at the end: a successor must exist. */
  readonly sealed: boolean;
  readonly damage: SegmentDamage | undefined;
  /** Groups with frames, and their records. */
  readonly groupCount: number;
  readonly recordCount: number;
}

/** Reads a file from an offset to a limit, or to its end. */
export function readFileRange(
  fs: FileSystem,
  path: string,
  start: number,
  limit: number = Number.POSITIVE_INFINITY,
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Promise<Uint8Array> {
  return reading(fs, path, async (handle) => {
    const end = Math.min(limit, await handle.size());
    return readRange(handle, allocate(Math.max(0, end - start)), start);
  });
}

/**
 * Reads and validates a segment's header, and looks at its size. Both through one open file: a
 * collection that takes the name meanwhile makes it neither shorter nor missing.
 */
export async function readSegmentHead(
  fs: FileSystem,
  path: string,
): Promise<{ readonly header: SegmentHeader; readonly fileBytes: number }> {
  const { bytes, fileBytes } = await reading(fs, path, async (handle) => ({
    bytes: await readRange(handle, new Uint8Array(segmentHeaderBytes), 0),
    fileBytes: await handle.size(),
  }));
  return { header: decodeSegmentHeader(bytes, path), fileBytes };
}

async function readRange(
  handle: FileHandle,
  target: Uint8Array,
  start: number,
): Promise<Uint8Array> {
  const read = await handle.read(target, start);
  return read === target.length ? target : target.subarray(0, read);
}

async function reading<T>(
  fs: FileSystem,
  path: string,
  read: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  try {
    const handle = await fs.open(path, 'read');
    try {
      return await read(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw toStorageError(error, 'read', path);
  }
}

/** A cursor over the groups in the bytes of a segment; `bytes[0]` stands at offset `base`. */
export class GroupScanner {
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #salt: Uint8Array;
  border: Border;
  fault: string | undefined;
  /** Frames of the group that `next` gave last. */
  body: GroupBody = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(bytes: Uint8Array, base: number, salt: Uint8Array, from: Border) {
    this.#bytes = bytes;
    this.#base = base;
    this.#salt = salt;
    this.border = from;
  }

  /**
   * The next valid group, or undefined at the first place that is none; `fault` says why.
   * @throws IncompatibleError UNSUPPORTED_FORMAT, CODEC_UNAVAILABLE
   */
  next(): GroupHeader | undefined {
    const { offset, lsn, chain } = this.border;
    const at = offset - this.#base;
    const header = decodeGroupHeader(this.#bytes, at, this.#salt, offset);
    if (typeof header === 'string') return this.#stop(header);
    if (header.firstLsn !== lsn + 1) {
      return this.#stop(`continues at LSN ${header.firstLsn} where ${lsn + 1} is due`);
    }
    const bodyStart = at + groupHeaderBytes;
    const body = readGroupBody(this.#bytes, bodyStart, header, chain);
    if (typeof body === 'string') return this.#stop(body);
    this.body = body;
    this.border = {
      offset: offset + groupBytes(header.bodyBytes),
      lsn: lsn + header.recordCount,
      chain: header.chain,
    };
    return header;
  }

  /** Where in the given bytes the stored body of the group that starts at an offset stands. */
  bodyStart(groupOffset: number): number {
    return groupOffset - this.#base + groupHeaderBytes;
  }

  #stop(why: string): undefined {
    this.fault = why;
    return undefined;
  }
}

/** Scans the bytes of a segment, which start at offset `base`, from a border in them. */
export function scanSegment(
  bytes: Uint8Array,
  base: number,
  salt: Uint8Array,
  from: Border,
  provedBefore: number,
): SegmentScan {
  const scanner = new GroupScanner(bytes, base, salt, from);
  let borders: Border[] = [from];
  let proved = provedBefore;
  let sealed = false;
  let groupCount = 0;
  let recordCount = 0;
  for (let group = scanner.next(); group !== undefined; group = scanner.next()) {
    if (group.durableLsn > proved) {
      proved = group.durableLsn;
      borders = borders.slice(lastProvedIndex(borders, proved));
    }
    if (group.kind === groupKinds.frames) {
      groupCount++;
      recordCount += group.recordCount;
      borders.push(scanner.border);
    } else {
      // A mark holds no frames: the border moves behind it and keeps its LSN.
      borders[borders.length - 1] = scanner.border;
    }
    if (group.kind === groupKinds.seal) {
      sealed = true;
      break;
    }
  }
  const end = scanner.border;
  const endAt = end.offset - base;
  const dirtyAt = sealed ? -1 : firstNonZero(bytes, endAt);
  if (dirtyAt < 0) {
    const damage = undefined;
    return { end, borders, proved, sealed, damage, groupCount, recordCount };
  }
  const damage = { offset: end.offset, why: `group ${scanner.fault ?? 'is not one'}` };
  proved = Math.max(proved, provedBehind(bytes, base, salt, endAt));
  return { end, borders, proved, sealed, damage, groupCount, recordCount };
}

/** The last border whose LSN is at or below the proved one. */
function lastProvedIndex(borders: readonly Border[], proved: number): number {
  let index = 0;
  for (let i = 0; i < borders.length && borders[i]!.lsn <= proved; i++) index = i;
  return index;
}

const zeros = new Uint8Array(64 * 1024);

/** Compared block by block: a segment that was just filled is nothing but zeros. */
function firstNonZero(bytes: Uint8Array, from: number): number {
  let at = Math.max(0, from);
  while (at < bytes.length) {
    const block = bytes.subarray(at, at + zeros.length);
    if (Buffer.compare(block, zeros.subarray(0, block.length)) !== 0) break;
    at += block.length;
  }
  for (; at < bytes.length; at++) if (bytes[at] !== 0) return at;
  return -1;
}

/** Greatest durable LSN that any header behind damage names (L7). */
function provedBehind(bytes: Uint8Array, base: number, salt: Uint8Array, from: number): number {
  let proved = 0;
  for (let at = from; at + groupHeaderBytes <= bytes.length; at += groupAlignment) {
    const header = decodeGroupHeader(bytes, at, salt, base + at);
    if (typeof header !== 'string') proved = Math.max(proved, header.durableLsn);
  }
  return proved;
}
