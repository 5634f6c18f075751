/*
 * The log: headers of segments and groups, bodies of every codec, commits, and a whole range of a
 * segment as checkpoints read it. Checksums are mended behind the mutation.
 */
import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import { builtInCodecs, loadCodec } from '../../src/codec/compression.ts';
import { createValueCodec } from '../../src/codec/value.ts';
import { ValueDecoder } from '../../src/codec/value-decoder.ts';
import { CorruptionError } from '../../src/errors.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { commitFault } from '../../src/recovery/verify-commit.ts';
import { decodeCommit } from '../../src/recovery/reader-commits.ts';
import {
  decodeCommitEntry,
  decodeCommitHeader,
  emptyCommitEntry,
} from '../../src/snapshot/commit-format.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { readLogRun } from '../../src/snapshot/log-run.ts';
import { Turns } from '../../src/snapshot/task-context.ts';
import { readU32, writeU32, writeU64 } from '../../src/std/bytes.ts';
import type { TableDefinition } from '../../src/state/table-definition.ts';
import { chainStart } from '../../src/wal/chain-value.ts';
import {
  decodeGroupHeader,
  encodeGroupHeader,
  compressedFrameBytesMost,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
  visitFrames,
  visitRecords,
  type GroupHeader,
} from '../../src/wal/group-format.ts';
import { readLooseBody } from '../../src/wal/group-body.ts';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  segmentHeaderBytes,
  type SegmentHeader,
} from '../../src/wal/segment-format.ts';
import { scanSegment } from '../../src/wal/segment-scan.ts';
import {
  buildSegment,
  encodeCommit,
  int64,
  put,
  writeFile,
  type Change,
} from '../snapshot/log-builder.ts';
import { fuzz, outcomeOf, outcomeOfTask, withinMemory } from './fuzz.ts';

const salt = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const offset = 4096;

function headerSeed(of: Uint8Array, at: number): number {
  const input = new Uint8Array(16);
  input.set(of, 0);
  writeU64(input, 8, at);
  return checksum(input);
}

describe('segment headers', () => {
  const header: SegmentHeader = {
    storeId: new Uint8Array(16).fill(7),
    timeline: 2,
    epoch: 3,
    number: 9,
    firstLsn: 101,
    size: 65_536,
    salt,
    predecessor: { number: 8, timeline: 1, lastLsn: 100, end: 4096 },
    chain: { crc: 5, mix: 6 },
    createdAt: 1_700_000_000_000_000,
  };
  const samples = [
    header,
    { ...header, size: 0 },
    { ...header, predecessor: undefined, firstLsn: 1 },
  ].map(encodeSegmentHeader);

  test('mutated, checksum mended: encoded again to the same bytes, or damage', async () => {
    await fuzz({
      samples,
      runs: 1500,
      seal: (bytes) => {
        if (bytes.length >= segmentHeaderBytes) writeU32(bytes, 124, checksum(bytes, 0, 124));
        return bytes;
      },
      decode: (bytes) => {
        const outcome = outcomeOf(() => decodeSegmentHeader(bytes, '/s'));
        if (!outcome) return false;
        const again = encodeSegmentHeader(outcome.value);
        expect(Buffer.compare(again, bytes.subarray(0, segmentHeaderBytes))).toBe(0);
        return true;
      },
    });
  });
});

describe('group headers', () => {
  const frames: GroupHeader = {
    kind: groupKinds.frames,
    codec: 0,
    bodyBytes: 20,
    frameBytes: 20,
    frameCount: 1,
    recordCount: 1,
    firstLsn: 12,
    durableLsn: 9,
    chain: { crc: 3, mix: 4 },
    bodyCrc: 77,
  };
  const none = { bodyBytes: 0, frameBytes: 0, frameCount: 0, recordCount: 0, bodyCrc: 0 };
  const samples = [
    frames,
    { ...frames, codec: 1, frameBytes: 4000 },
    { ...frames, ...none, kind: groupKinds.proof },
    { ...frames, ...none, kind: groupKinds.seal },
  ].map((header) => {
    const bytes = new Uint8Array(groupHeaderBytes);
    encodeGroupHeader(bytes, 0, header, salt, offset);
    return bytes;
  });

  test('mutated, checksum mended: encoded again to the same bytes, or none', async () => {
    await fuzz({
      samples,
      runs: 1500,
      seal: (bytes) => {
        const crc = checksum(bytes, 0, Math.min(60, bytes.length), headerSeed(salt, offset));
        if (bytes.length >= groupHeaderBytes) writeU32(bytes, 60, crc);
        return bytes;
      },
      decode: (bytes) => {
        const header = decodeGroupHeader(bytes, 0, salt, offset);
        if (typeof header === 'string') return false;
        const again = new Uint8Array(groupHeaderBytes);
        encodeGroupHeader(again, 0, header, salt, offset);
        expect(Buffer.compare(again, bytes.subarray(0, groupHeaderBytes))).toBe(0);
        return true;
      },
    });
  });
});

