/*
 * Stores with one thing wrong, each with the case of the suite that has to notice it. There is one
 * for every case, so no case is there for show.
 */
import type { ByteRange, ObjectInfo, ObjectStore } from '../../src/testing/index.ts';
import { TinyStore } from './tiny-store.ts';

type Data = Uint8Array | AsyncIterable<Uint8Array>;

export interface BrokenStore {
  /** What is wrong. */
  readonly flaw: string;
  /** The case that notices. */
  readonly noticedBy: string;
  readonly create: () => ObjectStore;
  readonly reopen?: (closed: ObjectStore) => ObjectStore;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const reading: BrokenStore[] = [
  {
    flaw: 'has no kind',
    noticedBy: 'kind and location: texts that are not empty, or no location',
    create: () =>
      new (class extends TinyStore {
        override kind = '';
      })(),
  },
  {
    flaw: 'has a kind that no directory can keep',
    noticedBy: 'kind and location: texts that are not empty, or no location',
    create: () =>
      new (class extends TinyStore {
        override kind = 'x'.repeat(65);
      })(),
  },
  {
    flaw: 'takes an empty range for an empty object',
    noticedBy: 'get of an absent object: undefined, with a range too',
    create: () =>
      new (class extends TinyStore {
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          if (range && range.start === range.end) return new Uint8Array(0);
          return super.get(name, range);
        }
      })(),
  },
  {
    flaw: 'takes an empty object for an absent one',
    noticedBy: 'get: the bytes that were put, of every size',
    create: () =>
      new (class extends TinyStore {
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          const bytes = await super.get(name, range);
          return bytes && bytes.length === 0 ? undefined : bytes;
        }
      })(),
  },
  {
    flaw: 'gives a range with its end included, as HTTP has it',
    noticedBy: 'get with a range: exactly that part',
    create: () =>
      new (class extends TinyStore {
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          return super.get(name, range && { start: range.start, end: range.end + 1 });
        }
      })(),
  },
  {
    flaw: 'rejects a range that starts behind the end',
    noticedBy: 'get with a range past the end: what there is of it',
    create: () =>
      new (class extends TinyStore {
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          const bytes = this.objects.get(name);
          if (bytes && range && range.start > bytes.length) throw new RangeError('416');
          return super.get(name, range);
        }
      })(),
  },
  {
    flaw: 'counts a negative start from the end',
    noticedBy: 'get with what is no range: INVALID_CALL',
    create: () =>
      new (class extends TinyStore {
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          this.checkName(name);
          return this.objects.get(name)?.slice(range?.start, range?.end);
        }
      })(),
  },
  {
    flaw: 'returns its own bytes',
    noticedBy: 'get: the bytes belong to the caller',
    create: () =>
      new (class extends TinyStore {
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          const copy = await super.get(name, range);
          return copy && this.objects.get(name)?.subarray(range?.start, range?.end);
        }
      })(),
  },
  {
    flaw: 'keeps the name that is read in a field',
    noticedBy: 'get of many at once: each its own bytes',
    create: () =>
      new (class extends TinyStore {
        reading = '';
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          this.reading = name;
          await nextTurn();
          return super.get(this.reading, range);
        }
      })(),
  },
];

const listing: BrokenStore[] = [
  {
    flaw: 'lists a marker file of its own',
    noticedBy: 'list of an empty store: nothing',
    create: () =>
      new (class extends TinyStore {
        override async list(prefix: string): Promise<ObjectInfo[]> {
          return [{ name: '.keep', bytes: 0 }, ...(await super.list(prefix))];
        }
      })(),
  },
  {
    flaw: 'lists directory by directory',
    noticedBy: 'list: every object once, with its size, in order of code units',
    create: () =>
      new (class extends TinyStore {
        override async list(prefix: string): Promise<ObjectInfo[]> {
          const key = ({ name }: ObjectInfo): string => name.replaceAll('/', '\0');
          return (await super.list(prefix)).sort((a, b) => (key(a) < key(b) ? -1 : 1));
        }
      })(),
  },
  {
    flaw: 'takes a prefix for a directory',
    noticedBy: 'list with a prefix: names that start with it, cut anywhere',
    create: () =>
      new (class extends TinyStore {
        override async list(prefix: string): Promise<ObjectInfo[]> {
          return super.list(prefix.slice(0, prefix.lastIndexOf('/') + 1));
        }
      })(),
  },
  {
    flaw: 'lists the first page only',
    noticedBy: 'list of many objects: all of them',
    create: () =>
      new (class extends TinyStore {
        override async list(prefix: string): Promise<ObjectInfo[]> {
          return (await super.list(prefix)).slice(0, 1000);
        }
      })(),
  },
  {
    flaw: 'returns a list that it keeps',
    noticedBy: 'list: what is returned belongs to the caller',
    create: () =>
      new (class extends TinyStore {
        cached: ObjectInfo[] | undefined;
        override async list(prefix: string): Promise<ObjectInfo[]> {
          this.cached ??= await super.list(prefix);
          return this.cached;
        }
      })(),
  },
];

