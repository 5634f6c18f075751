import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  decodeRecord,
  encodeRecord,
  parseRecordName,
  parseSnapshotName,
  recordName,
  snapshotName,
  type CheckpointRecord,
} from '../../src/checkpoint/checkpoint-record.ts';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';

const golden = new URL('../golden/record-v1.json', import.meta.url);

const record: CheckpointRecord = {
  id: 7,
  storeId: '000102030405060708090a0b0c0d0e0f',
  timeline: 1,
  epoch: 3,
  parent: 6,
  kind: 'delta',
  lsn: 1234,
  timestamp: 1_700_000_000_000_001,
  fromTimestamp: 1_600_000_000_000_000,
  createdAt: 1_700_000_000_000_777,
  position: {
    lsn: 1234,
    segment: 4,
    timeline: 1,
    offset: 8192,
    chain: { crc: 0xdeadbeef, mix: 1 },
  },
  chain: [
    {
      name: snapshotName('ab'.repeat(32), 5),
      kind: 'base',
      sha256: 'ab'.repeat(32),
      bytes: 4096,
      entryCount: 10,
      dataBytes: 16_000,
      fromLsn: 0,
      lastLsn: 1000,
      lastTimestamp: 1_600_000_000_000_000,
    },
    {
      name: snapshotName('cd'.repeat(32), 7),
      kind: 'delta',
      sha256: 'cd'.repeat(32),
      bytes: 512,
      entryCount: 2,
      dataBytes: 900,
      fromLsn: 1000,
      lastLsn: 1234,
      lastTimestamp: 1_700_000_000_000_001,
    },
  ],
  logBytes: 8000,
  trigger: 'merge',
  totals: { logBytes: 80_000, checkpointBytes: 9000, mergeBytes: 12_000, baseLogBytes: 60_000 },
  rates: { loadBytesPerSecond: 2.5e8, replayBytesPerSecond: 1e8, overheadSeconds: 0.0125 },
  merge: {
    strategy: 'optimal',
    why: 'one delta of 2 snapshots',
    inputs: [snapshotName('ef'.repeat(32), 5), snapshotName('01'.repeat(32), 6)],
    inputBytes: 700,
    outputBytes: 512,
    milliseconds: 1.5,
  },
  policy: {
    strategy: 'optimal',
    maxChainLength: 10,
    restoreSecondsMax: 2.5,
    restoreBytesMax: undefined,
    mergeBytesPerLogByteMax: 10,
    logBytesPerBaseByteMax: 4,
  },
  retention: {
    checkpoints: 5,
    ageMs: 86_400_000,
    windowMs: 3_600_000,
    schedule: { hourly: 24, daily: 7, weekly: 4, monthly: 12 },
  },
  tables: [
    { id: 16, operator: 'op', state: 'list', kind: 'list', ttlType: 'none', itemsMax: 10 },
    {
      id: 17,
      operator: 'op',
      state: 'value',
      kind: 'value',
      ttlType: 'write',
      itemsMax: undefined,
    },
  ],
  blobs: { bytes: 300_000, chunkCount: 3, chunkBytes: 200_000 },
  compression: { codec: 'zstd', level: 9, bytesMin: 512 },
  keyGroups: 128,
  savepoint: 'before-upgrade',
  metadata: { by: 'hand', items: [1, null] },
  origin: { storeId: 'f0'.repeat(16), timeline: 1, lsn: 900, partial: true },
};

interface Body {
  readonly chain: object[];
  readonly tables: object[];
  readonly position: object;
  readonly rates: object;
  readonly merge: object;
  readonly policy: object;
  readonly retention: object;
  readonly origin: object;
}

/** The record's bytes with one field changed, and a CRC that fits. */
function withBody(change: (body: Record<string, unknown>) => void): Uint8Array {
  const body = decodeSealedJson(encodeRecord(record)) as Record<string, unknown>;
  change(body);
  return encodeSealedJson(body);
}