describe('bodies', () => {
  const frames = Buffer.concat([frame(['one', 'two']), frame(['x'.repeat(300)]), frame([''])]);

  test('frames, mutated: they fill the body, record by record, or damage', async () => {
    await fuzz({
      samples: [frames, frame(['a'])],
      runs: 1500,
      decode: (bytes) => {
        let end = 0;
        let lsn = 5;
        const outcome = outcomeOf(() =>
          visitFrames(bytes, 0, bytes.length, 5, (first, count, from, to) => {
            expect([first, from]).toEqual([lsn, end]);
            expect(to - from).toBeGreaterThanOrEqual(4 + 4 * count);
            end = to;
            lsn += count;
          }),
        );
        if (!outcome) return false;
        expect(end).toBe(bytes.length);
        let records = 0;
        visitRecords(bytes, 0, bytes.length, 5, (_, start, to) => {
          expect(start <= to && to <= bytes.length).toBe(true);
          records++;
        });
        expect(records).toBe(lsn - 5);
        return true;
      },
    });
  });

  test.each(builtInCodecs.filter((name) => name !== 'none'))(
    '%s, mutated, checksum mended: frames of the size that was named, or a text',
    async (name) => {
      const codec = loadCodec(name);
      await fuzz({
        samples: [Uint8Array.from(codec.compress(frames))],
        runs: 300,
        decode: async (stored) => {
          const bytes = new Uint8Array(groupBytes(stored.length) - groupHeaderBytes);
          bytes.set(stored);
          const header = {
            kind: groupKinds.frames,
            codec: codec.id,
            bodyBytes: stored.length,
            frameBytes: frames.length,
            frameCount: 3,
            recordCount: 4,
            firstLsn: 1,
            durableLsn: 0,
            chain: chainStart,
            bodyCrc: checksum(stored),
          };
          const body = await withinMemory(4096 + stored.length + 3 * frames.length, () =>
            readLooseBody(bytes, 0, header),
          );
          if (typeof body === 'string') return false;
          expect(body.end - body.start).toBe(frames.length);
          return true;
        },
      });
    },
  );

  test('a header that names more than a writer compresses together: none, before it is asked for', async () => {
    const bytes = new Uint8Array(groupHeaderBytes);
    const sizes = { codec: 5, bodyBytes: 16, frameBytes: compressedFrameBytesMost + 1 };
    const counts = { frameCount: 1, recordCount: 1, firstLsn: 1, durableLsn: 0 };
    const header = { kind: groupKinds.frames, ...sizes, ...counts, chain: chainStart, bodyCrc: 0 };
    encodeGroupHeader(bytes, 0, header, salt, offset);
    expect(decodeGroupHeader(bytes, 0, salt, offset)).toBe('has frames out of range');
  });
});

