import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  decodeTimeline,
  encodeTimeline,
  parseTimelineName,
  timelineName,
  type TimelineRecord,
} from '../../../src/checkpoint/timelines/timeline-record.ts';
import { decodeSealedJson, encodeSealedJson } from '../../../src/codec/sealed-json.ts';

const golden = new URL('../../golden/timeline-v1.json', import.meta.url);

const record: TimelineRecord = {
  id: 3,
  storeId: '000102030405060708090a0b0c0d0e0f',
  fork: {
    parent: 2,
    lsn: 1234,
    position: {
      lsn: 1230,
      segment: 4,
      timeline: 2,
      offset: 8192,
      chain: { crc: 0xdeadbeef, mix: 1 },
    },
    end: 9000,
  },
  forkTimestamp: 1_700_000_000_000_001,
  createdAt: 1_700_000_000_000_777,
  epoch: 9,
  from: { timeline: 2, lsn: 2000 },
};

interface Body {
  id: number;
  parent: number;
  forkLsn: number;
  log: Record<string, unknown>;
  [name: string]: unknown;
}

function withBody(change: (body: Body) => void): Uint8Array {
  const body = decodeSealedJson(encodeTimeline(record)) as Body;
  change(body);
  return encodeSealedJson(body);
}

describe('a timeline record', () => {
  test('encoded and decoded: the same record', () => {
    expect(decodeTimeline(encodeTimeline(record), 'r')).toEqual(record);
  });

  test('of the first version: decodes, and is encoded to the same bytes', () => {
    if (process.env['TIDEMARK_WRITE_GOLDEN'] === '1') writeFileSync(golden, encodeTimeline(record));
    const bytes = new Uint8Array(readFileSync(golden));
    expect(decodeTimeline(bytes, 'r')).toEqual(record);
    expect(Buffer.compare(encodeTimeline(record), bytes)).toBe(0);
  });

  test('with any byte flipped: CORRUPT_RECORD', () => {
    const sound = encodeTimeline(record);
    for (let at = 0; at < sound.length; at++) {
      const bytes = sound.slice();
      bytes[at]! ^= 1;
      expect(() => decodeTimeline(bytes, 'r')).toThrow(
        expect.objectContaining({ code: 'CORRUPT_RECORD' }),
      );
    }
  });

  test.each([
    ['no format', (body: Body) => void (body['format'] = 'one')],
    ['no id', (body: Body) => void (body['id'] = 1.5)],
    ['a parent that is itself', (body: Body) => void (body.parent = 3)],
    ['no parent', (body: Body) => void (body.parent = 0)],
    ['no LSN', (body: Body) => void (body.forkLsn = -1)],
    ['no time', (body: Body) => void delete body['forkTimestamp']],
    ['no creation time', (body: Body) => void delete body['createdAt']],
    ['no epoch', (body: Body) => void delete body['epoch']],
    ['no store', (body: Body) => void (body['storeId'] = 5)],
    ['nothing that it came from', (body: Body) => void (body['from'] = null)],
    ['no timeline that it came from', (body: Body) => void (body['from'] = { lsn: 1 })],
    ['no place in the log', (body: Body) => void delete (body as Partial<Body>).log],
    ['a bad chain value', (body: Body) => void (body.log['chain'] = 'xy')],
    ['a border above its LSN', (body: Body) => void (body.log['lsn'] = 1235)],
    ['an end before its border', (body: Body) => void (body.log['end'] = 8192)],
    ['an end behind a border at its LSN', (body: Body) => void (body.log['lsn'] = 1234)],
    ['a border in the header', (body: Body) => void (body.log['offset'] = 64)],
    ['no segment and a border before its LSN', (body: Body) => void (body.log['segment'] = 0)],
  ])('with %s: CORRUPT_RECORD', (_, change) => {
    expect(() => decodeTimeline(withBody(change), 'r')).toThrow(
      expect.objectContaining({ code: 'CORRUPT_RECORD' }),
    );
  });

  test('of a later version: UNSUPPORTED_FORMAT', () => {
    const bytes = withBody((body) => void (body['format'] = 2));
    expect(() => decodeTimeline(bytes, 'r')).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_FORMAT' }),
    );
  });

  test('named by its id: the name says it, others say nothing', () => {
    expect(parseTimelineName(timelineName(12))).toBe(12);
    expect(parseTimelineName('timelines/12.json')).toBeUndefined();
    expect(parseTimelineName('checkpoints/0000000012.json')).toBeUndefined();
  });
});
