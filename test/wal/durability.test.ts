import { describe, expect, test } from 'vitest';
import { injected, type NotedCall } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  appendMany,
  bytesOf,
  codeOf,
  collect,
  crashed,
  gate,
  open,
  readAll,
  record,
  recordsOf,
  settle,
  worldOn,
  type World,
} from './log-fixture.ts';

const isSegment = ({ path }: NotedCall): boolean => path.endsWith('.wal');

/** Holds every sync of the log's segments until `open` is called; then the gate is shut again. */
function holdSyncs(world: World): { open(): void } {
  let current = gate();
  world.fs.before = (call) =>
    call.call === 'sync' && isSegment(call) ? current.passed : undefined;
  return {
    open: () => {
      const passed = current;
      current = gate();
      passed.open();
    },
  };
}

test('L5 a proof mark: what it proves is synced before the mark is written, and the mark after', async () => {
  const world = worldOn();
  const log = await open(world, { undurableBytesMax: 1024 * 1024 });
  await settle();
  await log.append(record(1), { durability: 'os' });
  const start = world.fs.calls.length;
  await log.close();
  const calls = world.fs.calls.slice(start).filter(isSegment);
  const changes = calls.filter(({ call }) => call !== 'close').map(({ call }) => call);
  expect(changes).toEqual(['sync', 'write', 'sync']);
  expect(await readAll(await open(await crashed(world, 'dropped')))).toEqual(recordsOf(1, 1));
});

test('a write may hold its thread where nobody commits beside it: after four that all waited for', async () => {
  const world = worldOn();
  const log = await open(world, { segmentBytesMax: 1024 * 1024 });
  await settle();
  const start = world.fs.calls.length;
  for (let i = 1; i <= 6; i++) await log.append(record(i));
  const syncs = holdSyncs(world);
  const seventh = log.append(record(7));
  await settle();
  const eighth = log.append(record(8));
  syncs.open();
  await seventh;
  await settle();
  syncs.open();
  await eighth;
  world.fs.before = () => undefined;
  await log.append(record(9));
  const writes = world.fs.calls
    .slice(start)
    .filter((one) => isSegment(one) && one.call === 'write');
  const held = writes.map(({ mayHold }) => mayHold === true);
  expect(held).toEqual([false, false, false, false, true, true, true, false, false]);
  await log.close();
});

describe('levels', () => {
  test('disk: nothing is acknowledged before the sync of its bytes has returned', async () => {
    const world = worldOn();
    const log = await open(world);
    await settle();
    const syncs = holdSyncs(world);
    let acknowledged = 0;
    void log.append(record(1)).then((lsn) => (acknowledged = lsn));
    await settle();
    expect(world.fs.calls.findLast(isSegment)?.call).toBe('sync');
    // Write and sync are one call: nothing is known to be written before it returns.
    expect([acknowledged, log.tail, log.stats().appendedLsn]).toEqual([0, 0, 0]);
    expect(await readAll(log)).toEqual([]);
    syncs.open();
    await settle();
    expect([acknowledged, log.tail]).toEqual([1, 1]);
    expect(await readAll(log)).toEqual(recordsOf(1, 1));
    world.fs.before = () => {};
    await log.close();
  });

  test('os resolves when it is written, memory at once; both are durable with the next sync', async () => {
    const world = worldOn();
    const log = await open(world, { undurableBytesMax: 1024 * 1024 });
    await settle();
    const written = gate();
    world.fs.before = (call) =>
      call.call === 'write' && isSegment(call) ? written.passed : undefined;
    const done: string[] = [];
    const note = (name: string) => (lsn: number) => void done.push(`${name} ${lsn}`);
    const all = [
      log.append(record(1), { durability: 'os' }).then(note('os')),
      log.append(record(2), { durability: 'memory' }).then(note('memory')),
    ];
    await settle();
    expect(done).toEqual(['memory 2']);
    written.open();
    await Promise.all(all);
    expect(done).toEqual(['memory 2', 'os 1']);
    expect(log.tail).toBe(0);
    expect(await readAll(await open(await crashed(world, 'dropped')))).toEqual([]);
    expect(await log.append(record(3))).toBe(3);
    expect(log.tail).toBe(3);
    expect(await readAll(await open(await crashed(world, 'dropped')))).toEqual(recordsOf(1, 3));
    await log.close();
  });

  test.each(['memory', 'os', 'disk'] as const)(
    'level %s, past the bound and back again: promises resolve in LSN order',
    async (durability) => {
      const world = worldOn();
      const log = await open(world, { durability, undurableBytesMax: 2048, groupBytesMax: 1024 });
      await settle();
      const resolved: number[] = [];
      const pending: Promise<unknown>[] = [];
      let refused = 0;
      for (let n = 1; n <= 300; n++) {
        pending.push(
          log.append(record(n, 100 + ((n * 37) % 300))).then(
            (lsn) => resolved.push(lsn),
            (error: { code: string }) => {
              expect(error.code).toBe('OVERLOADED');
              refused++;
            },
          ),
        );
        // Bursts of many lengths, so that bounds are crossed both ways.
        if (n % 7 === 0 || n % 11 === 0) await Promise.resolve();
        if (n % 13 === 0) await settle();
      }
      await Promise.all(pending);
      expect(resolved).toEqual(resolved.map((_, i) => i + 1));
      expect(resolved.length + refused).toBe(300);
      expect(resolved.length).toBeGreaterThan(100);
      await log.close();
    },
  );

  test.each(['memory', 'os'] as const)(
    'level %s: one that waits for room is not overtaken once there is room',
    async (durability) => {
      const world = worldOn();
      const filling = gate();
      world.fs.before = ({ call, path, bytes }) =>
        call === 'write' && path.endsWith('.new') && bytes === 4096 ? filling.passed : undefined;
      const log = await open(world, { durability, undurableBytesMax: 16 * 1024 });
      await settle();
      const resolved: number[] = [];
      const pending: Promise<unknown>[] = [];
      const append = (n: number): void => {
        pending.push(log.append(record(n)).then((lsn) => resolved.push(lsn)));
      };
      // Too little is left in the segment, and the next is being filled: these wait for the sync.
      for (let n = 1; n <= 7; n++) append(n);
      await settle();
      const early = [...resolved];
      expect(early.length).toBeLessThan(7);
      filling.open();
      // One segment is ready a few turns before all of them are, which the first ones wait for.
      for (let n = 8; n <= 14; n++) {
        for (let turn = 0; turn < 4; turn++) await Promise.resolve();
        append(n);
      }
      await Promise.all(pending);
      expect(resolved).toEqual(resolved.toSorted((a, b) => a - b));
      expect(resolved).toHaveLength(14);
      await log.close();
    },
  );
});

