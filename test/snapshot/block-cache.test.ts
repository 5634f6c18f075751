import { expect, test } from 'vitest';
import { BlockCache, cachedBlocksLeast } from '../../src/snapshot/block-cache.ts';
import { blockBytes } from '../../src/snapshot/snapshot-format.ts';

test('a full cache: the block that was used least lately is taken, and its owner told', () => {
  const taken: number[] = [];
  const owner = { blockTaken: (index: number) => void taken.push(index) };
  const cache = new BlockCache(0);
  const blocks = Array.from({ length: cachedBlocksLeast }, (_, i) => cache.take(owner, i));
  expect(cache.bytes).toBe(cachedBlocksLeast * blockBytes);
  // All were used: the hand goes round once, and takes the first that it meets again.
  const next = cache.take(owner, 100);
  expect(taken).toEqual([1]);
  expect(blocks).toContain(next);
  blocks[2]!.used = true;
  cache.take(owner, 101);
  expect(taken).toEqual([1, 3]);
  expect(cache.bytes).toBe(cachedBlocksLeast * blockBytes);
  expect(cache.reads).toBe(cachedBlocksLeast + 2);
});

test('a bound above the least: so many blocks are kept', () => {
  const cache = new BlockCache(20 * blockBytes + 1);
  const owner = { blockTaken: () => {} };
  for (let i = 0; i < 30; i++) cache.take(owner, i);
  expect(cache.bytes).toBe(20 * blockBytes);
});

test('a block that is dropped: used again before another is made; of many only some are kept', () => {
  const owner = { blockTaken: () => {} };
  const cache = new BlockCache(1000 * blockBytes);
  const block = cache.take(owner, 0);
  cache.drop(block);
  expect(cache.take(owner, 1)).toBe(block);
  const blocks = Array.from({ length: 200 }, (_, i) => cache.take(owner, i + 2));
  for (const one of blocks) cache.drop(one);
  expect(cache.bytes).toBe(65 * blockBytes);
  expect(() => cache.drop(blocks[0]!)).toThrow('twice');
});
