/*
 * An open file of a disk: whole reads and whole writes out of system calls that may be short.
 *
 * The number of a closed file is given to the next one opened, so a call on a closed handle is
 * refused here (EBADF), and `close` waits for the calls under way: neither can reach another file.
 */
import { assert } from '../std/assert.ts';
import { openFlags, readNow, type DiskCalls, type HeldCalls } from './disk-calls.ts';
import type { FileHandle } from './file-system.ts';
import { HeldWrites } from './held-writes.ts';
import { checkOffset, systemError } from './system-error.ts';

/** Buffers that one `writev` takes (IOV_MAX of Linux and macOS). */
const callBuffersMax = 1024;

/** Bytes of one call; Node hands the count of a call over as a signed 32-bit integer. */
const callBytesMax = 1024 * 1024 * 1024;

/** An open file; @internal */
export class DiskFile implements FileHandle {
  readonly #calls: DiskCalls;
  readonly #fd: number;
  readonly #path: string;
  #underWay = 0;
  #closed = false;
  #whenIdle: (() => void) | undefined;
  /** Of the file opened for `writeThrough`; undefined: two calls instead. */
  #through: Promise<number | undefined> | undefined;
  readonly #held = new HeldWrites();

  constructor(calls: DiskCalls, fd: number, path: string) {
    this.#calls = calls;
    this.#fd = fd;
    this.#path = path;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#run('read', () => this.#readAll(target, position));
  }

  readNow(target: Uint8Array, position: number): number {
    if (this.#closed) throw systemError('EBADF', 'read', this.#path);
    checkOffset(position, 'read', this.#path);
    let done = 0;
    while (done < target.byteLength) {
      const bytes = Math.min(target.byteLength - done, callBytesMax);
      const read = readNow(this.#fd, target, done, bytes, position + done);
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  write(source: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    return this.#run('write', () => this.#write(source, position, this.#fd));
  }

  writeThrough(
    source: Uint8Array | readonly Uint8Array[],
    position: number,
    mayHold = false,
  ): Promise<void> {
    return this.#run('write', async () => {
      this.#through ??= this.#openThrough();
      const fd = await this.#through;
      if (fd !== undefined) return this.#writeThrough(source, position, fd, mayHold);
      await this.#write(source, position, this.#fd);
      await this.#calls.fdatasync(this.#fd);
    });
  }

  sync(): Promise<void> {
    return this.#run('fdatasync', () => this.#calls.fdatasync(this.#fd));
  }

  size(): Promise<number> {
    return this.#run('fstat', async () => (await this.#calls.fstat(this.#fd)).size);
  }

  truncate(bytes: number): Promise<void> {
    return this.#run('ftruncate', () => {
      checkOffset(bytes, 'ftruncate', this.#path);
      return this.#calls.ftruncate(this.#fd, bytes);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) throw systemError('EBADF', 'close', this.#path);
    this.#closed = true;
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    const through = await this.#through;
    if (through !== undefined) await this.#calls.close(through);
    await this.#calls.close(this.#fd);
  }

  #write(source: Uint8Array | readonly Uint8Array[], position: number, fd: number): Promise<void> {
    return ArrayBuffer.isView(source)
      ? this.#writeOne(source, position, fd)
      : this.#writeMany(source, position, fd);
  }

  /** At once, or by a thread of the pool (held-writes.ts). */
  async #writeThrough(
    source: Uint8Array | readonly Uint8Array[],
    position: number,
    fd: number,
    mayHold: boolean,
  ): Promise<void> {
    const calls = this.#calls.held;
    if (!calls) return this.#write(source, position, fd);
    const began = calls.nowMs();
    const whole = ArrayBuffer.isView(source) ? source : undefined;
    if (!mayHold || !whole || !this.#held.allow(whole.byteLength)) {
      await this.#write(source, position, fd);
      this.#held.answered(calls.nowMs() - began);
      return;
    }
    this.#writeNow(calls, whole, position, fd);
    const writeMs = calls.nowMs() - began;
    // A caller that goes on in a microtask, and writes again, would keep everything else waiting.
    await calls.turn();
    this.#held.held(writeMs, calls.nowMs() - began);
  }

  #writeNow(calls: HeldCalls, source: Uint8Array, position: number, fd: number): void {
    checkOffset(position, 'write', this.#path);
    for (let done = 0; done < source.byteLength;) {
      const bytes = source.byteLength - done;
      const written = calls.write(fd, source, done, bytes, position + done);
      this.#checkProgress(written, bytes);
      done += written;
    }
  }

  /**
   * The same file once more, whatever its name is by now, for writes that the kernel syncs. Linux
   * only: on macOS O_DSYNC does not reach the medium, as fdatasync of Node does there. Where it
   * cannot be had, two calls do the same.
   */
  async #openThrough(): Promise<number | undefined> {
    if (process.platform !== 'linux') return undefined;
    try {
      return await this.#calls.open(`/proc/self/fd/${this.#fd}`, openFlags.through);
    } catch {
      return undefined;
    }
  }

  async #run<T>(syscall: string, action: () => Promise<T>): Promise<T> {
    if (this.#closed) throw systemError('EBADF', syscall, this.#path);
    this.#underWay++;
    try {
      return await action();
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) this.#whenIdle?.();
    }
  }