describe('group commit', () => {
  test('appends during a sync: all of them share the next group and its sync', async () => {
    const world = worldOn();
    const log = await open(world);
    await settle();
    const syncs = holdSyncs(world);
    const first = log.append(bytesOf('r1'));
    await settle();
    const before = log.stats();
    const late = Array.from({ length: 50 }, (_, i) => log.append(bytesOf(`r${i + 2}`)));
    await settle();
    syncs.open();
    expect(await first).toBe(1);
    await settle();
    syncs.open();
    expect(await Promise.all(late)).toEqual(late.map((_, i) => i + 2));
    const { syncs: count, groups } = log.stats();
    expect([count - before.syncs, groups - before.groups]).toEqual([2, 1]);
    world.fs.before = () => {};
    expect(await readAll(log)).toEqual(recordsOf(1, 51));
    await log.close();
  });

  test('tiny groups and segments, many appends under way: every record, in order, in many groups', async () => {
    const world = worldOn();
    const options = { groupBytesMax: 1024, groupRecordsMax: 3, undurableBytesMax: 512 * 1024 };
    const log = await open(world, options);
    await settle();
    let n = 0;
    for (let round = 0; round < 40; round++) {
      const lsns: number[] = [];
      const due: number[] = [];
      const appends: Promise<unknown>[] = [];
      for (let i = 0; i < 30; i++) {
        const count = i % 5 === 0 ? 4 : 1;
        const batch = Array.from({ length: count }, (_, j) =>
          record(n + j + 1, 10 + ((n * 7) % 90)),
        );
        due.push(n + 1);
        n += count;
        appends.push(log.appendBatch(batch).then((lsn) => lsns.push(lsn)));
      }
      await Promise.all(appends);
      expect(lsns).toEqual(due);
    }
    const { groups, rotations, syncs } = log.stats();
    expect(groups).toBeGreaterThan(n / 4);
    expect(rotations).toBeGreaterThan(20);
    expect(syncs).toBeLessThan(groups);
    expect(await readAll(log)).toEqual(recordsOf(1, n));
    await log.close();
    const again = await open(world);
    expect(await readAll(again)).toEqual(recordsOf(1, n));
    await again.close();
  });

  test('a batch is torn by power loss: all of its records are there, or none', async () => {
    for (const tornAt of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const world = worldOn();
      const log = await open(world);
      await appendMany(log, 1, 1);
      world.fs.before = (call) => {
        if (call.call === 'sync' && isSegment(call)) throw injected('EIO');
      };
      await codeOf(log.appendBatch([record(2), record(3), record(4)]));
      const again = await open(await crashed(world, new SeededRandom(tornAt)));
      expect([recordsOf(1, 1), recordsOf(1, 4)]).toContainEqual(await readAll(again));
      await again.close();
    }
  });
});

