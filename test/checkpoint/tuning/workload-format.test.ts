/*
 * A recording as bytes: what is written comes back, what was cut off counts up to its last whole
 * block, and everything that cannot be is refused.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checksum } from '../../../src/codec/checksum.ts';
import { WorkloadEncoder } from '../../../src/checkpoint/tuning/workload-codec.ts';
import {
  encodeWorkloadBlock,
  encodeWorkloadHeader,
  workloadBlockKinds,
} from '../../../src/checkpoint/tuning/workload-format.ts';
import { readRecording, scanRecording } from '../../../src/checkpoint/tuning/workload-reader.ts';
import type { WorkloadCommit } from '../../../src/checkpoint/tuning/workload.ts';
import { TidemarkError } from '../../../src/errors.ts';
import { writeU32 } from '../../../src/std/bytes.ts';

const golden = new URL('../../golden/workload-v1.bin', import.meta.url);

const row = { op: 1, operator: 0, entries: 1, valueBytes: 300, expiry: 0, references: 0 };
const commits: readonly WorkloadCommit[] = [
  {
    lsn: 8,
    timestamp: 1_000_500,
    entryCount: 900,
    recordBytes: 70_000,
    tables: [{ table: 16, exponent: 0, itemsMax: 10 }],
    clears: [],
    followed: [
      { table: 16, keyHash: 0xdead_beef, subHash: 0, keyBytes: 9, before: undefined },
      { table: 17, keyHash: 5, subHash: 6, keyBytes: 20, before: { entries: 2, valueBytes: 55 } },
    ],
    rows: [
      { ...row, id: 0, entries: 3, expiry: 999_000 },
      { ...row, id: 1, op: 3, operator: 2, references: -4 },
    ],
  },
  {
    lsn: 9,
    timestamp: 1_000_777,
    entryCount: 2,
    recordBytes: 100,
    tables: [{ table: 16, exponent: 3, itemsMax: undefined }],
    clears: [
      { table: 17, keyHash: 5 },
      { table: 16, keyHash: undefined },
    ],
    followed: [],
    rows: [{ ...row, id: 1, op: 3, operator: 2, references: -4 }],
  },
];

const startBody = (body: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(body));
const tables = [{ table: 16, itemsMax: 10, entries: 7, dataBytes: 700 }];

function bodyOf(list: readonly WorkloadCommit[]): Uint8Array {
  const encoder = new WorkloadEncoder();
  encoder.begin(1_000_000);
  for (const commit of list) encoder.add(commit);
  return encoder.take();
}

const block = (kind: number, body: Uint8Array, count = 0): Uint8Array =>
  encodeWorkloadBlock(
    { kind, firstLsn: 8, timestamp: 1_000_000, logBytes: 4096, commits: count },
    body,
  );
const start = block(workloadBlockKinds.start, startBody({ keyGroups: 128, tables }));
const header = encodeWorkloadHeader(new Uint8Array(16).fill(7));
const whole = Buffer.concat([header, start, block(workloadBlockKinds.commits, bodyOf(commits), 2)]);

const partsOf = (bytes: Uint8Array): unknown[] => [...readRecording(bytes, 'recording')];

function codeOf(bytes: Uint8Array): string {
  try {
    partsOf(bytes);
  } catch (error) {
    if (error instanceof TidemarkError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'nothing was refused';
}

describe('a recording', () => {
  test('written: comes back as it was', () => {
    const storeId = '07'.repeat(16);
    expect(partsOf(whole)).toEqual([
      { kind: 'start', start: { storeId, keyGroups: 128, lsn: 7, tables } },
      ...commits.map((commit) => ({ kind: 'commit', commit })),
      { kind: 'log', logBytes: 4096 },
    ]);
  });

  test('golden: the bytes of version 1 stay what they are', () => {
    if (process.env['TIDEMARK_WRITE_GOLDEN'] === '1') writeFileSync(golden, whole);
    expect(Buffer.compare(readFileSync(golden), whole)).toBe(0);
  });

  test('cut anywhere behind the header: counts up to its last whole block', () => {
    const ends = new Set<number>();
    for (let length = header.length; length < whole.length; length++) {
      ends.add(scanRecording(whole.subarray(0, length), 'recording').end);
    }
    expect([...ends]).toEqual([header.length, header.length + start.length]);
    const known = scanRecording(whole, 'recording');
    expect(known.end).toBe(whole.length);
    expect([...known.exponents]).toEqual([[16, 3]]);
  });

  test('a byte changed behind the header: the block and all behind it do not count', () => {
    for (let at = header.length; at < whole.length; at++) {
      const damaged = Uint8Array.from(whole);
      damaged[at]! ^= 0x40;
      const inStart = at < header.length + start.length;
      expect(scanRecording(damaged, 'recording').end, `byte ${at}`).toBe(
        inStart ? header.length : header.length + start.length,
      );
    }
  });
});

/** The header with bytes changed, and its checksum right again. */
function headerWith(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = header.slice();
  change(bytes);
  writeU32(bytes, 28, checksum(bytes, 0, 28));
  return bytes;
}

describe('refused', () => {
  test.each<[string, Uint8Array, string]>([
    ['a header that is cut', header.subarray(0, 31), 'header is cut short'],
    ['no magic', headerWith((bytes) => void (bytes[0] = 0)), 'header has no magic'],
    ['a bad checksum', Uint8Array.from(header, (b, i) => (i === 9 ? 1 : b)), 'fails its checksum'],
    ['a newer version', headerWith((bytes) => void (bytes[4] = 2)), 'UNSUPPORTED_FORMAT'],
    ['reserved bits', headerWith((bytes) => void (bytes[24] = 1)), 'reserved bits set'],
  ])('%s', (_, bytes, message) => {
    expect(codeOf(bytes)).toContain(message);
  });

  const { start: startKind, commits: commitsKind } = workloadBlockKinds;
  test.each<[string, Uint8Array]>([
    ['a start that is no JSON', block(startKind, new TextEncoder().encode('{'))],
    ['a start without key groups', block(startKind, startBody({ tables }))],
    ['a start with a bad table', block(startKind, startBody({ keyGroups: 1, tables: [{}] }))],
    [
      'a start with a bad itemsMax',
      block(startKind, startBody({ keyGroups: 1, tables: [{ ...tables[0], itemsMax: -1 }] })),
    ],
    ['a count that is another', block(commitsKind, bodyOf(commits), 3)],
    ['a body that ends in a commit', block(commitsKind, bodyOf(commits).subarray(0, 20), 2)],
    ['a number past 2^53', block(commitsKind, new Uint8Array(9).fill(255), 1)],
    ['a row of nobody', block(commitsKind, Uint8Array.of(1, 1, 1, 0, 0, 0, 1, 0, 1, 1), 1)],
    [
      'a row as the last, without a last',
      block(
        commitsKind,
        Uint8Array.of(1, 1, 1, 0, 0, 1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1),
        1,
      ),
    ],
    [
      'a row with op 0',
      block(
        commitsKind,
        Uint8Array.of(1, 1, 1, 0, 0, 1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 1),
        1,
      ),
    ],
    ['an exponent of 32', block(commitsKind, Uint8Array.of(1, 1, 1, 1, 16, 32, 0), 1)],
    ['a clear of a third kind', block(commitsKind, Uint8Array.of(1, 1, 1, 0, 1, 16, 2), 1)],
  ])('%s', (_, bad) => {
    expect(codeOf(Buffer.concat([header, bad]))).toMatch(/^CORRUPT_RECORDING: .*bad block/);
  });
});
