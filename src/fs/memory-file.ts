/*
 * The bytes of a file in memory: a list of chunks, the last of which doubles as it grows. Growing
 * never copies more than one chunk, and what was never written takes no memory and reads as zeros.
 */

const chunkBytesMax = 1024 * 1024;
const chunkBytesMin = 4096;

/** Growable, sparse bytes. */
export class MemoryFile {
  /** Names in directories. */
  names = 0;
  /** Open handles, the lock's among them. */
  handles = 0;
  locked = false;
  /** A missing chunk, and what lies behind a short one, is zeros. */
  readonly #chunks: (Uint8Array | undefined)[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Copies out what there is from `position`; returns how much. */
  read(target: Uint8Array, position: number): number {
    const bytes = Math.max(0, Math.min(target.byteLength, this.#bytes - position));
    for (let done = 0; done < bytes;) {
      const at = (position + done) % chunkBytesMax;
      const part = Math.min(bytes - done, chunkBytesMax - at);
      const chunk = this.#chunks[Math.floor((position + done) / chunkBytesMax)];
      const stored = chunk?.subarray(at, at + part);
      if (stored) target.set(stored, done);
      target.fill(0, done + (stored?.byteLength ?? 0), done + part);
      done += part;
    }
    return bytes;
  }

  /** Copies in, growing the file to fit. */
  write(source: Uint8Array, position: number): void {
    for (let done = 0; done < source.byteLength;) {
      const at = (position + done) % chunkBytesMax;
      const part = Math.min(source.byteLength - done, chunkBytesMax - at);
      const chunk = this.#chunkFor(Math.floor((position + done) / chunkBytesMax), at + part);
      chunk.set(source.subarray(done, done + part), at);
      done += part;
    }
    if (source.byteLength > 0) this.#bytes = Math.max(this.#bytes, position + source.byteLength);
  }

  /** Cuts, or grows with zeros. */
  resize(bytes: number): void {
    if (bytes < this.#bytes) {
      const kept = Math.ceil(bytes / chunkBytesMax);
      this.#chunks.length = Math.min(this.#chunks.length, kept);
      // What was cut must not come back when the file grows again.
      const at = bytes % chunkBytesMax;
      if (at > 0) this.#chunks[kept - 1]?.fill(0, at);
    }
    this.#bytes = bytes;
  }

  #chunkFor(index: number, bytes: number): Uint8Array {
    const chunk = this.#chunks[index];
    if (chunk && chunk.byteLength >= bytes) return chunk;
    const wanted = Math.max(bytes, (chunk?.byteLength ?? 0) * 2, chunkBytesMin);
    const grown = new Uint8Array(index > 0 ? chunkBytesMax : Math.min(wanted, chunkBytesMax));
    if (chunk) grown.set(chunk);
    this.#chunks[index] = grown;
    return grown;
  }
}
