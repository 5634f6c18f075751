import { describe, expect, test } from 'vitest';
import {
  encodeTimeline,
  timelineName,
  type TimelineRecord,
} from '../../../src/checkpoint/timelines/timeline-record.ts';
import {
  onlyFirst,
  putTimeline,
  readTimelines,
  Timelines,
  timelineSource,
} from '../../../src/checkpoint/timelines/timelines.ts';
import { MemoryObjectStore } from '../../../src/store/memory-store.ts';
import { isOf, timelineAt } from '../../../src/wal/ancestry.ts';

const storeId = 'ab'.repeat(16);

function record(id: number, parent: number, lsn: number, segment: number): TimelineRecord {
  const chain = { crc: 1, mix: 2 };
  const position = { lsn, segment, timeline: parent, offset: 256, chain };
  return {
    id,
    storeId,
    fork: { parent, lsn, position, end: 256 },
    forkTimestamp: lsn * 1000,
    createdAt: 1,
    epoch: id * 10,
    from: { timeline: id - 1, lsn: 100 },
  };
}

/** 1 up to 50, then 2 up to 80, then 3; 4 left the first at 30. */
const records = [record(2, 1, 50, 3), record(3, 2, 80, 6), record(4, 1, 30, 2)];

describe('timelines of a store', () => {
  test('without a record: the first is the current one', () => {
    expect(onlyFirst.current).toBe(1);
    const ancestry = onlyFirst.ancestry();
    expect(isOf(ancestry, { timeline: 1, lsn: 1_000_000 })).toBe(true);
    expect(isOf(ancestry, { timeline: 2, lsn: 1 })).toBe(false);
  });

  test('several: the highest is current, and has of the others what is before its forks', () => {
    const timelines = new Timelines(records);
    expect(timelines.current).toBe(4);
    const third = timelines.ancestry(3);
    expect(third.parts).toMatchObject([
      {
        timeline: 3,
        throughLsn: Number.POSITIVE_INFINITY,
        throughSegment: Number.POSITIVE_INFINITY,
      },
      { timeline: 2, throughLsn: 80, throughSegment: 6 },
      { timeline: 1, throughLsn: 50, throughSegment: 3 },
    ]);
    expect(third.epoch).toBe(30);
    expect([50, 51, 80, 81].map((lsn) => timelineAt(third, lsn))).toEqual([1, 2, 2, 3]);
    expect(isOf(timelines.ancestry(), { timeline: 1, lsn: 30 })).toBe(true);
    expect(isOf(timelines.ancestry(), { timeline: 1, lsn: 31 })).toBe(false);
    expect(isOf(timelines.ancestry(), { timeline: 2, lsn: 60 })).toBe(false);
  });

  test('a fork below an earlier one: the lower one counts', () => {
    const timelines = new Timelines([record(2, 1, 50, 3), record(3, 2, 40, 2)]);
    expect(timelines.ancestry().parts.at(-1)).toMatchObject({
      timeline: 1,
      throughLsn: 40,
      throughSegment: 2,
    });
  });

  test('asked what they share with the current one: the least LSN of both ways', () => {
    const timelines = new Timelines(records);
    expect([1, 2, 3, 4, 5].map((id) => timelines.sharedWithCurrent(id))).toEqual([
      30,
      30,
      30,
      undefined,
      undefined,
    ]);
  });

  test('put and read again: the same; an id that is taken is FENCED', async () => {
    const store = new MemoryObjectStore();
    await store.open();
    for (const one of records) await putTimeline(store, one);
    await expect(putTimeline(store, records[0]!)).rejects.toMatchObject({ code: 'FENCED' });
    await store.put('timelines/foreign', new Uint8Array(1));
    const read = await readTimelines(timelineSource(store), storeId);
    expect(read.records).toEqual(records);
  });

  test('a damaged record: those that come from it fail, the others do not', async () => {
    const store = new MemoryObjectStore();
    await store.open();
    for (const one of records) await putTimeline(store, one);
    await store.put(timelineName(2), new Uint8Array(9));
    const read = await readTimelines(timelineSource(store), storeId);
    expect(read.ancestry().timeline).toBe(4);
    const corrupt = expect.objectContaining({ code: 'CORRUPT_RECORD' });
    expect(() => read.ancestry(3)).toThrow(corrupt);
    await store.delete(timelineName(2));
    const without = await readTimelines(timelineSource(store), storeId);
    expect(() => without.ancestry(3)).toThrow(corrupt);
  });

  test.each([
    ['of another store', { ...records[0]!, storeId: 'cd'.repeat(16) }, 'STORE_MISMATCH'],
    ['of another id', { ...records[0]!, id: 9 }, 'CORRUPT_RECORD'],
  ])('a record %s: it is a fault', async (_, wrong, code) => {
    const store = new MemoryObjectStore();
    await store.open();
    await store.put(timelineName(2), encodeTimeline(wrong));
    const read = await readTimelines(timelineSource(store), storeId);
    expect(read.faults.get(2)).toMatchObject({ code });
    expect(() => read.ancestry()).toThrow(expect.objectContaining({ code }));
  });
});