const putting: BrokenStore[] = [
  {
    flaw: 'keeps the last chunk only',
    noticedBy: 'put of chunks in odd sizes: the object is all of them, in order',
    create: () =>
      new (class extends TinyStore {
        override async collect(data: Data): Promise<Uint8Array> {
          if (data instanceof Uint8Array) return super.collect(data);
          let last = new Uint8Array(0);
          for await (const chunk of data) last = Uint8Array.from(chunk);
          return last;
        }
      })(),
  },
  {
    flaw: 'writes nothing when there is no chunk',
    noticedBy: 'put of no chunk or of empty chunks: an empty object',
    create: () =>
      new (class extends TinyStore {
        override async put(name: string, data: Data): Promise<void> {
          const bytes = await this.collect(data);
          if (data instanceof Uint8Array || bytes.length > 0) await super.put(name, bytes);
        }
      })(),
  },
  {
    flaw: 'joins the chunks when all have come',
    noticedBy: 'put of chunks whose buffer is used again: each chunk as it was',
    create: () =>
      new (class extends TinyStore {
        override async collect(data: Data): Promise<Uint8Array> {
          if (data instanceof Uint8Array) return super.collect(data);
          const chunks: Uint8Array[] = [];
          for await (const chunk of data) chunks.push(chunk);
          return Buffer.concat(chunks);
        }
      })(),
  },
  {
    flaw: 'keeps what came before the chunks threw',
    noticedBy: 'put of chunks that throw: that error, and nothing is written',
    create: () => new KeepsPartsStore(),
  },
  {
    flaw: 'appends chunk by chunk under the name itself',
    noticedBy: 'put of chunks: readers see nothing or all of it',
    create: () =>
      new (class extends TinyStore {
        override async put(name: string, data: Data): Promise<void> {
          if (data instanceof Uint8Array) return super.put(name, data);
          let bytes = new Uint8Array(0);
          for await (const chunk of data) {
            bytes = Uint8Array.from([...bytes, ...chunk]);
            await super.put(name, bytes);
          }
        }
      })(),
  },
  {
    flaw: 'writes over the start of the old object',
    noticedBy: 'put of what is there: replaced whole, a longer one by a shorter one too',
    create: () =>
      new (class extends TinyStore {
        override async put(name: string, data: Data): Promise<void> {
          const old = this.objects.get(name);
          await super.put(name, data);
          const bytes = this.objects.get(name)!;
          if (!old || old.length <= bytes.length) return;
          old.set(bytes);
          this.objects.set(name, old);
        }
      })(),
  },
  {
    flaw: 'keeps the bytes that put was given',
    noticedBy: 'put: later changes of the given bytes change nothing',
    create: () =>
      new (class extends TinyStore {
        override async collect(data: Data): Promise<Uint8Array> {
          return data instanceof Uint8Array ? data.slice() : super.collect(data);
        }
      })(),
  },
  {
    flaw: 'stores the whole buffer behind a view',
    noticedBy: 'put of a view: only the bytes that the view shows',
    create: () =>
      new (class extends TinyStore {
        override async collect(data: Data): Promise<Uint8Array> {
          return super.collect(data instanceof Uint8Array ? new Uint8Array(data.buffer) : data);
        }
      })(),
  },
  {
    flaw: 'lets puts of one name mix',
    noticedBy: 'puts of one name at once: one of them, whole',
    create: () =>
      new (class extends TinyStore {
        override async put(name: string, data: Data): Promise<void> {
          const bytes = await this.collect(data);
          await super.put(name, new Uint8Array(bytes.length));
          for (let turn = (bytes.length + 1) % 3; turn >= 0; turn--) await nextTurn();
          const place = this.objects.get(name)!;
          place.set(bytes.subarray(0, place.length));
        }
      })(),
  },
];

const puttingIfAbsent: BrokenStore[] = [
  {
    flaw: 'reports a written object as not written',
    noticedBy: 'putIfAbsent of a new name: true, and it is there',
    create: () =>
      new (class extends TinyStore {
        override async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
          return !(await super.putIfAbsent(name, data));
        }
      })(),
  },
  {
    flaw: 'puts what is there already',
    noticedBy: 'putIfAbsent of a name that is there: false, and the object stays',
    create: () =>
      new (class extends TinyStore {
        override async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
          const absent = await super.putIfAbsent(name, data);
          if (!absent) await this.put(name, data);
          return absent;
        }
      })(),
  },
  {
    flaw: 'keeps the bytes that putIfAbsent was given',
    noticedBy: 'putIfAbsent: later changes of the given bytes change nothing',
    create: () =>
      new (class extends TinyStore {
        override async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
          const absent = await super.putIfAbsent(name, data);
          if (absent) this.objects.set(name, data.slice());
          return absent;
        }
      })(),
  },
  {
    flaw: 'looks, waits, then writes',
    noticedBy: 'putIfAbsent of one name at once: one winner, and its bytes',
    create: () =>
      new (class extends TinyStore {
        override async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
          if (await this.get(name)) return false;
          await nextTurn();
          await this.put(name, data);
          return true;
        }
      })(),
  },
  {
    flaw: 'remembers names for ever',
    noticedBy: 'putIfAbsent after delete: true',
    create: () =>
      new (class extends TinyStore {
        names = new Set<string>();
        override async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
          if (this.names.has(name)) return false;
          this.names.add(name);
          return super.putIfAbsent(name, data);
        }
      })(),
  },
];

