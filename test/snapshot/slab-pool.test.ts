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

test('more than may lie idle, or a buffer of another size: it is dropped', () => {
  const pool = new SlabPool(10_000);
  pool.release(new SharedArrayBuffer(8192));
  pool.release(new SharedArrayBuffer(4096));
  expect(pool.idleBytes).toBe(8192);
  pool.release(new SharedArrayBuffer(100));
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
