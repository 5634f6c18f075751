/*
 * Records of a damaged log that no walk reaches: every group whose own checksums hold, in whatever
 * segment it stands, behind damage too. What is found was written once; that it was part of the log
 * in the end is not proved, so this is for telling people what there is, and for nothing else.
 */
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { must } from '../std/assert.ts';
import { firstAncestry, partOf, type Ancestry } from './ancestry.ts';
import { readLooseBody } from './group-body.ts';
import {
  decodeGroupHeader,
  groupAlignment,
  groupHeaderBytes,
  groupKinds,
  visitRecords,
} from './group-format.ts';
import { listLog } from './log-directory.ts';
import type { LogRecord } from './log-records.ts';
import { readReadable } from './readable-range.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';

/**
 * Sound records above an LSN, segment by segment; one LSN may come more than once. Those of other
 * futures are left out.
 */
export async function* readLooseRecords(
  fs: FileSystem,
  directory: string,
  fromLsn: number,
  ancestry: Ancestry = firstAncestry,
): AsyncGenerator<LogRecord> {
  for (const { name, timeline } of (await listLog(fs, directory, ancestry)).segments) {
    const throughLsn = must(partOf(ancestry, timeline), 'a listing is of its ancestry').throughLsn;
    const path = `${directory}/${name}`;
    const { bytes } = await readReadable(fs, path, 0);
    const salt = saltOf(bytes, path);
    // Without the salt of its header no group of a segment can be told from what stood there before.
    if (!salt) continue;
    for (const record of recordsIn(bytes, salt, fromLsn))
      if (record.lsn <= throughLsn) yield record;
  }
}

function saltOf(bytes: Uint8Array, path: string): Uint8Array | undefined {
  try {
    return decodeSegmentHeader(bytes.subarray(0, segmentHeaderBytes), path).salt;
  } catch (error) {
    if (error instanceof CorruptionError) return undefined;
    throw error;
  }
}

function* recordsIn(bytes: Uint8Array, salt: Uint8Array, fromLsn: number): Generator<LogRecord> {
  for (let at = segmentHeaderBytes; at + groupHeaderBytes <= bytes.length; at += groupAlignment) {
    const header = decodeGroupHeader(bytes, at, salt, at);
    if (typeof header === 'string' || header.kind !== groupKinds.frames) continue;
    if (header.firstLsn + header.recordCount <= fromLsn) continue;
    const body = readLooseBody(bytes, at + groupHeaderBytes, header);
    if (typeof body === 'string') continue;
    const found: LogRecord[] = [];
    visitRecords(body.bytes, body.start, body.end, header.firstLsn, (lsn, start, end) => {
      if (lsn >= fromLsn) found.push({ lsn, bytes: body.bytes.slice(start, end) });
    });
    yield* found;
  }
}
