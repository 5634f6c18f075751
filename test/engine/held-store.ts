/*
 * A store as somebody else would write it, without local files, whose calls a test can note, hold up
 * and fail. The objects outlive it, so that a later one finds them.
 */
import type { ByteRange, ObjectInfo, ObjectStore } from '../../src/engine/index.ts';

export type Objects = Map<string, Uint8Array>;

export class HeldStore implements ObjectStore {
  readonly kind = 'held';
  readonly objects: Objects;
  readonly calls: string[] = [];
  /** Runs before each call; what it throws, the call fails with. */
  before: (call: string, name: string) => unknown = () => {};
  /** Runs after each call has had its effect. */
  after: (call: string, name: string) => unknown = () => {};

  constructor(objects: Objects = new Map()) {
    this.objects = objects;
  }

  open(): Promise<void> {
    return this.#do('open', '', () => {});
  }

  get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    return this.#do('get', name, () => this.objects.get(name)?.slice(range?.start, range?.end));
  }

  async put(name: string, data: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    if (data instanceof Uint8Array) parts.push(data);
    else for await (const part of data) parts.push(part.slice());
    await this.#do('put', name, () =>
      this.objects.set(name, Uint8Array.from(Buffer.concat(parts))),
    );
  }

  putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
    return this.#do('putIfAbsent', name, () => {
      if (this.objects.has(name)) return false;
      this.objects.set(name, data.slice());
      return true;
    });
  }

  list(prefix: string): Promise<ObjectInfo[]> {
    return this.#do('list', prefix, () => {
      const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
      return names.map((name) => ({ name, bytes: this.objects.get(name)!.length }));
    });
  }

  async delete(name: string): Promise<void> {
    await this.#do('delete', name, () => this.objects.delete(name));
  }

  close(): Promise<void> {
    return this.#do('close', '', () => {});
  }

  async #do<T>(call: string, name: string, act: () => T): Promise<T> {
    this.calls.push(`${call} ${name.replace(/[0-9a-f]{64}/, 'sha256')}`.trim());
    await this.before(call, name);
    const result = act();
    await this.after(call, name);
    return result;
  }
}
