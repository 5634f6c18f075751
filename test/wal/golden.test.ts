/*
 * The bytes of a segment, version 1, as the log writes them. A change of them is a change of the
 * format: it needs a new version, and this file stays readable.
 */
import { readFile } from 'node:fs/promises';

import { expect, test } from 'vitest';
import {
  open,
  readAll,
  recordsOf,
  bytesOf,
  segmentPaths,
  worldOn,
  walDirectory,
} from './log-fixture.ts';
import { scanSegment } from '../../src/wal/segment-scan.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import { formatChain } from '../../src/wal/chain-value.ts';

const golden = new URL('../golden/segment-v1.bin', import.meta.url);

/** Microseconds. */
const createdAt = 1_700_000_000_123_000;

async function written(): Promise<{ path: string; bytes: Uint8Array }> {
  const world = worldOn();
  world.clock.advance(createdAt / 1000);
  const log = await open(world);
  await log.append(bytesOf('r1'));
  await log.appendBatch([bytesOf('r2'), bytesOf('r3')]);
  await log.close();
  // The next opening seals the segment and cuts it behind the mark.
  await (await open(world)).close();
  const path = (await segmentPaths(world.fs))[0]!;
  return { path, bytes: await world.fs.read(path) };
}

test('a sealed segment of three records: the same bytes as ever', async () => {
  const { bytes } = await written();
  expect(Buffer.from(bytes).equals(await readFile(golden))).toBe(true);
});

test('the golden segment: decoded field by field', async () => {
  const bytes = await readFile(golden);
  const header = decodeSegmentHeader(bytes, 'golden');
  expect(header).toMatchObject({ timeline: 1, epoch: 1, number: 1, firstLsn: 1, size: 4224 });
  expect(header.createdAt).toBe(createdAt);
  expect(header.predecessor).toBeUndefined();
  const start = { offset: segmentHeaderBytes, lsn: 0, chain: header.chain };
  const content = bytes.subarray(segmentHeaderBytes);
  const scan = scanSegment(content, segmentHeaderBytes, header.salt, start, 0);
  expect(scan).toMatchObject({ sealed: true, proved: 3, groupCount: 2, recordCount: 3 });
  expect(scan.damage).toBeUndefined();
  expect(scan.end).toMatchObject({ offset: bytes.length, lsn: 3 });
  expect(formatChain(scan.end.chain)).toBe('414a0c296b4b2e22');
});

test('a log of the golden segment and its successor: read', async () => {
  const world = worldOn();
  const log = await open(world);
  await log.append(bytesOf('r1'));
  await log.appendBatch([bytesOf('r2'), bytesOf('r3')]);
  await log.close();
  await (await open(world)).close();
  await world.fs.put(`${walDirectory}/0000000001-00000001.wal`, await readFile(golden));
  const again = await open(world);
  expect(await readAll(again)).toEqual(recordsOf(1, 3));
  await again.close();
});