const deletingAndClosing: BrokenStore[] = [
  {
    flaw: 'deletes every name that starts so',
    noticedBy: 'delete: the object is gone, others stay',
    create: () =>
      new (class extends TinyStore {
        override async delete(name: string): Promise<void> {
          for (const object of await this.list(name)) await super.delete(object.name);
        }
      })(),
  },
  {
    flaw: 'rejects when there is nothing to delete',
    noticedBy: 'delete of an absent object: no error',
    create: () =>
      new (class extends TinyStore {
        override async delete(name: string): Promise<void> {
          if (!this.objects.has(name)) throw new Error('ENOENT');
          await super.delete(name);
        }
      })(),
  },
  {
    flaw: 'rejects when another delete was faster',
    noticedBy: 'delete of one name at once: no error',
    create: () =>
      new (class extends TinyStore {
        override async delete(name: string): Promise<void> {
          if (!this.objects.has(name)) return;
          await nextTurn();
          if (!this.objects.delete(name)) throw new Error('ENOENT');
        }
      })(),
  },
  {
    flaw: 'goes on listing after close',
    noticedBy: 'close: every later call rejects',
    create: () =>
      new (class extends TinyStore {
        override checkPrefix(): void {}
      })(),
  },
];

const naming: BrokenStore[] = [
  {
    flaw: 'refuses names of more than 255 characters',
    noticedBy: 'names at the limits: every call takes them',
    create: () =>
      new (class extends TinyStore {
        override checkName(name: string): void {
          super.checkName(typeof name === 'string' && name.length > 255 ? '' : name);
        }
      })(),
  },
  {
    flaw: 'answers a get of an illegal name with nothing',
    noticedBy: 'names that are refused: INVALID_NAME by every call, and nothing is written',
    create: () =>
      new (class extends TinyStore {
        override async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
          return this.objects.has(name) || this.isClosed ? super.get(name, range) : undefined;
        }
      })(),
  },
  {
    flaw: 'takes any prefix',
    noticedBy: 'prefixes that no name starts with by rule: INVALID_NAME',
    create: () =>
      new (class extends TinyStore {
        override checkPrefix(): void {
          this.checkName('any');
        }
      })(),
  },
];

/** Writes the object even when its chunks throw. */
class KeepsPartsStore extends TinyStore {
  override async put(name: string, data: Data): Promise<void> {
    const parts: number[] = [];
    try {
      if (data instanceof Uint8Array) parts.push(...(await this.collect(data)));
      else for await (const chunk of data) parts.push(...chunk);
    } finally {
      await super.put(name, Uint8Array.from(parts));
    }
  }
}

/** Remembers in the instance what putIfAbsent wrote. */
class ForgetfulStore extends TinyStore {
  names = new Set<string>();
  override async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
    if (this.names.has(name)) return false;
    this.names.add(name);
    await this.put(name, data);
    return true;
  }
}

/** Deletes in the instance, not in what outlives it. */
class HidingStore extends TinyStore {
  readonly stored: Map<string, Uint8Array> = new Map();
  override async close(): Promise<void> {
    for (const [name, bytes] of this.objects) this.stored.set(name, bytes);
    await super.close();
  }
  override async delete(name: string): Promise<void> {
    const bytes = this.objects.get(name);
    if (bytes) this.stored.set(name, bytes);
    await super.delete(name);
  }
}

const reopening: BrokenStore[] = [
  {
    flaw: 'keeps objects in the instance',
    noticedBy: 'open again: every object is there with its bytes',
    create: () => new TinyStore(),
    reopen: () => new TinyStore(),
  },
  {
    flaw: 'deletes in the instance only',
    noticedBy: 'open again: what was deleted stays deleted',
    create: () => new HidingStore(),
    reopen: (closed) => new TinyStore((closed as HidingStore).stored),
  },
  {
    flaw: 'knows only what this instance wrote',
    noticedBy: 'open again: putIfAbsent knows what is there',
    create: () => new ForgetfulStore(),
    reopen: (closed) => new ForgetfulStore((closed as ForgetfulStore).objects),
  },
  {
    flaw: 'brings back half an object',
    noticedBy: 'open again after a put that failed: nothing of it',
    create: () => new KeepsPartsStore(),
    reopen: (closed) => new KeepsPartsStore((closed as KeepsPartsStore).objects),
  },
];

export const brokenStores: readonly BrokenStore[] = [
  ...reading,
  ...listing,
  ...putting,
  ...puttingIfAbsent,
  ...deletingAndClosing,
  ...naming,
  ...reopening,
];
