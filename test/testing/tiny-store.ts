/*
 * A correct store in few lines, written as somebody outside of the package would: the suite has to
 * accept it, and each broken store of the tests is this one with one thing wrong.
 */
import type { ByteRange, ObjectInfo, ObjectStore } from '../../src/testing/index.ts';

type Data = Uint8Array | AsyncIterable<Uint8Array>;

function refuse(code: string): never {
  throw Object.assign(new Error(code), { code });
}

export class TinyStore implements ObjectStore {
  kind = 'tiny';
  objects: Map<string, Uint8Array>;
  isClosed = false;

  constructor(objects: Map<string, Uint8Array> = new Map()) {
    this.objects = objects;
  }

  checkName(name: string): void {
    if (this.isClosed) refuse('CLOSED');
    const legal =
      /^(?=.{1,512}$)(?!\.{1,2}(\/|$))[\w.-]{1,255}(\/(?!\.{1,2}(\/|$))[\w.-]{1,255})*$/;
    if (typeof name !== 'string' || !legal.test(name) || name.includes('\n'))
      refuse('INVALID_NAME');
  }

  checkPrefix(prefix: string): void {
    // A prefix is legal if some name starts with it.
    if (this.isClosed) refuse('CLOSED');
    if (prefix !== '') this.checkName(prefix.length < 255 ? `${prefix}x` : prefix);
  }

  async collect(data: Data): Promise<Uint8Array> {
    if (data instanceof Uint8Array) return Uint8Array.from(data);
    const chunks: number[] = [];
    for await (const chunk of data) for (const byte of chunk) chunks.push(byte);
    return Uint8Array.from(chunks);
  }

  async open(): Promise<void> {}

  async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    this.checkName(name);
    const { start, end } = range ?? { start: 0, end: Number.MAX_SAFE_INTEGER };
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
      refuse('INVALID_CALL');
    }
    return this.objects.get(name)?.slice(start, end);
  }

  async put(name: string, data: Data): Promise<void> {
    this.checkName(name);
    this.objects.set(name, await this.collect(data));
  }

  async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
    this.checkName(name);
    if (this.objects.has(name)) return false;
    this.objects.set(name, Uint8Array.from(data));
    return true;
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    this.checkPrefix(prefix);
    return [...this.objects]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, bytes]) => ({ name, bytes: bytes.length }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async delete(name: string): Promise<void> {
    this.checkName(name);
    this.objects.delete(name);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
