/*
 * Reads a workload recording (workload-format.ts): block by block up to the first that is not whole,
 * which is where the writing was cut off. A block that is whole and does not decode is corruption.
 */
import { toHex } from '../../std/bytes.ts';
import { WorkloadDecoder } from './workload-codec.ts';
import {
  badRecording,
  decodeWorkloadBlock,
  decodeWorkloadHeader,
  workloadBlockHeaderBytes,
  workloadBlockKinds,
  workloadHeaderBytes,
  type WorkloadBlockHeader,
} from './workload-format.ts';
import { NumberReader } from './workload-numbers.ts';
import type { WorkloadCommit, WorkloadStart, WorkloadTable } from './workload.ts';

/** What a recording holds, in its order. */
export type RecordingPart =
  | { readonly kind: 'start'; readonly start: WorkloadStart }
  | { readonly kind: 'commit'; readonly commit: WorkloadCommit }
  /** Bytes written to the log since the last start, as known behind the commits before. */
  | { readonly kind: 'log'; readonly logBytes: number };

/** What the writer of a recording has to know to go on with it. */
export interface KnownRecording {
  /** Hexadecimal. */
  readonly storeId: string;
  readonly exponents: ReadonlyMap<number, number>;
  /** Behind the last whole block. */
  readonly end: number;
}

/** Everything of a recording; the generator returns where the last whole block ends. */
export function* readRecording(
  bytes: Uint8Array,
  path: string,
): Generator<RecordingPart, number, void> {
  const storeId = toHex(decodeWorkloadHeader(bytes, path));
  const decoder = new WorkloadDecoder();
  let at = workloadHeaderBytes;
  for (;;) {
    const header = decodeWorkloadBlock(bytes, at);
    if (typeof header === 'string') return at;
    const start = at + workloadBlockHeaderBytes;
    const end = start + header.bodyBytes;
    const fail = (offset: number): Error => badRecording(path, offset, 'has a bad block');
    if (header.kind === workloadBlockKinds.start) {
      decoder.restart();
      const body = decodeStart(bytes.subarray(start, end));
      if (!body) throw fail(start);
      yield { kind: 'start', start: { ...body, storeId, lsn: header.firstLsn - 1 } };
    } else {
      yield* decodeCommits(decoder, new NumberReader(bytes, { start, end }, fail), header, fail);
      yield { kind: 'log', logBytes: header.logBytes };
    }
    at = end;
  }
}

/** Reads a recording only for what its writer has to know. */
export function scanRecording(bytes: Uint8Array, path: string): KnownRecording {
  const storeId = toHex(decodeWorkloadHeader(bytes, path));
  const exponents = new Map<number, number>();
  const parts = readRecording(bytes, path);
  for (;;) {
    const { value, done } = parts.next();
    if (done) return { storeId, exponents, end: value };
    if (value.kind !== 'commit') continue;
    for (const { table, exponent } of value.commit.tables) exponents.set(table, exponent);
  }
}

function* decodeCommits(
  decoder: WorkloadDecoder,
  reader: NumberReader,
  header: WorkloadBlockHeader,
  fail: (at: number) => Error,
): Generator<RecordingPart> {
  let count = 0;
  for (const commit of decoder.commits(reader, header, fail)) {
    count++;
    yield { kind: 'commit', commit };
  }
  if (count !== header.commits) throw fail(reader.at);
}

function decodeStart(
  body: Uint8Array,
): { readonly keyGroups: number; readonly tables: readonly WorkloadTable[] } | undefined {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    // The caller says where; that it is no JSON is all there is to say.
    return undefined;
  }
  const { keyGroups, tables } = (json ?? {}) as Record<string, unknown>;
  if (!isCount(keyGroups) || !Array.isArray(tables)) return undefined;
  const decoded: WorkloadTable[] = [];
  for (const item of tables as unknown[]) {
    const { table, itemsMax, entries, dataBytes } = (item ?? {}) as Record<string, unknown>;
    if (!isCount(table) || !isCount(entries) || !isCount(dataBytes)) return undefined;
    if (itemsMax !== undefined && !isCount(itemsMax)) return undefined;
    decoded.push({ table, itemsMax, entries, dataBytes });
  }
  return { keyGroups, tables: decoded };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
