/*
 * Recordings of workloads: the header, blocks with their checksums mended, the numbers in them.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import {
  decodeWorkloadHeader,
  encodeWorkloadHeader,
  workloadBlockHeaderBytes,
  workloadHeaderBytes,
} from '../../src/checkpoint/tuning/workload-format.ts';
import { NumberReader, NumberWriter } from '../../src/checkpoint/tuning/workload-numbers.ts';
import { readRecording } from '../../src/checkpoint/tuning/workload-reader.ts';
import { WorkloadDecoder, WorkloadEncoder } from '../../src/checkpoint/tuning/workload-codec.ts';
import { CorruptionError } from '../../src/errors.ts';
import { readU32, writeU32 } from '../../src/std/bytes.ts';
import { fuzz, outcomeOf, withinMemory } from './fuzz.ts';

const golden = new Uint8Array(readFileSync(new URL('../golden/workload-v1.bin', import.meta.url)));
const path = '/recording';

describe('recordings', () => {
  test('the header, mutated, checksum mended: encoded again to the same bytes, or damage', async () => {
    await fuzz({
      samples: [encodeWorkloadHeader(new Uint8Array(16).fill(3))],
      runs: 600,
      seal: (bytes) => {
        if (bytes.length >= workloadHeaderBytes) writeU32(bytes, 28, checksum(bytes, 0, 28));
        return bytes;
      },
      decode: (bytes) => {
        const outcome = outcomeOf(() => decodeWorkloadHeader(bytes, path));
        if (!outcome) return false;
        const again = encodeWorkloadHeader(outcome.value);
        expect(Buffer.compare(again, bytes.subarray(0, workloadHeaderBytes))).toBe(0);
        return true;
      },
    });
  });

  test('a whole one, mutated, checksums mended: numbers that can be, or damage', async () => {
    await fuzz({
      samples: [golden],
      runs: 1200,
      seal: sealBlocks,
      decode: async (bytes) => {
        const outcome = await withinMemory(2000 + 4 * bytes.length, () =>
          outcomeOf(() => [...readRecording(bytes, path)]),
        );
        if (!outcome) return false;
        for (const part of outcome.value)
          expect(numbersIn(part).every(Number.isSafeInteger)).toBe(true);
        return true;
      },
    });
  });

  test.each([
    ['a timestamp', Number.MAX_SAFE_INTEGER, 0],
    ['an expiry', 0, Number.MAX_SAFE_INTEGER - 1],
    ['an expiry before all time', 0, -2000],
  ])('%s that is no exact number: damage', (_, later, expiry) => {
    const encoder = new WorkloadEncoder();
    encoder.begin(1000);
    const key = { table: 16, keyHash: 1, subHash: 0, keyBytes: 1, before: undefined };
    const times = { timestamp: 1000 + later, expiry: 1000 + later + expiry };
    const row = { id: 0, op: 1, operator: 0, valueBytes: 1, entries: 1, references: 0 };
    encoder.add({
      lsn: 1,
      timestamp: times.timestamp,
      entryCount: 1,
      recordBytes: 1,
      tables: [],
      clears: [],
      followed: [key],
      rows: [{ ...row, expiry: times.expiry }],
    });
    const body = encoder.take();
    const fail = (at: number): Error => new CorruptionError('CORRUPT_RECORDING', `at ${at}`);
    const reader = new NumberReader(body, { start: 0, end: body.length }, fail);
    const commits = new WorkloadDecoder().commits(reader, { firstLsn: 1, timestamp: 1000 }, fail);
    expect(() => [...commits]).toThrow(CorruptionError);
  });

  test('numbers, mutated: written again to the same bytes, or damage', async () => {
    const writer = new NumberWriter();
    const numbers = [0, 1, 127, 128, 300, 2 ** 32, Number.MAX_SAFE_INTEGER, 5];
    for (const number of numbers) writer.number(number);
    const fail = (at: number): Error => new CorruptionError('CORRUPT_RECORDING', `at ${at}`);
    await fuzz({
      samples: [writer.take()],
      runs: 1000,
      decode: (bytes) => {
        const again = new NumberWriter();
        const outcome = outcomeOf(() => {
          const reader = new NumberReader(bytes, { start: 0, end: bytes.length }, fail);
          while (!reader.done) again.number(reader.number());
        });
        if (outcome) expect(Buffer.compare(again.take(), bytes)).toBe(0);
        return outcome !== undefined;
      },
    });
  });
});

/** Mends the checksums of the header and of all blocks, as far as they can be walked. */
function sealBlocks(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= workloadHeaderBytes) writeU32(bytes, 28, checksum(bytes, 0, 28));
  for (let at = workloadHeaderBytes; at + workloadBlockHeaderBytes <= bytes.length;) {
    const start = at + workloadBlockHeaderBytes;
    const end = start + readU32(bytes, at + 8);
    if (end <= bytes.length) writeU32(bytes, at + 12, checksum(bytes, start, end));
    writeU32(bytes, at + 44, checksum(bytes, at, at + 44));
    at = end;
  }
  return bytes;
}

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(numbersIn);
}
