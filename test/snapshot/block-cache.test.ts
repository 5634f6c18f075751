import { describe, expect, test } from 'vitest';
import { BlockCache, cachedBlocksLeast, type TableOwner } from '../../src/snapshot/block-cache.ts';
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

describe('tables of slices', () => {
  const ownerOf = (taken: number[], id: number): TableOwner => ({
    tableUsed: false,
    tableTaken: () => void taken.push(id),
  });

  test('more than their part: those go that were used least lately, never the last one', () => {
    const taken: number[] = [];
    const owners = Array.from({ length: 6 }, (_, id) => ownerOf(taken, id));
    const cache = new BlockCache(400 * blockBytes);
    const part = 100 * blockBytes;
    for (const owner of owners.slice(0, 4)) cache.holdTable(owner, part / 4);
    expect([cache.bytes, taken]).toEqual([part, []]);
    owners[0]!.tableUsed = true;
    cache.holdTable(owners[4]!, part / 4);
    expect([cache.bytes, taken]).toEqual([part, [1]]);
    cache.holdTable(owners[5]!, part * 2);
    expect([cache.bytes, taken]).toEqual([part * 2, [1, 2, 3, 4, 0]]);
    cache.dropTable(owners[5]!);
    cache.dropTable(owners[5]!);
    expect(cache.bytes).toBe(0);
  });

  test('blocks make room for them, down to the least number', () => {
    const blocks: number[] = [];
    const owner = { blockTaken: (index: number) => void blocks.push(index) };
    const cache = new BlockCache(20 * blockBytes);
    for (let i = 0; i < 20; i++) cache.take(owner, i);
    const table = ownerOf([], 0);
    cache.holdTable(table, 3 * blockBytes + 1);
    expect(cache.bytes).toBe(19 * blockBytes + 1);
    expect(new Set(blocks).size).toBe(4);
    // No other block is made meanwhile.
    cache.take(owner, 20);
    expect(cache.bytes).toBe(19 * blockBytes + 1);
    cache.dropTable(table);
    for (let i = 21; i < 30; i++) cache.take(owner, i);
    expect(cache.bytes).toBe(20 * blockBytes);
    cache.holdTable(ownerOf([], 1), 100 * blockBytes);
    expect(cache.bytes).toBe((100 + cachedBlocksLeast) * blockBytes);
  });
});