describe('reading', () => {
  test('from and limit: the range asked for, over segments, groups and batches', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 18);
    await log.appendBatch([19, 20, 21].map((n) => record(n)));
    await appendMany(log, 22, 30);
    expect(log.stats().rotations).toBeGreaterThan(2);
    for (const from of [0, 1, 2, 7, 8, 15, 20, 29, 30, 31, 100]) {
      for (const limit of [0, 1, 2, 9, 100, undefined]) {
        const options = limit === undefined ? { from } : { from, limit };
        const first = Math.max(1, from);
        const due = recordsOf(first, 30).slice(0, limit);
        expect(await readAll(log, options), `from ${from}, limit ${limit}`).toEqual(due);
      }
    }
    for (const wrong of [-1, 1.5, Number.NaN, '1' as unknown as number]) {
      expect(await codeOf(readAll(log, { from: wrong }))).toBe('INVALID_OPTION');
      expect(await codeOf(readAll(log, { limit: wrong }))).toBe('INVALID_OPTION');
      expect(await codeOf(log.trim(wrong))).toBe('INVALID_OPTION');
    }
    await log.close();
  });

  test('reading at any call of appending, rotations too: everything durable at that moment', async () => {
    const world = worldOn();
    const log = await open(world);
    // Filling is done: every call is of the writer, which waits for the check.
    await settle();
    let busy = false;
    let checked = 0;
    world.fs.before = async ({ call, path }) => {
      if (busy || (call === 'open' && path.endsWith('.new'))) return;
      busy = true;
      const { tail } = log;
      expect(await readAll(log)).toEqual(recordsOf(1, tail));
      expect(await readAll(log, { from: 6 })).toEqual(recordsOf(6, tail));
      busy = false;
      checked++;
    };
    await appendMany(log, 1, 16);
    expect(log.stats().rotations).toBeGreaterThan(1);
    expect(checked).toBeGreaterThan(30);
    world.fs.before = () => {};
    await log.close();
  });

  test('a reader is half-way when more is appended: it ends at what was durable when it began', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 5);
    const reader = log.read();
    expect((await reader.next()).value).toMatchObject({ lsn: 1 });
    await appendMany(log, 6, 20);
    expect(await collect(reader)).toEqual(recordsOf(2, 5));
    await log.close();
  });

  test('records are copies: changing what was appended or read changes nothing', async () => {
    const world = worldOn();
    const log = await open(world);
    const bytes = bytesOf('r1');
    const pending = log.append(bytes);
    bytes.fill(0);
    await pending;
    for await (const { bytes: given } of log.read()) given.fill(0);
    expect(await readAll(log)).toEqual(recordsOf(1, 1));
    await log.close();
  });

  test('empty records: they have LSNs and are given back', async () => {
    const world = worldOn();
    const log = await open(world);
    await log.append(new Uint8Array(0));
    await log.appendBatch([new Uint8Array(0), new Uint8Array(0)]);
    await log.close();
    const again = await open(world);
    expect(await readAll(again)).toEqual(['1 ', '2 ', '3 ']);
    await again.close();
  });
});

describe('closing', () => {
  test('close twice, and calls after it: CLOSED', async () => {
    const world = worldOn();
    const log = await open(world);
    const reader = log.read();
    const pending = log.append(record(1));
    const closing = log.close();
    expect(await codeOf(log.append(record(2)))).toBe('CLOSED');
    await Promise.all([closing, log.close(), log[Symbol.asyncDispose]()]);
    expect(await pending).toBe(1);
    expect(await codeOf(log.append(record(2)))).toBe('CLOSED');
    expect(await codeOf(log.appendBatch([record(2)]))).toBe('CLOSED');
    expect(await codeOf(log.trim(1))).toBe('CLOSED');
    expect(await codeOf(readAll(log))).toBe('CLOSED');
    expect(await codeOf(collect(reader))).toBe('CLOSED');
    expect(log.tail).toBe(1);
    const again = await open(world);
    expect(await readAll(again)).toEqual(recordsOf(1, 1));
    await again.close();
  });

  test('a closed log: no handle is left open, no timer is set, no filled segment is left', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 20);
    await log.close();
    await settle();
    const opened = world.fs.calls.filter(({ call }) => call === 'open').length;
    expect(world.fs.calls.filter(({ call }) => call === 'close')).toHaveLength(opened);
    expect(world.clock.timerCount).toBe(0);
    expect([...(await world.fs.contents()).keys()].filter((path) => path.endsWith('.new'))).toEqual(
      [],
    );
  });
});
