import { expect, test } from 'vitest';
import { slabBytes, SlabPool } from '../../src/snapshot/slab-pool.ts';

test('sizes: at least what is asked for, at most an eighth more', () => {
  for (const bytes of [1, 4096, 4097, 5000, 65_536, 65_537, 1_000_003, 2 ** 30 + 1]) {
    const size = slabBytes(bytes);
    expect(size).toBeGreaterThanOrEqual(bytes);
    expect(size).toBeLessThanOrEqual(Math.max(4096, bytes * 1.125));
    expect(slabBytes(size)).toBe(size);
  }
});

test('a slab that was returned: the next of its size is that one', () => {
  const pool = new SlabPool(1 << 20);
  const slab = pool.acquire(10_000);
  expect(slab.byteLength).toBe(10_240);
  pool.release(slab);
  expect(pool.idleBytes).toBe(10_240);
  expect(pool.acquire(10_100)).toBe(slab);
  expect(pool.idleBytes).toBe(0);
  expect(pool.acquire(10_100)).not.toBe(slab);
});

test('more than may lie idle: what came back longest ago is dropped', () => {
  const pool = new SlabPool(20_000);
  const [old, other] = [pool.acquire(8192), pool.acquire(4096)];
  pool.release(old);
  pool.release(other);
  const last = pool.acquire(10_240);
  pool.release(last);
  expect(pool.idleBytes).toBe(4096 + 10_240);
  expect(pool.acquire(8192)).not.toBe(old);
  expect(pool.acquire(4096)).toBe(other);
  expect(pool.acquire(10_240)).toBe(last);
});

test('a size that came back again: the others go before it', () => {
  const pool = new SlabPool(20_000);
  const [first, second] = [pool.acquire(8192), pool.acquire(4096)];
  pool.release(first);
  pool.release(second);
  pool.release(pool.acquire(8192));
  pool.release(new SharedArrayBuffer(10_240));
  expect(pool.acquire(8192)).toBe(first);
  expect(pool.acquire(4096)).not.toBe(second);
});

test('a bound that becomes less: the next that comes back finds it', () => {
  const pool = new SlabPool(1 << 20);
  pool.release(new SharedArrayBuffer(8192));
  pool.idleBytesMax = (): number => 4096;
  pool.release(new SharedArrayBuffer(4096));
  expect(pool.idleBytes).toBe(4096);
  pool.idleBytesMax = (): number => 0;
  pool.release(new SharedArrayBuffer(8192));
  expect(pool.idleBytes).toBe(0);
});

test('a buffer of another size, or larger than all that may lie idle: it is dropped, nothing else', () => {
  const pool = new SlabPool(10_000);
  pool.release(new SharedArrayBuffer(8192));
  pool.release(new SharedArrayBuffer(100));
  pool.release(new SharedArrayBuffer(16_384));
  expect(pool.idleBytes).toBe(8192);
});

test('a slab returned twice: the bug is found', () => {
  const pool = new SlabPool(1 << 20);
  const slab = pool.acquire(1);
  pool.release(slab);
  expect(() => pool.release(slab)).toThrow('released twice');
});

test('drained: every idle slab once, then none', () => {
  const pool = new SlabPool(1 << 20);
  const slabs = [1, 1, 10_000].map((bytes) => pool.acquire(bytes));
  for (const slab of slabs) pool.release(slab);
  expect(new Set(pool.drain())).toEqual(new Set(slabs));
  expect(pool.drain()).toEqual([]);
  expect(pool.idleBytes).toBe(0);
});
