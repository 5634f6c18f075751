import { describe, expect, test } from 'vitest';
import { droppedName, recordName } from '../../../src/checkpoint/checkpoint-record.ts';
import { planRetention } from '../../../src/checkpoint/retention/retention-plan.ts';
import type { StoredSegment } from '../../../src/checkpoint/retention/retention-input.ts';
import { noSchedule } from '../../../src/checkpoint/retention/retention-settings.ts';
import {
  day,
  hour,
  keptIds,
  keptSegments,
  lineOf,
  lsnsPerSegment,
  noon,
  PaperStore,
  second,
  segmentOf,
  snapshotOf,
  threeBases,
} from './retention-fixture.ts';

const one = { checkpoints: 1 };

describe('what damage may need', () => {
  test('no checkpoint: everything stays', () => {
    const plan = planRetention(new PaperStore().input({ settings: one }));
    expect(plan.hold).toContain('no checkpoint');
    expect(plan.deletedBytes).toBe(0);
    expect(plan.retained).toMatchObject({ logFromLsn: 1, fromLsn: 0, checkpointCount: 0 });
  });

  test('one base: everything stays, the whole log too', () => {
    const store = new PaperStore();
    for (let i = 1; i <= 8; i++) store.add({ lsn: i * 10 });
    const plan = planRetention(store.input({ settings: one }));
    expect(plan.hold).toContain('one base only');
    expect(keptIds(plan)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(plan.lines.every(({ action }) => action === 'keep')).toBe(true);
    expect(plan.lowWater).toBeUndefined();
  });

  test('three bases: the two newest stay, with the log from the older', () => {
    const store = threeBases();
    expect(store.records.map(({ chain }) => chain.length)).toEqual([
      1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4,
    ]);
    const plan = planRetention(store.input({ settings: one }));
    // 12 is the newest; 8 does without its base; 9, 10, 11 do without a delta of it each.
    expect(keptIds(plan)).toEqual([8, 9, 10, 11, 12]);
    expect(lineOf(plan, recordName(8))).toContain('second-path bases');
    expect(lineOf(plan, snapshotOf(4))).toMatch(/^delete expired/);
    expect(lineOf(plan, snapshotOf(5))).toMatch(/^keep needed: checkpoint 8 names it/);
    // The older base ends at LSN 40, which is in segment 4.
    expect(keptSegments(plan)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    expect(plan.lowWater).toEqual({ timeline: 1, lsn: 31, segment: 4 });
    expect(plan.retained).toMatchObject({ logFromLsn: 31, oldestLsn: 70, fromLsn: 70 });
  });

  test('a delta that both bases share: the checkpoint from before it stays', () => {
    const store = new PaperStore();
    for (let i = 1; i <= 3; i++) store.add({ lsn: i * 10 });
    store.merge();
    for (let i = 4; i <= 7; i++) store.add({ lsn: i * 10 });
    // The delta of 8 was made while 4 to 7 became base 9.
    store.merge([8]);
    const plan = planRetention(store.input({ settings: one }));
    expect(store.records.at(-1)!.chain.map(({ name }) => name)).toEqual([
      snapshotOf(9),
      snapshotOf(8),
    ]);
    // 8 does without base 9, but not without its own delta; 7 does.
    expect(keptIds(plan)).toEqual([7, 8, 9]);
  });

  test('every base shares a delta with the one before: the log is given up all the same', () => {
    const store = new PaperStore();
    for (let cycle = 1; cycle <= 20; cycle++) {
      for (let n = 0; n < 7; n++) {
        store.add({ lsn: store.lastLsn + 10 });
        store.collect(planRetention(store.input({ settings: one })));
      }
      // The newest delta was made while those before it were merged.
      store.merge([store.records.at(-1)!.id]);
      const plan = planRetention(store.input({ settings: one }));
      store.collect(plan);
      if (cycle < 4) continue;
      expect(plan.retained.logFromLsn).toBeGreaterThan(store.lastLsn - 3 * 70);
      expect(store.records.length).toBeLessThan(20);
    }
  });

  test('any one snapshot or record lost: a kept checkpoint and the kept log still reach the end', () => {
    const store = threeBases();
    store.merge([12]);
    store.add({ lsn: store.lastLsn + 10 });
    const plan = planRetention(store.input({ settings: one }));
    const kept = store.records.filter(({ id }) => keptIds(plan).includes(id));
    const first = keptSegments(plan)[0]!;
    const reaches = (usable: typeof kept): boolean =>
      usable.some(({ position }) => position.segment >= first);
    const names = new Set(kept.flatMap(({ chain }) => chain.map(({ name }) => name)));
    for (const lost of names) {
      expect(reaches(kept.filter(({ chain }) => chain.every(({ name }) => name !== lost)))).toBe(
        true,
      );
    }
    for (const lost of kept) expect(reaches(kept.filter(({ id }) => id !== lost.id))).toBe(true);
  });

  test('O5, nothing published by this opening: what a recovery without the newest needs stays', () => {
    const store = threeBases();
    store.add({ lsn: store.lastLsn, chain: [9, 10, 11, 12] });
    const settings = one;
    expect(keptIds(planRetention(store.input({ settings })))).toEqual([8, 9, 10, 11, 13]);
    const before = planRetention(store.input({ settings, newestFound: 13 }));
    expect(lineOf(before, recordName(12))).toContain('keep opening: this opening has published');
  });

  test('the newest cannot be read, or lacks a snapshot: everything stays', () => {
    for (const how of ['unreadable', 'missing', 'short']) {
      const input = threeBases().input({ settings: one });
      const { records, snapshots } = input.inventory;
      const last = records.at(-1)!;
      const inventory = {
        ...input.inventory,
        records:
          how === 'unreadable'
            ? [...records.slice(0, -1), { ...last, record: undefined, fault: 'fails' }]
            : records,
        snapshots: snapshots.flatMap((snapshot) => {
          if (snapshot.id !== 12 || how === 'unreadable') return [snapshot];
          return how === 'missing' ? [] : [{ ...snapshot, bytes: 1 }];
        }),
      };
      const plan = planRetention({ ...input, inventory });
      expect(plan.hold).toContain('12');
      expect(
        plan.lines.some(({ kind, action }) => kind !== 'snapshot' && action === 'delete'),
      ).toBe(false);
    }
  });

  test('an older record cannot be read: it stays, and every snapshot that it might name', () => {
    const input = threeBases().input({ settings: one });
    const { records } = input.inventory;
    const damaged = { ...records[2]!, record: undefined, fault: 'fails its checksum' };
    const inventory = { ...input.inventory, records: records.with(2, damaged) };
    const plan = planRetention({ ...input, inventory });
    expect(lineOf(plan, recordName(3))).toBe('keep damaged: fails its checksum');
    for (const id of [1, 2, 3]) {
      expect(lineOf(plan, snapshotOf(id))).toContain('checkpoint 3 cannot be read and may name it');
    }
    expect(lineOf(plan, snapshotOf(4))).toMatch(/^delete/);
    expect(lineOf(plan, recordName(2))).toMatch(/^delete/);
  });

  test('an older record names a snapshot that is gone: both stay as they are, and count for nothing', () => {
    const input = threeBases().input({ settings: one });
    const inventory = {
      ...input.inventory,
      snapshots: input.inventory.snapshots.filter(({ id }) => id !== 2),
    };
    const plan = planRetention({ ...input, inventory });
    expect(lineOf(plan, recordName(4))).toContain(`missing or of another size: ${snapshotOf(2)}`);
    expect(keptIds(plan)).toEqual([2, 3, 4, 8, 9, 10, 11, 12]);
    expect(plan.retained.checkpointCount).toBe(5);
  });
});

describe('rules of the settings', () => {
  test('checkpoints: so many LSNs, a merge and the record before it count once', () => {
    const store = threeBases();
    const kept = (checkpoints: number): number[] =>
      keptIds(planRetention(store.input({ settings: { checkpoints } })));
    // Of LSN 70 there are 8 and 9, of LSN 40 4 and 5.
    expect(kept(4)).toEqual([8, 9, 10, 11, 12]);
    expect(kept(5)).toEqual([7, 8, 9, 10, 11, 12]);
    expect(kept(8)).toEqual([3, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test('checkpoints: savepoints do not count, dropped ones do', () => {
    const store = threeBases();
    store.add({ lsn: store.lastLsn, chain: [9, 10, 11, 12], savepoint: 'a' });
    store.add({ lsn: store.lastLsn + 10, savepoint: 'b' });
    const input = { settings: { checkpoints: 2 } };
    const rules = (): string =>
      lineOf(planRetention(store.input(input)), recordName(11)).split(':')[0]!;
    expect(rules()).toContain('checkpoints');
    store.dropped.add(14);
    expect(rules()).not.toContain('checkpoints');
  });

  test('ageMs: what was made within it stays', () => {
    const store = threeBases();
    const kept = (ageMs: number): number[] =>
      keptIds(planRetention(store.input({ settings: { ...one, ageMs } })));
    expect(store.records.map(({ createdAt }) => createdAt / second)).toEqual([
      10, 20, 30, 40, 40, 50, 60, 70, 70, 80, 90, 100,
    ]);
    expect(kept(39_999)).toEqual([8, 9, 10, 11, 12]);
    expect(kept(40_000)).toEqual([7, 8, 9, 10, 11, 12]);
    expect(kept(60_000)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test('windowMs: the newest checkpoint at or before its start stays, and the log from it', () => {
    const store = threeBases();
    const planned = (windowMs: number) =>
      planRetention(store.input({ settings: { ...one, windowMs } }));
    const inside = planned(75_000);
    expect(keptIds(inside)).toEqual([2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(keptSegments(inside)[0]).toBe(2);
    expect(inside.retained).toMatchObject({ logFromLsn: 11, fromLsn: 20, oldestLsn: 20 });
    expect(keptIds(planned(80_000))).toContain(2);
    expect(keptIds(planned(80_001))).toContain(1);
    const whole = planned(95_000);
    expect(lineOf(whole, recordName(1))).toContain('starts before the first checkpoint');
    expect(keptSegments(whole)[0]).toBe(1);
    expect(whole.retained).toMatchObject({ logFromLsn: 1, fromLsn: 0 });
  });

  test('windowMs goes on: a mark in each tenth of it stays, so that the log goes with its start', () => {
    const store = new PaperStore();
    const windowMs = 100_000;
    for (let lsn = 1; lsn <= 600; lsn++) {
      const settings = { ...one, windowMs };
      if (lsn % 10 === 0) store.merge();
      else store.add({ lsn });
      const plan = planRetention(store.input({ settings }));
      store.collect(plan);
      if (lsn < 150) continue;
      // All that is inside, at most two tenths more, and the rest of a segment.
      const inside = store.lastLsn - windowMs / 1000;
      expect(plan.retained.fromLsn).toBeLessThanOrEqual(inside);
      expect(plan.retained.logFromLsn).toBeGreaterThan(inside - 20 - lsnsPerSegment);
      expect(store.records.length).toBeLessThanOrEqual(11 + 12);
    }
  });

  test('windowMs with a clock that was set back: it starts from the newest commit', () => {
    const settings = { ...one, windowMs: 75_000 };
    const plan = planRetention(threeBases().input({ settings, now: 50 * second }));
    expect(keptIds(plan)).toEqual([2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test.each([
    ['hourly', hour, 3],
    ['daily', day, 3],
    ['weekly', 7 * day, 3],
  ] as const)('schedule.%s: the newest of each of the last periods', (name, period, count) => {
    const store = new PaperStore();
    // Two in each of five periods, then one more base, so that nothing else is needed.
    for (let i = 0; i < 10; i++) {
      store.add({
        lsn: i * 10 + 10,
        at: noon - (4 - Math.floor(i / 2)) * period + (i % 2) * second,
      });
    }
    const base = store.records.length + 1;
    store.add({ lsn: 200, chain: [base], at: noon + 2 * second });
    store.add({ lsn: 210, chain: [base + 1], at: noon + 3 * second });
    const schedule = { ...noSchedule, [name]: count };
    const plan = planRetention(store.input({ settings: { ...one, schedule } }));
    expect(keptIds(plan)).toEqual([6, 8, base, base + 1]);
    expect(lineOf(plan, recordName(8))).toContain('one of the last 3');
  });

  test('schedule.monthly: calendar months in UTC', () => {
    const store = new PaperStore();
    const at = [
      Date.UTC(2026, 7, 31, 23, 59),
      Date.UTC(2026, 8, 1, 0, 0),
      Date.UTC(2026, 8, 30, 23, 59),
      Date.UTC(2026, 9, 1, 0, 0),
    ];
    for (const [i, ms] of at.entries()) store.add({ lsn: i + 1, at: ms * 1000 });
    store.add({ lsn: 200, chain: [5], at: noon });
    store.add({ lsn: 210, chain: [6], at: noon + second });
    const kept = (monthly: number): number[] =>
      keptIds(
        planRetention(store.input({ settings: { ...one, schedule: { ...noSchedule, monthly } } })),
      );
    expect(kept(1)).toEqual([5, 6]);
    expect(kept(2)).toEqual([4, 5, 6]);
    expect(kept(3)).toEqual([3, 4, 5, 6]);
    expect(kept(4)).toEqual([1, 3, 4, 5, 6]);
  });

  test('schedule.weekly: weeks start on Monday', () => {
    const store = new PaperStore();
    const sunday = Date.UTC(2026, 10, 15, 23, 59) * 1000;
    const monday = Date.UTC(2026, 10, 16, 0, 0) * 1000;
    store.add({ lsn: 1, at: sunday });
    store.add({ lsn: 2, at: monday });
    store.add({ lsn: 3, chain: [3], at: noon });
    store.add({ lsn: 4, chain: [4], at: noon + second });
    const kept = (weekly: number): number[] =>
      keptIds(
        planRetention(store.input({ settings: { ...one, schedule: { ...noSchedule, weekly } } })),
      );
    expect(kept(1)).toEqual([3, 4]);
    expect(kept(2)).toEqual([1, 3, 4]);
  });

  test('retention is off: everything stays', () => {
    const plan = planRetention(threeBases().input({ settings: undefined }));
    expect(plan.hold).toBe('retention is off');
    expect(plan.deletedBytes).toBe(0);
    expect(keptSegments(plan)).toHaveLength(11);
  });
});

describe('savepoints and pins', () => {
  test('a savepoint stays until it is dropped; its mark goes with its record', () => {
    const store = new PaperStore();
    store.add({ lsn: 10 });
    store.add({ lsn: 20, savepoint: 'kept "here"' });
    store.merge();
    store.merge();
    store.merge();
    const before = planRetention(store.input({ settings: one }));
    expect(lineOf(before, recordName(2))).toBe('keep savepoint: savepoint "kept \\"here\\""');
    expect(lineOf(before, snapshotOf(1))).toMatch(/^keep needed/);
    store.dropped.add(2);
    const after = planRetention(store.input({ settings: one }));
    expect(lineOf(after, recordName(2))).toMatch(/^delete expired/);
    expect(lineOf(after, droppedName(2))).toBe('delete expired: checkpoint 2 goes');
    const names = after.lines.map(({ name }) => name);
    expect(names.indexOf(recordName(2))).toBeLessThan(names.indexOf(droppedName(2)));
  });

  test('a mark without a record is a leftover; one of a record that cannot be read stays', () => {
    const store = threeBases();
    store.dropped.add(90).add(2);
    const input = store.input({ settings: one });
    const { records } = input.inventory;
    const damaged = { ...records[1]!, record: undefined, fault: 'fails' };
    const plan = planRetention({
      ...input,
      inventory: { ...input.inventory, records: records.with(1, damaged) },
    });
    expect(lineOf(plan, droppedName(90))).toBe('delete leftover: there is no checkpoint 90');
    expect(lineOf(plan, droppedName(2))).toBe('keep needed: marks checkpoint 2');
  });

  test('a pinned checkpoint stays, with its snapshots', () => {
    const pins = [{ recordId: 3, reason: 'a view' }];
    const plan = planRetention(threeBases().input({ settings: one, pins }));
    expect(lineOf(plan, recordName(3))).toBe('keep pin: a view');
    expect([1, 2, 3].map((id) => lineOf(plan, snapshotOf(id)).split(' ')[0])).toEqual([
      'keep',
      'keep',
      'keep',
    ]);
    expect(keptSegments(plan)[0]).toBe(4);
  });

  test('a pinned LSN keeps the checkpoint at or before it, and the log from there', () => {
    const plan = planRetention(
      threeBases().input({ settings: one, pins: [{ lsn: 25, reason: 'a view' }] }),
    );
    expect(lineOf(plan, recordName(2))).toBe('keep pin: a view');
    expect(keptSegments(plan)[0]).toBe(2);
    const early = planRetention(
      threeBases().input({ settings: one, pins: [{ lsn: 5, reason: 'a view' }] }),
    );
    expect(keptSegments(early)[0]).toBe(1);
  });
});

describe('snapshots and foreign objects', () => {
  test('a snapshot of unfinished work stays, a leftover goes', () => {
    const input = threeBases().input({ settings: one, unfinished: (id) => id > 12 });
    const extra = [11.5, 13].map((id) => ({ name: `snapshots/of-${id}`, bytes: 1, id }));
    const inventory = {
      ...input.inventory,
      snapshots: [...input.inventory.snapshots, ...extra],
      foreign: [{ name: 'snapshots/notes.txt', bytes: 1 }],
    };
    const plan = planRetention({ ...input, inventory });
    expect(lineOf(plan, 'snapshots/of-11.5')).toMatch(/^delete leftover/);
    expect(lineOf(plan, 'snapshots/of-13')).toMatch(/^keep unfinished/);
    expect(lineOf(plan, 'snapshots/notes.txt')).toBe('keep foreign: is no object of this store');
  });

  test('every object has exactly one line, and the bytes add up', () => {
    const input = threeBases().input({ settings: one });
    const plan = planRetention(input);
    const { records, snapshots, log } = input.inventory;
    const names = [...records, ...snapshots, ...log.segments].map(({ name }) => name);
    expect(plan.lines.map(({ name }) => name)).toEqual(names);
    expect(plan.keptBytes + plan.deletedBytes).toBe(12 * 10 + 12 * 100 + 11 * 1000);
    expect(plan.deletedBytes).toBe(7 * 10 + 4 * 100 + 3 * 1000);
  });
});

describe('the log', () => {
  const withLog = (change: object) => {
    const input = threeBases().input({ settings: one });
    const { inventory } = input;
    return { ...input, inventory: { ...inventory, log: { ...inventory.log, ...change } } };
  };

  test('segments below the low-water record are leftovers; the record is put again before they go', () => {
    const lowWater = { timeline: 1, lsn: 31, segment: 4 };
    const plan = planRetention(withLog({ lowWater }));
    expect(lineOf(plan, segmentOf(2))).toBe('delete leftover: is below the low-water record');
    expect(plan.lowWater).toEqual(lowWater);
  });

  test('a walk that ended too early: what lies below it stays until the log is kept from above', () => {
    const { segments } = threeBases().input().inventory.log;
    const off = (from: number): readonly StoredSegment[] =>
      segments.map(({ name, bytes, number, timeline, firstLsn }) => {
        const walked = number < from ? undefined : firstLsn;
        return { name, bytes, number, timeline, firstLsn: walked };
      });
    const below = planRetention(withLog({ segments: off(3), brokenBy: 'damaged' }));
    expect(lineOf(below, segmentOf(2))).toMatch(/^delete expired/);
    const above = planRetention(withLog({ segments: off(6), brokenBy: 'damaged' }));
    expect(lineOf(above, segmentOf(5))).toBe('keep damaged: damaged');
    expect(above.lowWater).toBeUndefined();
    expect(above.retained.logFromLsn).toBe(51);
  });

  test('a position at the very start of a segment: that segment is enough', () => {
    const store = new PaperStore();
    for (let i = 1; i <= 3; i++) store.add({ lsn: i * 10, chain: [i] });
    const at = (segment: number) => {
      const input = store.input({ settings: one });
      const records = input.inventory.records.map((stored) => {
        const record = stored.record!;
        return { ...stored, record: { ...record, position: { ...record.position, segment } } };
      });
      // Bases end where their records do: only their own need is of an LSN alone.
      return keptSegments(planRetention({ ...input, inventory: { ...input.inventory, records } }));
    };
    expect(at(4)).toEqual([2, 3, 4]);
    expect(at(1)).toEqual([1, 2, 3, 4]);
  });

  test('segments of a timeline that no record tells of stay', () => {
    const { segments } = threeBases().input().inventory.log;
    const other = { ...segments[0]!, name: 'wal/other', timeline: 2, firstLsn: undefined };
    const plan = planRetention(withLog({ segments: [other, ...segments] }));
    expect(lineOf(plan, 'wal/other')).toBe(
      'keep damaged: is of timeline 2, whose record cannot be read',
    );
  });
});
