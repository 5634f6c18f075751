/*
 * A store in memory, for tests and for state that need not outlive the process. Bytes are copied in
 * and out, so nobody holds what the store holds.
 */
import { ClosedError } from '../errors.ts';
import { checkBytes, checkRange, cutRange, isBytes } from './object-data.ts';
import { checkObjectName, checkObjectPrefix } from './object-name.ts';
import type { ByteRange, ObjectInfo, ObjectStore } from './object-store.ts';

/** A store of objects in the memory of this thread; survives nothing. */
export class MemoryObjectStore implements ObjectStore {
  readonly kind = 'memory';
  readonly #objects = new Map<string, Uint8Array>();
  #closed = false;

  async open(): Promise<void> {
    this.#checkOpen();
  }

  async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    checkObjectName(name);
    checkRange(range);
    const bytes = this.#objects.get(name);
    if (!bytes) return undefined;
    const { start, end } = cutRange(range, bytes.byteLength);
    return bytes.slice(start, end);
  }

  async put(name: string, data: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    this.#checkOpen();
    checkObjectName(name);
    const bytes = isBytes(data) ? copyOf(data) : await collect(data);
    this.#checkOpen();
    this.#objects.set(name, bytes);
  }

  async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
    this.#checkOpen();
    checkObjectName(name);
    checkBytes(data, 'data');
    if (this.#objects.has(name)) return false;
    this.#objects.set(name, copyOf(data));
    return true;
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    this.#checkOpen();
    checkObjectPrefix(prefix);
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    return names.map((name) => ({ name, bytes: this.#objects.get(name)?.byteLength ?? 0 }));
  }

  async delete(name: string): Promise<void> {
    this.#checkOpen();
    checkObjectName(name);
    this.#objects.delete(name);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#objects.clear();
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError('CLOSED', 'the object store has been closed');
  }
}

/** Not `slice`: that of a Buffer shares its memory. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const copies: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    checkBytes(chunk, 'a chunk of data');
    copies.push(copyOf(chunk));
    bytes += chunk.byteLength;
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const copy of copies) {
    whole.set(copy, at);
    at += copy.byteLength;
  }
  return whole;
}