  async #readAll(target: Uint8Array, position: number): Promise<number> {
    checkOffset(position, 'read', this.#path);
    let done = 0;
    while (done < target.byteLength) {
      const bytes = Math.min(target.byteLength - done, callBytesMax);
      const read = await this.#calls.read(this.#fd, target, done, bytes, position + done);
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  async #writeOne(source: Uint8Array, position: number, fd: number): Promise<void> {
    checkOffset(position, 'write', this.#path);
    let done = 0;
    while (done < source.byteLength) {
      const bytes = Math.min(source.byteLength - done, callBytesMax);
      const written = await this.#calls.write(fd, source, done, bytes, position + done);
      this.#checkProgress(written, bytes);
      done += written;
    }
  }

  async #writeMany(sources: readonly Uint8Array[], position: number, fd: number): Promise<void> {
    checkOffset(position, 'write', this.#path);
    let index = 0;
    let skipped = 0; // Bytes of sources[index] that are written already.
    let to = position;
    while (index < sources.length) {
      const batch = takeBatch(sources, index, skipped);
      if (batch.bytes > 0) {
        const written = await this.#calls.writev(fd, batch.buffers, to);
        this.#checkProgress(written, batch.bytes);
        to += written;
        skipped += written;
      }
      // Steps over what is written whole, and over empty buffers, but never past the batch.
      const batchEnd = index + batch.buffers.length;
      while (index < batchEnd && skipped >= sources[index]!.byteLength) {
        skipped -= sources[index]!.byteLength;
        index++;
      }
    }
  }

  /** A write that takes nothing would be repeated for ever; one that takes more is not understood. */
  #checkProgress(written: number, asked: number): void {
    if (written === 0) throw systemError('EIO', 'write', this.#path);
    assert(written > 0 && written <= asked, 'a write takes no more than it was given', {
      written,
      asked,
    });
  }
}

/** The next buffers that one call may take, the first without what is written already. */
function takeBatch(
  sources: readonly Uint8Array[],
  index: number,
  skipped: number,
): { buffers: Uint8Array[]; bytes: number } {
  const buffers: Uint8Array[] = [];
  let bytes = 0;
  for (let at = index; at < sources.length && buffers.length < callBuffersMax; at++) {
    const source = sources[at]!;
    const rest = at === index && skipped > 0 ? source.subarray(skipped) : source;
    const room = callBytesMax - bytes;
    buffers.push(rest.byteLength > room ? rest.subarray(0, room) : rest);
    bytes += Math.min(rest.byteLength, room);
    if (bytes === callBytesMax) break;
  }
  return { buffers, bytes };
}
