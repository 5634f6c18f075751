/*
 * Shared memory for slices. Slabs are returned explicitly: V8 does not count shared buffers, so one
 * that is merely dropped stays resident until an unrelated collection. A returned slab is zeroed by
 * nobody; a slice overwrites all that it uses.
 * Sizes are rounded up to one of eight classes a power of two, so at most an eighth is unused.
 */
import { assert } from '../std/assert.ts';

const LEAST_BYTES = 4096;

/** Idle slabs, up to a bound; what is returned above it is dropped. */
export class SlabPool {
  readonly #idleBytesMax: number;
  readonly #idle = new Map<number, SharedArrayBuffer[]>();
  #idleBytes = 0;

  /** @param idleBytesMax bytes kept for the next `acquire` */
  constructor(idleBytesMax: number) {
    this.#idleBytesMax = idleBytesMax;
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
    if (size !== slabBytes(size) || this.#idleBytes + size > this.#idleBytesMax) return;
    const idle = this.#idle.get(size);
    assert(!idle?.includes(slab), 'a slab was released twice');
    if (idle) idle.push(slab);
    else this.#idle.set(size, [slab]);
    this.#idleBytes += size;
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
