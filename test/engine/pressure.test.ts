/*
 * What happens when checkpoints cannot keep up, or there is no space: waiting, refusing, and going
 * on without loss.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { injected } from '../tools/faulty-file-system.ts';
import { HeldStore } from './held-store.ts';
import { codeOf, errorOf, gate, noise, open, settle, worldOn } from './engine-fixture.ts';

const put = (engine: Engine, key: string, bytes: number): Promise<unknown> => {
  engine.operator('op').value('v').set(key, noise(bytes));
  return engine.commit();
};
const memtableBytesMax = 64 * 1024;

describe('frozen memtables', () => {
  test('four are frozen: a further checkpoint waits, and takes the state of when it goes on', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store });
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    const taken: Promise<number>[] = [];
    for (let n = 1; n <= 5; n++) {
      await put(engine, `k${n}`, 10);
      taken.push(engine.checkpoint().then(({ lsn }) => lsn));
      await settle(5);
      expect(engine.stats().frozenMemtables).toBe(Math.min(n, 4));
    }
    await put(engine, 'k6', 10);
    held.open();
    expect(await Promise.all(taken)).toEqual([1, 2, 3, 4, 6]);
    expect(engine.stats().frozenMemtables).toBe(0);
    await engine.close();
  });

  test('four checkpoints failed: the next one takes in what they had frozen', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store });
    store.before = (call) => {
      if (call === 'put') throw injected('ENOSPC');
    };
    for (let n = 1; n <= 4; n++) {
      await put(engine, `k${n}`, 10);
      expect(await codeOf(engine.checkpoint())).toBe('NO_SPACE');
    }
    expect(engine.stats().frozenMemtables).toBe(4);
    await put(engine, 'k5', 10);
    expect(await codeOf(engine.checkpoint())).toBe('NO_SPACE');
    store.before = () => {};
    expect((await engine.checkpoint()).lsn).toBe(5);
    expect(engine.stats()).toMatchObject({ frozenMemtables: 0, memtableBytes: 0 });
    for (let n = 1; n <= 5; n++) expect(engine.operator('op').value('v').has(`k${n}`)).toBe(true);
    await engine.close();
  });

  test('the engine is closed while a checkpoint waits for a frozen memtable: CLOSED, the others end', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store });
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    const taken: Promise<unknown>[] = [];
    for (let n = 1; n <= 5; n++) {
      await put(engine, `k${n}`, 10);
      taken.push(
        engine.checkpoint().then(
          ({ lsn }) => lsn,
          ({ code }) => code as string,
        ),
      );
    }
    await settle();
    const closed = engine.close();
    held.open();
    await closed;
    expect(await Promise.all(taken)).toEqual([1, 2, 3, 4, 'CLOSED']);
    expect(store.calls.at(-1)).toBe('close');
  });
});

describe('memtable bytes', () => {
  test('half the bound is reached: a checkpoint starts by itself', async () => {
    const engine = await open(worldOn(), { memtableBytesMax });
    const records: number[] = [];
    engine.on('checkpoint', ({ lsn }) => records.push(lsn));
    await put(engine, 'a', 20_000);
    await settle();
    expect(records).toEqual([]);
    await put(engine, 'b', 20_000);
    await settle();
    expect(records).toEqual([2]);
    expect(engine.stats().memtableBytes).toBe(0);
    await engine.close();
  });

  test('past the bound: commits are durable and wait, stats say why, in order when there is room', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store, memtableBytesMax });
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    const done: number[] = [];
    const commits: Promise<unknown>[] = [];
    for (let n = 0; n < 3; n++) {
      commits.push(put(engine, `k${n}`, 30_000).then(() => done.push(n)));
      await settle();
    }
    expect(done).toEqual([0, 1]);
    expect(engine.stats()).toMatchObject({ waitingFor: 'memtable' });
    expect(engine.durableLsn).toBe(3);
    held.open();
    await Promise.all(commits);
    expect(done).toEqual([0, 1, 2]);
    await settle();
    expect(engine.stats().waitingFor).toBeUndefined();
    await engine.close();
  });

  test('past twice the bound: OVERLOADED before sealing, the transaction is still open, and it goes on', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store, memtableBytesMax });
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    const commits = [0, 1, 2, 3, 4].map((n) => put(engine, `k${n}`, 30_000));
    const refused = await errorOf(put(engine, 'refused', 10));
    expect([refused.code, refused.kind]).toEqual(['OVERLOADED', 'unavailable']);
    expect([engine.sealedLsn, engine.stats().openChanges]).toEqual([5, 1]);
    held.open();
    await Promise.all(commits);
    await engine.commit();
    expect(engine.operator('op').value('v').has('refused')).toBe(true);
    await engine.close();
  });

  test('the checkpoint fails while commits wait: they go on, and the next commit tries it again', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store, memtableBytesMax });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    store.before = (call) => {
      if (call === 'put') throw injected('ENOSPC');
    };
    let refused = 0;
    for (let n = 0; n < 20; n++) {
      engine.operator('op').value('v').set(`k${n}`, noise(15_000));
      const code = await engine.commit().then(
        () => '',
        (error: { code: string }) => error.code,
      );
      if (code !== '') refused++;
      await settle();
    }
    expect(refused).toBeGreaterThan(0);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toMatchObject({ code: 'NO_SPACE' });
    store.before = () => {};
    // Refused once more, this commit starts the checkpoint that makes room.
    await engine.commit().catch(() => {});
    await settle();
    await engine.commit();
    expect(engine.stats().memtableBytes).toBeLessThan(2 * memtableBytesMax);
    for (let n = 0; n < 20; n++) expect(engine.operator('op').value('v').has(`k${n}`)).toBe(true);
    await engine.close();
  });

  test('one commit fills what a failed checkpoint left: it does not wait for ever', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store, memtableBytesMax });
    let failing = true;
    store.before = (call) => {
      if (failing && call === 'put') throw injected('ENOSPC');
    };
    await put(engine, 'a', 60_000);
    await settle();
    failing = false;
    await put(engine, 'b', 10_000);
    await settle();
    expect(engine.stats()).toMatchObject({ memtableBytes: 0, waitingFor: undefined });
    await engine.close();
  });
});

describe('no space', () => {
  test('for a snapshot: the checkpoint is refused, nothing is lost, it works when there is space', async () => {
    const world = worldOn();
    const engine = await open(world);
    await put(engine, 'a', 1000);
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path.includes('~staging')) throw injected('ENOSPC');
    };
    const error = await errorOf(engine.checkpoint());
    expect([error.code, error.kind]).toEqual(['NO_SPACE', 'unavailable']);
    expect(await engine.checkpoints()).toEqual([]);
    expect(await world.fs.list('/store/~staging')).toEqual([]);
    await put(engine, 'b', 1000);
    world.fs.before = () => {};
    const record = await engine.checkpoint();
    expect([record.lsn, engine.stats().frozenMemtables]).toEqual([2, 0]);
    await engine.close();
    const again = await open(world);
    expect([...again.operator('op').value('v').keys()].map(String).sort()).toEqual(['a', 'b']);
    await again.close();
  });

  test('for the log: NO_SPACE before sealing, the transaction is still open, work goes on when there is space', async () => {
    const world = worldOn();
    let full = false;
    world.fs.before = ({ call, path }) => {
      // Segments that are ready by now have their space; no further one gets any.
      if (full && call === 'open' && path.endsWith('.new')) throw injected('ENOSPC');
    };
    const freeBytes = world.fs.freeBytes.bind(world.fs);
    world.fs.freeBytes = (path) => (full ? 0 : freeBytes(path));
    const engine = await open(world, { segmentBytesMax: 64 * 1024 });
    full = true;
    let acknowledged = 0;
    let error: { code: string } | undefined;
    while (!error) {
      engine.operator('op').value('v').set(`k${acknowledged}`, noise(20_000));
      await engine.commit().then(
        () => acknowledged++,
        (refused: { code: string }) => {
          error = refused;
        },
      );
    }
    expect(error.code).toBe('NO_SPACE');
    expect([engine.sealedLsn, engine.stats().openChanges]).toEqual([acknowledged, 1]);
    expect(engine.stats().poisoned).toBeUndefined();
    expect(await codeOf(engine.commit())).toBe('NO_SPACE');
    full = false;
    // A refusal asks for the next segment; then there is one.
    await settle();
    await engine.commit().catch(() => settle());
    if (engine.sealedLsn === acknowledged) await engine.commit();
    expect(engine.sealedLsn).toBe(acknowledged + 1);
    await engine.close();
    const again = await open(world);
    expect(again.operator('op').value('v').count()).toBe(acknowledged + 1);
    await again.close();
  });

  test('a store on a volume that fills up and is emptied: every acknowledged commit is there', async () => {
    const { FaultyFileSystem } = await import('../tools/faulty-file-system.ts');
    const fs = new FaultyFileSystem({ capacityBytes: 2_000_000 });
    const world = worldOn(fs);
    const engine = await open(world, { segmentBytesMax: 64 * 1024, memtableBytesMax });
    engine.on('failure', () => {});
    const acknowledged: string[] = [];
    const codes = new Set<string>();
    for (let n = 0; n < 120; n++) {
      engine.rollback();
      engine.operator('op').value('v').set(`k${n}`, noise(12_000, n));
      await engine.commit().then(
        () => acknowledged.push(`k${n}`),
        (error: { code: string }) => codes.add(error.code),
      );
      await settle(3);
    }
    expect(acknowledged.length).toBeGreaterThan(20);
    expect([...codes].filter((code) => code !== 'NO_SPACE' && code !== 'OVERLOADED')).toEqual([]);
    expect(codes.size).toBeGreaterThan(0);
    expect(engine.stats().poisoned).toBeUndefined();
    await engine.close();
    const larger = worldOn(await fs.crash('dropped'), world.clock, 9);
    const again = await open(larger, { segmentBytesMax: 64 * 1024 });
    for (const key of acknowledged) {
      expect(again.operator('op').value('v').get(key)).toEqual(noise(12_000, Number(key.slice(1))));
    }
    expect(again.operator('op').value('v').count()).toBe(acknowledged.length);
    await again.close();
  });
});
