/*
 * Blocks of snapshot files in memory, decompressed, up to a bound: those that were used lately stay
 * (second chance: a hand goes round, and takes the first block that was not used since it last
 * passed). A block that is taken is overwritten in place, so nothing may keep its bytes: who reads
 * an entry copies it out in the same turn. The tables that say where blocks stand count against the
 * same bound, up to a part of it: what is kept does not grow with the state. Main thread only.
 */
import { assert, must } from '../std/assert.ts';
import { blockBytes } from './snapshot-format.ts';

/** Blocks that a cache has at least: a lookup never waits for itself. */
export const cachedBlocksLeast = 8;

/** Of the bound, what tables may take: one of so many parts. */
const TABLE_PART = 4;

/** Idle blocks that are kept when those who read them are done. */
const IDLE_MAX = 64;

/** Who reads blocks, and hears when one is taken from it. */
export interface BlockOwner {
  blockTaken(index: number): void;
}

/** Who holds the table of a slice, and hears when it has to go. */
export interface TableOwner {
  /** Set by whoever looks into the table. */
  tableUsed: boolean;
  tableTaken(): void;
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
  readonly #bytesMax: number;
  readonly #tables = new Map<TableOwner, number>();
  #tableBytes = 0;
  readonly #blocks: CachedBlock[] = [];
  #idle: CachedBlock[] = [];
  #hand = 0;
  #reads = 0;

  /** @param bytesMax bytes of blocks and tables; at least 8 blocks and one table are kept */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#blocks.length * blockBytes + this.#tableBytes;
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
    this.#remove(block);
  }

  /** Counts a table that its owner has read; others go until all together take their part at most. */
  holdTable(owner: TableOwner, bytes: number): void {
    assert(!this.#tables.has(owner), 'a table was read twice');
    this.#tables.set(owner, bytes);
    this.#tableBytes += bytes;
    const most = this.#bytesMax / TABLE_PART;
    while (this.#tableBytes > most && this.#tables.size > 1) this.#takeTable(owner);
    while (this.bytes > this.#bytesMax && this.#blocks.length > cachedBlocksLeast) {
      this.#remove(this.#idle.pop() ?? this.#evict());
    }
  }

  /** The owner needs its table no longer. */
  dropTable(owner: TableOwner): void {
    this.#tableBytes -= this.#tables.get(owner) ?? 0;
    this.#tables.delete(owner);
  }

  /** Takes the table that was read first of those that were not used since it was looked at. */
  #takeTable(but: TableOwner): void {
    for (;;) {
      const [owner, bytes] = must(this.#tables.entries().next().value, 'there are tables');
      if (owner !== but && !owner.tableUsed) {
        this.dropTable(owner);
        owner.tableTaken();
        return;
      }
      if (owner !== but) owner.tableUsed = false;
      this.#tables.delete(owner);
      this.#tables.set(owner, bytes);
    }
  }

  #remove(block: CachedBlock): void {
    const at = this.#blocks.indexOf(block);
    const last = must(this.#blocks.pop(), 'a cache holds the blocks that it lent');
    if (last !== block) this.#blocks[at] = last;
  }

  #grow(): CachedBlock | undefined {
    const isFull = this.bytes + blockBytes > this.#bytesMax;
    if (isFull && this.#blocks.length >= cachedBlocksLeast) return undefined;
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
