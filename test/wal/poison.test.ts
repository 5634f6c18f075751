import { describe, expect, test } from 'vitest';
import { changes, injected, type CallName, type NotedCall } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  appendMany,
  codeOf,
  crashed,
  errorOf,
  open,
  readAll,
  record,
  recordsOf,
  settle,
  worldOn,
} from './log-fixture.ts';

/** Calls of the writer, not of the filling in the background. */
const ofWriter = ({ path }: NotedCall): boolean => !path.endsWith('.new');

describe('an error after sealing', () => {
  test.each([
    ['write', 'EIO'],
    ['write', 'ENOSPC'],
    ['sync', 'EIO'],
  ] as const)(
    'L11 a %s of records fails with %s: outcome unknown, then nothing is written, reads and close work',
    async (name: CallName, code) => {
      const world = worldOn();
      const log = await open(world);
      await appendMany(log, 1, 3);
      await settle();
      world.fs.before = (call) => {
        if (call.call === name && ofWriter(call)) throw injected(code);
      };
      const first = log.append(record(4));
      const second = log.append(record(5));
      const third = settle().then(() => log.append(record(6)));
      for (const [at, pending] of [first, second].entries()) {
        const error = await errorOf(pending);
        expect(error).toMatchObject({ kind: 'unknown', code: 'OUTCOME_UNKNOWN' });
        expect(error.details).toEqual({ lsn: 4 + at });
        expect(error.cause).toMatchObject({ code: code === 'EIO' ? 'IO' : 'NO_SPACE' });
      }
      expect(await codeOf(third)).toBe('POISONED');
      world.fs.before = () => {};
      const start = world.fs.calls.length;
      expect(await codeOf(log.append(record(7)))).toBe('POISONED');
      expect(await codeOf(log.trim(3))).toBe('POISONED');
      world.clock.advance(100_000);
      await settle();
      expect(await readAll(log)).toEqual(recordsOf(1, 3));
      expect(log.tail).toBe(3);
      await log.close();
      expect(world.fs.calls.slice(start).filter(changes)).toEqual([]);
      const again = await open(world);
      expect((await readAll(again)).slice(0, 3)).toEqual(recordsOf(1, 3));
      await again.close();
    },
  );

  test('L11 any call fails once, during rotations too: acknowledged records are there, nothing is repeated', async () => {
    const codes = new Map<string, number>();
    for (let at = 1; at <= 90; at++) {
      const world = worldOn();
      const log = await open(world);
      await settle();
      let count = 0;
      world.fs.before = (call) => {
        if (!changes(call) || ++count !== at) return;
        throw injected(at % 2 === 0 ? 'EIO' : 'ENOSPC');
      };
      let acknowledged = 0;
      let code = '';
      for (let n = 1; n <= 16 && code === ''; n++) {
        const outcome = await log.append(record(n)).catch((error: { code: string }) => error.code);
        if (typeof outcome === 'number') acknowledged = outcome;
        else code = outcome;
      }
      const rejectedAt = world.fs.calls.length;
      await settle();
      expect(await readAll(log)).toEqual(recordsOf(1, acknowledged));
      if (code === 'OUTCOME_UNKNOWN') {
        expect(await codeOf(log.append(record(99)))).toBe('POISONED');
        await log.close();
        // Not even by the filling in the background.
        expect(world.fs.calls.slice(rejectedAt).filter(changes)).toEqual([]);
      } else {
        expect(log.stats().sealedLsn).toBe(acknowledged);
        if (count < at)
          code = await log.close().then(
            () => 'none',
            (error: { code: string }) => error.code,
          );
        else await log.close();
      }
      codes.set(code, (codes.get(code) ?? 0) + 1);
      world.fs.before = () => {};
      for (const choice of ['kept', 'dropped', new SeededRandom(at)] as const) {
        const again = await open(await crashed(world, choice));
        const found = await readAll(again);
        expect(found.slice(0, acknowledged)).toEqual(recordsOf(1, acknowledged));
        expect(recordsOf(1, acknowledged + 1)).toEqual(expect.arrayContaining(found));
        await again.close();
      }
    }
    // Refused for a fill that failed, poisoned, failed in closing, and calls that were not reached.
    expect([...codes.keys()].sort()).toEqual([
      '',
      'IO',
      'NO_SPACE',
      'OUTCOME_UNKNOWN',
      'SYNC_FAILED',
      'none',
    ]);
    expect(codes.get('OUTCOME_UNKNOWN')).toBeGreaterThan(40);
  });

  test('L11 the writer stops while a segment is being filled: the filling stops too', async () => {
    const world = worldOn();
    const log = await open(world, { segmentBytesMax: 4 * 1024 * 1024 });
    let filled = 0;
    let failing = false;
    world.fs.before = async (call) => {
      if (call.call === 'write' && !ofWriter(call)) {
        filled++;
        failing = true;
        await settle();
      }
      if (call.call === 'sync' && ofWriter(call) && failing) throw injected('EIO');
    };
    await settle();
    expect(filled).toBe(1);
    expect(await codeOf(log.append(record(1)))).toBe('OUTCOME_UNKNOWN');
    const start = world.fs.calls.length;
    await settle();
    await settle();
    await log.close();
    expect(world.fs.calls.slice(start).filter(changes)).toEqual([]);
    expect(filled).toBe(1);
  });

  test('L11 level os: what was written resolves, what was not is unknown', async () => {
    const world = worldOn();
    const log = await open(world, { durability: 'os', undurableBytesMax: 1024 * 1024 });
    expect(await log.append(record(1))).toBe(1);
    world.fs.before = (call) => {
      if (call.call === 'write' && ofWriter(call)) throw injected('EIO');
    };
    expect(await codeOf(log.append(record(2)))).toBe('OUTCOME_UNKNOWN');
    expect(log.tail).toBe(0);
    await log.close();
    const again = await open(await crashed(world, 'kept'));
    expect(await readAll(again)).toEqual(recordsOf(1, 1));
    await again.close();
  });

  test('L9 the sync of close fails: close says so, the lock is free, acknowledged records are there', async () => {
    const world = worldOn();
    const log = await open(world, { undurableBytesMax: 1024 * 1024 });
    await log.append(record(1));
    await log.append(record(2), { durability: 'os' });
    world.fs.before = (call) => {
      if (call.call === 'sync' && ofWriter(call)) throw injected('EIO');
    };
    const error = await errorOf(log.close());
    expect(error).toMatchObject({ kind: 'unavailable', code: 'SYNC_FAILED' });
    expect(error.details).toMatchObject({ durableLsn: 1, sealedLsn: 2 });
    world.fs.before = () => {};
    const again = await open(await crashed(world, 'dropped'));
    expect(await readAll(again)).toEqual(recordsOf(1, 1));
    await again.close();
    const here = await open(world);
    await here.close();
  });
});
