/*
 * Blocks of snapshot files in memory, decompressed, up to a bound: those that were used lately stay
 * (second chance: a hand goes round, and takes the first block that was not used since it last
 * passed). A block that is taken is overwritten in place, so nothing may keep its bytes: who reads
 * an entry copies it out in the same turn. Main thread only.
 */
import { assert, must } from '../std/assert.ts';
import { blockBytes } from './snapshot-format.ts';

/** Blocks that a cache has at least: a lookup never waits for itself. */
export const cachedBlocksLeast = 16;

/** Idle blocks that are kept when those who read them are done. */
const IDLE_MAX = 64;

/** Who reads blocks, and hears when one is taken from it. */
export interface BlockOwner {
  blockTaken(index: number): void;
}

/** The place of one block. */
export class CachedBlock {
  readonly bytes: Uint8Array = new Uint8Array(blockBytes);
  readonly words: Uint32Array = new Uint32Array(this.bytes.buffer);
  owner: BlockOwner | undefined;
  index = 0;
  /** Set by whoever reads it. */
  used = false;
}

export class BlockCache {
  readonly #most: number;
  readonly #blocks: CachedBlock[] = [];
  #idle: CachedBlock[] = [];
  #hand = 0;
  #reads = 0;

  /** @param bytesMax bytes of blocks; at least 16 blocks are kept */
  constructor(bytesMax: number) {
    this.#most = Math.max(cachedBlocksLeast, Math.floor(bytesMax / blockBytes));
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#blocks.length * blockBytes;
  }

  /** Blocks that were read since the cache was made. */
  get reads(): number {
    return this.#reads;
  }

  /** A place for a block that its owner is about to read. */
  take(owner: BlockOwner, index: number): CachedBlock {
    this.#reads++;
    const block = this.#idle.pop() ?? this.#grow() ?? this.#evict();
    block.owner = owner;
    block.index = index;
    block.used = true;
    return block;
  }

  /** The owner needs a block no longer. */
  drop(block: CachedBlock): void {
    assert(block.owner !== undefined, 'a block was dropped twice');
    block.owner = undefined;
    block.used = false;
    if (this.#idle.length < IDLE_MAX) {
      this.#idle.push(block);
      return;
    }
    const at = this.#blocks.indexOf(block);
    const last = must(this.#blocks.pop(), 'a cache holds the blocks that it lent');
    if (last !== block) this.#blocks[at] = last;
  }

  #grow(): CachedBlock | undefined {
    if (this.#blocks.length >= this.#most) return undefined;
    const block = new CachedBlock();
    this.#blocks.push(block);
    return block;
  }

  #evict(): CachedBlock {
    for (;;) {
      this.#hand = this.#hand >= this.#blocks.length - 1 ? 0 : this.#hand + 1;
      const block = this.#blocks[this.#hand]!;
      if (block.used) {
        block.used = false;
        continue;
      }
      block.owner?.blockTaken(block.index);
      return block;
    }
  }
}