describe('a checkpoint record', () => {
  test('encoded and decoded: the same record', () => {
    expect(decodeRecord(encodeRecord(record), 'r')).toEqual(record);
  });

  test('of the first version: decodes, and is encoded to the same bytes', () => {
    if (process.env['TIDEMARK_WRITE_GOLDEN'] === '1') writeFileSync(golden, encodeRecord(record));
    const bytes = new Uint8Array(readFileSync(golden));
    expect(decodeRecord(bytes, 'r')).toEqual(record);
    expect(Buffer.compare(encodeRecord(record), bytes)).toBe(0);
  });

  test('with any byte flipped: CORRUPT_RECORD', () => {
    const sound = encodeRecord(record);
    for (let at = 0; at < sound.length; at++) {
      const bytes = sound.slice();
      bytes[at]! ^= 1;
      expect(() => decodeRecord(bytes, 'r')).toThrow(
        expect.objectContaining({ code: 'CORRUPT_RECORD' }),
      );
    }
  });

  test('cut at any byte: CORRUPT_RECORD', () => {
    const sound = encodeRecord(record);
    for (let end = 0; end < sound.length; end++) {
      expect(() => decodeRecord(sound.subarray(0, end), 'r')).toThrow(
        expect.objectContaining({ code: 'CORRUPT_RECORD' }),
      );
    }
  });

  test('of a newer version: UNSUPPORTED_FORMAT, naming both', () => {
    const bytes = withBody((body) => {
      body['format'] = 2;
    });
    expect(() => decodeRecord(bytes, 'r')).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_FORMAT',
        details: expect.objectContaining({ version: 2, supported: 1 }) as unknown,
      }),
    );
  });

  const missing = [
    'id',
    'storeId',
    'kind',
    'lsn',
    'position',
    'chain',
    'tables',
    'blobs',
    'compression',
    'format',
    'trigger',
    'totals',
    'policy',
  ];
  test.each(missing)('without %s: CORRUPT_RECORD', (name) => {
    const bytes = withBody((body) => {
      delete body[name];
    });
    expect(() => decodeRecord(bytes, 'r')).toThrow(
      expect.objectContaining({ code: 'CORRUPT_RECORD' }),
    );
  });

  test('with a link of no kind, a table of no kind, a chain value that is none: CORRUPT_RECORD', () => {
    const changes: ((body: Body) => void)[] = [
      (body) => Object.assign(body.chain[0]!, { kind: 'other' }),
      (body) => Object.assign(body.tables[0]!, { kind: 'other' }),
      (body) => Object.assign(body.position, { chain: 'xyz' }),
      (body) => Object.assign(body.position, { offset: -1 }),
      (body) => Object.assign(body.rates, { loadBytesPerSecond: null }),
      (body) => Object.assign(body.merge, { strategy: 'other' }),
      (body) => Object.assign(body.merge, { inputs: [1] }),
      (body) => Object.assign(body.policy, { restoreSecondsMax: -1 }),
      (body) => Object.assign(body.origin, { partial: 1 }),
      (body) => Object.assign(body.origin, { lsn: -1 }),
      (body) => Object.assign(body, { origin: null }),
      (body) => Object.assign(body, { retention: 5 }),
      (body) => Object.assign(body.retention, { checkpoints: 0 }),
      (body) => Object.assign(body.retention, { windowMs: -1 }),
      (body) => Object.assign(body.retention, { schedule: null }),
      (body) => Object.assign(body.retention, { schedule: { hourly: 1.5 } }),
    ];
    for (const change of changes) {
      const bytes = withBody((body) => change(body as unknown as Body));
      expect(() => decodeRecord(bytes, 'r')).toThrow(
        expect.objectContaining({ code: 'CORRUPT_RECORD' }),
      );
    }
  });

  test('names: an id and a digest come back, other names are none', () => {
    expect(parseRecordName(recordName(7))).toEqual({ id: 7, dropped: false });
    expect(parseSnapshotName(snapshotName('ab'.repeat(32), 7))?.id).toBe(7);
    expect(parseRecordName('checkpoints/7.json')).toBeUndefined();
    expect(parseSnapshotName('snapshots/ab-0000000007')).toBeUndefined();
  });
});
