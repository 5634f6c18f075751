/*
 * Shared memory for slices. Slabs are returned explicitly: V8 does not count shared buffers, so one
 * that is merely dropped stays resident until an unrelated collection. A returned slab is zeroed by
 * nobody; a slice overwrites all that it uses.
 * Sizes are rounded up to one of eight classes a power of two, so at most an eighth is unused.
 */
import { assert } from '../std/assert.ts';

const LEAST_BYTES = 4096;
const MIB = 1024 * 1024;
/** Bytes that an engine keeps idle at most; all of them while the state is loaded. */
export const idleSlabBytesMost: number = 256 * MIB;
const idleSlabBytesLeast = 32 * MIB;

/** Bytes that an engine keeps idle for the next images: half of what images have. */
export function idleSlabBytes(imageBytes: number): number {
  return Math.min(idleSlabBytesMost, Math.max(idleSlabBytesLeast, imageBytes / 2));
}

/**
 * Idle slabs, up to a bound. Above it the one of the size that came back longest ago is dropped, so that
 * sizes which nobody asks for any more do not take the place of those that are.
 */
export class SlabPool {
  /** By size, in the order in which one of each came back last. */
  readonly #idle = new Map<number, SharedArrayBuffer[]>();
  #idleBytes = 0;

  /** Bytes kept for the next `acquire`; asked whenever a slab comes back. */
  idleBytesMax: () => number;

  constructor(idleBytesMax: number) {
    this.idleBytesMax = (): number => idleBytesMax;
  }

  /** Bytes kept idle. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** A slab of at least this many bytes; its contents are arbitrary. */
  acquire(bytes: number): SharedArrayBuffer {
    const size = slabBytes(bytes);
    const slab = this.#idle.get(size)?.pop();
    if (slab) this.#idleBytes -= size;
    return slab ?? new SharedArrayBuffer(size);
  }

  /** Takes back a slab that nothing reads any more, from whichever pool it came. */
  release(slab: SharedArrayBuffer): void {
    const size = slab.byteLength;
    const bytesMax = this.idleBytesMax();
    // One that is larger than the bound would take all others along.
    if (size === slabBytes(size) && size <= bytesMax) this.#keep(slab, size);
    this.#dropAbove(bytesMax);
  }

  #keep(slab: SharedArrayBuffer, size: number): void {
    const idle = this.#idle.get(size) ?? [];
    assert(!idle.includes(slab), 'a slab was released twice');
    idle.push(slab);
    this.#idle.delete(size);
    this.#idle.set(size, idle);
    this.#idleBytes += size;
  }

  #dropAbove(bytesMax: number): void {
    for (const [size, idle] of this.#idle) {
      while (this.#idleBytes > bytesMax && idle.length > 0) {
        idle.pop();
        this.#idleBytes -= size;
      }
      if (this.#idleBytes <= bytesMax) return;
      this.#idle.delete(size);
    }
  }

  /** Gives up all idle slabs, to be dropped or posted to another thread's pool. */
  drain(): SharedArrayBuffer[] {
    const slabs = [...this.#idle.values()].flat();
    this.#idle.clear();
    this.#idleBytes = 0;
    return slabs;
  }
}

/** The size class of a number of bytes. */
export function slabBytes(bytes: number): number {
  if (bytes <= LEAST_BYTES) return LEAST_BYTES;
  const power = 2 ** Math.floor(Math.log2(bytes));
  const step = power / 8;
  return Math.ceil(bytes / step) * step;
}