describe('commits', () => {
  const values = createValueCodec();
  const encoded = (value: unknown): Uint8Array => values.encode(value).slice();
  const key = (text: string): string => `@${text}`;
  const changes: Change[] = [
    put(16, key('plain'), '', { value: encoded({ a: 1 }) }),
    put(16, key('times'), '', { value: encoded('v'), expiry: 5000, eventTime: 60 }),
    { table: 16, op: ops.delete, key: key('deleted') },
    { table: 17, op: ops.merge, operator: operatorIds.add, key: key('n'), value: int64(-5) },
    { table: 18, op: ops.clearKey, key: key('map') },
    put(18, key('map'), '', { subKey: key('one'), value: encoded(2n ** 70n) }),
    put(19, key('list'), '', { subKey: new Uint8Array(12), value: encoded('item') }),
    { table: 20, op: ops.merge, operator: operatorIds.max, key: key('m'), value: encoded(4) },
    {
      table: 20,
      op: ops.merge,
      operator: operatorIds.patch,
      key: key('p'),
      value: encoded({ a: 1 }),
    },
    put(21, key('blob'), '', { value: Buffer.concat([int64(32), new Uint8Array(32)]) }),
    put(2, key('source'), '', { value: encoded(17) }),
    { table: 18, op: ops.clearTable, key: '' },
  ];
  const samples = [
    encodeCommit({ timestamp: 1000, changes }),
    encodeCommit({
      timestamp: 2000,
      changes: changes.slice(0, 2),
      metadata: encoded('m') as never,
    }),
    encodeCommit({ timestamp: 3000, changes: [] }),
  ];
  const kinds = ['value', 'counter', 'map', 'list', 'max', 'blob'] as const;
  const tables = new Map<number, TableDefinition>(
    kinds.map((kind, i) => {
      const id = 16 + i;
      return [id, { id, operator: 'o', state: kind, kind, ttlType: 'none', itemsMax: undefined }];
    }),
  );

  test('mutated: every entry encoded again to the same bytes, or damage', async () => {
    await fuzz({
      samples,
      runs: 1200,
      decode: (bytes) => {
        const fault = commitFault(bytes, 0);
        const outcome = outcomeOf(() => reencode(bytes));
        if (typeof fault === 'number') {
          expect(outcome && Buffer.compare(outcome.value, bytes)).toBe(0);
        }
        return typeof fault === 'number';
      },
    });
  });

  test('mutated: shown to people, or damage', async () => {
    const decoding = { tables, decoder: new ValueDecoder(new Map()), provedLsn: 10 };
    await fuzz({
      samples,
      runs: 1200,
      decode: (bytes) => outcomeOf(() => decodeCommit(7, bytes, decoding)) !== undefined,
    });
  });

  test('bytes behind the last entry: damage, also where a commit is shown', () => {
    const decoding = { tables, decoder: new ValueDecoder(new Map()), provedLsn: 10 };
    const bytes = Buffer.concat([samples[0]!, Uint8Array.of(0)]);
    expect(() => decodeCommit(7, bytes, decoding)).toThrow(CorruptionError);
  });

  test('a counter whose number is cut short: damage, not what stands behind it', () => {
    const decoding = { tables, decoder: new ValueDecoder(new Map()), provedLsn: 10 };
    const short = {
      table: 17,
      op: ops.merge,
      operator: operatorIds.add,
      key: key('n'),
      value: 'xy',
    };
    for (const list of [[short], [short, ...changes]]) {
      const bytes = encodeCommit({ timestamp: 1, changes: list });
      expect(() => decodeCommit(7, bytes, decoding)).toThrow(CorruptionError);
    }
  });

  test('a range of the log, mutated, checksums mended: a sorted run, or damage', async () => {
    const fs = new MemoryFileSystem();
    await fs.makeDirectory('/d');
    const built = buildSegment(samples, { path: '/d/s', commitsPerGroup: 2, marks: true });
    const { range } = built;
    const head = built.bytes.subarray(0, segmentHeaderBytes);
    const turns = new Turns({ yieldNow: async () => {}, cancelled: () => false });
    const options = { seed: { low: 1, high: 2 }, groupBits: 2, afterLsn: 0, throughLsn: 100 };
    await fuzz({
      samples: [built.bytes.subarray(segmentHeaderBytes)],
      runs: 600,
      seal: (bytes) => sealGroups(bytes, range.salt),
      decode: async (groups) => {
        const bytes = Buffer.concat([head, groups]);
        const start = { offset: segmentHeaderBytes, lsn: 0, chain: chainStart };
        outcomeOf(() => scanSegment(groups, segmentHeaderBytes, range.salt, start, 0));
        await writeFile(fs, '/d/s', bytes);
        const outcome = await outcomeOfTask(() =>
          withinMemory(400_000 + 40 * bytes.length, () =>
            readLogRun(fs, { ...range, end: bytes.length }, options, turns),
          ),
        );
        return outcome !== undefined;
      },
    });
  });
});

function frame(records: readonly string[]): Uint8Array {
  const parts = records.map((record) => {
    const bytes = new Uint8Array(4 + record.length);
    writeU32(bytes, 0, record.length);
    bytes.set(Buffer.from(record), 4);
    return bytes;
  });
  const head = new Uint8Array(4);
  writeU32(head, 0, records.length);
  return Uint8Array.from(Buffer.concat([head, ...parts]));
}

/** Every field of a commit, written again as it was read. */
function reencode(bytes: Uint8Array): Uint8Array {
  const header = decodeCommitHeader(bytes, 0, bytes.length);
  const metadata = Buffer.from(bytes.subarray(header.metadataStart, header.metadataEnd));
  const list: Change[] = [];
  const entry = emptyCommitEntry();
  let at = header.metadataEnd;
  for (let i = 0; i < header.entryCount; i++) {
    decodeCommitEntry(bytes, at, bytes.length, entry);
    at = entry.end;
    const { table, op, operator, expiry, eventTime, flags, keyStart, keyEnd, subKeyEnd, end } =
      entry;
    const subKey = (flags & 1) === 0 ? undefined : bytes.slice(keyEnd, subKeyEnd);
    const value = bytes.slice(subKeyEnd, end);
    const key = bytes.slice(keyStart, keyEnd) as never;
    list.push({ table, op, operator, key, subKey, value, expiry, eventTime });
  }
  return encodeCommit({ timestamp: header.timestamp, changes: list, metadata: metadata as never });
}

/** Mends body and header checksums of all groups, as far as they can be walked. */
function sealGroups(bytes: Uint8Array, of: Uint8Array): Uint8Array {
  for (let at = 0; at + groupHeaderBytes <= bytes.length;) {
    const bodyBytes = readU32(bytes, at + 8);
    const bodyEnd = Math.min(bytes.length, at + groupHeaderBytes + bodyBytes);
    writeU32(bytes, at + 48, checksum(bytes, at + groupHeaderBytes, bodyEnd));
    const seed = headerSeed(of, segmentHeaderBytes + at);
    writeU32(bytes, at + 60, checksum(bytes, at, at + 60, seed));
    at += groupBytes(bodyBytes);
  }
  return bytes;
}
