/*
 * Iteration: what it sees, in which order, and what it holds on to.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, Key } from '../../src/engine/index.ts';
import { codeOf, open, worldOn } from '../engine/engine-fixture.ts';

function fill(engine: Engine, from: number, to: number): void {
  const op = engine.operator('op');
  for (let n = from; n < to; n++) {
    op.value<number>('v').set(`k${n}`, n);
    op.map<number, number>('m').set('k', n, n);
    op.counter('c').add(`k${n}`, n);
  }
}

describe('an iterator', () => {
  test('sets, commits, freezes, checkpoints and merges go on beside it: it sees its start', async () => {
    const engine = await open(worldOn());
    const value = engine.operator('op').value<number>('v');
    fill(engine, 0, 50);
    await engine.commit();
    await engine.checkpoint();
    fill(engine, 25, 75);
    await engine.commit();
    value.set('open', -1);
    const before = [...value.entries()];
    const subKeys = [...engine.operator('op').map<number, number>('m').entries('k')];
    const running = value.entries();
    const keys = value.keys();
    const ofKey = engine.operator('op').map<number, number>('m').entries('k');
    const found: [Key, number][] = [];
    const foundKeys: Key[] = [];
    const foundSub: unknown[] = [];
    for (let i = 0; ; i++) {
      const next = running.next();
      if (next.done === true) break;
      found.push(next.value);
      foundKeys.push(keys.next().value as Key);
      const sub = ofKey.next();
      if (sub.done !== true) foundSub.push(sub.value);
      value.set(`k${i}`, -i);
      value.delete(`k${i + 30}`);
      engine.operator('op').map('m').delete('k', i);
      if (i % 3 === 0) await engine.commit();
      if (i % 5 === 0) await engine.checkpoint();
      if (i === 40) await engine.checkpoint({ kind: 'base' });
      if (i === 50) value.clearAll();
    }
    expect(found).toEqual(before);
    expect(foundKeys).toEqual(before.map(([key]) => key));
    expect(foundSub).toEqual(subKeys.slice(0, foundSub.length));
    expect(foundSub.length).toBeGreaterThan(40);
    await engine.close();
  });

  test('given up half-way, or never begun: nothing is held that hurts later merges', async () => {
    const engine = await open(worldOn());
    fill(engine, 0, 50);
    await engine.commit();
    await engine.checkpoint();
    const value = engine.operator('op').value<number>('v');
    const dropped = value.entries();
    dropped.next();
    value.entries();
    engine.operator('op').map('m').keys();
    for (const _ of value.keys()) break;
    for (let round = 0; round < 4; round++) {
      fill(engine, round * 10, round * 10 + 30);
      await engine.commit();
      await engine.checkpoint({ kind: 'base' });
      expect(value.count()).toBe(Math.max(50, round * 10 + 30));
    }
    // The one that was dropped still reads the slabs that it holds.
    expect([...dropped]).toHaveLength(49);
    await engine.close();
  });

  test('ended early: the memory of its image is used again', async () => {
    const engine = await open(worldOn());
    fill(engine, 0, 50);
    await engine.commit();
    await engine.checkpoint();
    for (const _ of engine.operator('op').value('v').entries()) break;
    const before = engine.stats().imageBytes;
    for (let round = 0; round < 5; round++) {
      fill(engine, 0, 50);
      await engine.commit();
      await engine.checkpoint({ kind: 'base' });
    }
    expect(engine.stats().imageBytes).toBe(before);
    await engine.close();
  });

  test('equal content that came about in other ways: equal order', async () => {
    const orders: unknown[] = [];
    for (const way of ['at once', 'piecemeal', 'restarted']) {
      const world = worldOn();
      let engine = await open(world);
      if (way === 'at once') fill(engine, 0, 60);
      else {
        for (let n = 59; n >= 0; n--) {
          engine.operator('op').value('v').set(`k${n}`, 'old');
          fill(engine, n, n + 1);
          if (n % 7 === 0) await engine.commit();
          if (n % 20 === 0) await engine.checkpoint();
        }
      }
      await engine.commit();
      if (way === 'restarted') {
        await engine.close();
        engine = await open(world);
      }
      const op = engine.operator('op');
      orders.push([
        [...op.value('v').keys()],
        [...op.map('m').entries()],
        [...op.counter('c').keys()],
      ]);
      await engine.close();
    }
    expect(orders[1]).toEqual(orders[0]);
    expect(orders[2]).toEqual(orders[0]);
  });

  test('cleared tables above images: only what came after', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    fill(engine, 0, 20);
    await engine.commit();
    await engine.checkpoint();
    for (const stage of ['open', 'committed', 'checkpointed', 'merged']) {
      if (stage === 'open') {
        op.value('v').clearAll();
        op.map('m').clearAll();
        op.counter('c').clearAll();
        fill(engine, 5, 7);
      }
      if (stage === 'committed') await engine.commit();
      if (stage === 'checkpointed') await engine.checkpoint();
      if (stage === 'merged') await engine.checkpoint({ kind: 'base' });
      expect([stage, [...op.value('v').keys()].map(String).sort()]).toEqual([stage, ['k5', 'k6']]);
      expect([...op.map('m').entries('k')]).toEqual([
        [5, 5],
        [6, 6],
      ]);
      expect([...op.counter('c').entries()].sort((a, b) => a[1] - b[1])).toEqual([
        ['k5', 5],
        ['k6', 6],
      ]);
      expect([op.value('v').get('k1'), op.counter('c').get('k1')]).toEqual([undefined, 0]);
    }
    await engine.close();
  });

  test('getEntry, before the commit and behind it: LSN and time of the commit, expiry', async () => {
    const world = worldOn();
    world.clock.advance(5);
    const engine = await open(world);
    const value = engine.operator('op').value('v');
    value.set('k', 1, { ttlMs: 10 });
    value.set('forever', undefined);
    expect(value.getEntry('k')).toEqual({
      value: 1,
      lsn: 0,
      timestamp: 0,
      expiresAt: 15_000,
      version: 1,
    });
    expect([value.has('forever'), value.get('forever')]).toEqual([true, undefined]);
    const { lsn, timestamp } = await engine.commit();
    for (const checkpoint of [false, true]) {
      if (checkpoint) await engine.checkpoint();
      expect(value.getEntry('k')).toEqual({
        value: 1,
        lsn,
        timestamp,
        expiresAt: 15_000,
        version: 1,
      });
      expect(value.getEntry('forever')).toEqual({
        value: undefined,
        lsn,
        timestamp,
        expiresAt: undefined,
        version: 1,
      });
      expect(value.getEntry('none')).toBeUndefined();
    }
    expect([lsn, timestamp]).toEqual([1, 5000]);
    expect((await engine.commit()).timestamp).toBe(5001);
    expect(
      await codeOf(() =>
        engine
          .operator('op')
          .map('m')
          .keys(undefined as never),
      ),
    ).toBe('INVALID_KEY');
    await engine.close();
  });
});
