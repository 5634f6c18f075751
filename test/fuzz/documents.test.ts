/*
 * Sealed documents: identity, marks, low-water record, checkpoint and timeline records, the manifest of
 * a backup. Their JSON is changed where it stands, as text and as values of other types, and sealed
 * again. What is taken is the same when it is written and read once more; documents are not canonical,
 * since fields that a decoder does not know are passed over.
 */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRecord, encodeRecord } from '../../src/checkpoint/checkpoint-record.ts';
import { decodeTimeline, encodeTimeline } from '../../src/checkpoint/timelines/timeline-record.ts';
import { checksum } from '../../src/codec/checksum.ts';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { TidemarkError } from '../../src/errors.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { decodeManifest } from '../../src/recovery/backup-target.ts';
import { directoryPlace } from '../../src/store/store-place.ts';
import { markClaimed } from '../../src/wal/claimed.ts';
import { readIdentity, writeIdentity, type StoreIdentity } from '../../src/wal/identity.ts';
import { readLogMark, writeLogMark } from '../../src/wal/log-mark.ts';
import { readLowWater, writeLowWater } from '../../src/wal/low-water.ts';
import { readFile, writeFile } from '../snapshot/log-builder.ts';
import { fuzz, fuzzParameters, outcomeOf, outcomeOfTask, type Outcome } from './fuzz.ts';

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../golden/${name}`, import.meta.url)));
const storeId = new Uint8Array(16).fill(0xab);
const storeText = 'ab'.repeat(16);
const seed = new Uint8Array(8).fill(1);
const place = directoryPlace;
const identity: StoreIdentity = { format: 1, kind: 'engine', storeId, seed, keyGroups: 128, place };

/** A decoder of documents: what it reads is written and read again. */
interface DocumentCase {
  readonly name: string;
  readonly sample: () => Promise<Uint8Array>;
  readonly read: (bytes: Uint8Array) => Promise<unknown>;
  readonly write: (value: never) => Promise<Uint8Array>;
}

const cases: readonly DocumentCase[] = [
  {
    name: 'a checkpoint record',
    sample: async () => golden('record-v1.json'),
    read: async (bytes) => decodeRecord(bytes, 'checkpoints/0000000007.json'),
    write: async (value) => encodeRecord(value),
  },
  {
    name: 'a timeline record',
    sample: async () => golden('timeline-v1.json'),
    read: async (bytes) => decodeTimeline(bytes, 'timelines/0000000002.json'),
    write: async (value) => encodeTimeline(value),
  },
  {
    name: 'an identity',
    sample: () => written((fs) => writeIdentity(fs, '/d', identity), '/d/store.json'),
    read: (bytes) => readAt('/d/store.json', bytes, (fs) => readIdentity(fs, '/d')),
    write: (value) => written((fs) => writeIdentity(fs, '/d', value), '/d/store.json'),
  },
  {
    name: 'a mark of the log',
    sample: () =>
      written(
        (fs) => writeLogMark(fs, '/d', storeId, { lostBehind: [3, 9], timeline: 2 }),
        '/d/log-mark.json',
      ),
    read: (bytes) => readAt('/d/log-mark.json', bytes, (fs) => readLogMark(fs, '/d', storeId)),
    write: (value) => written((fs) => writeLogMark(fs, '/d', storeId, value), '/d/log-mark.json'),
  },
  {
    name: 'a low-water record',
    sample: () =>
      written(
        (fs) => writeLowWater(fs, '/d', { timeline: 1, lsn: 40, segment: 3 }),
        '/d/low-water.json',
      ),
    read: (bytes) => readAt('/d/low-water.json', bytes, (fs) => readLowWater(fs, '/d')),
    write: (value) => written((fs) => writeLowWater(fs, '/d', value), '/d/low-water.json'),
  },
  {
    name: 'the manifest of a backup',
    sample: async () => manifest({ segments: ['a.wal', 'b.wal'], head: { name: 'b.wal', end: 9 } }),
    read: async (bytes) => decodeManifest(bytes, '/d/backup.json', identity),
    write: async (value) => manifest(value),
  },
];

function manifest(value: { segments?: readonly string[]; head?: unknown }): Uint8Array {
  return encodeSealedJson({ format: 1, storeId: storeText, ...value, head: value.head ?? null });
}

describe.each(cases)('$name', ({ sample, read, write }) => {
  async function isTaken(bytes: Uint8Array): Promise<boolean> {
    const outcome = await outcomeOfTask(() => read(bytes));
    if (!outcome) return false;
    const again = await read(await write(outcome.value as never));
    expect(again).toEqual(outcome.value);
    return true;
  }

  test('bytes mutated, checksum mended: the same when written again, or damage', async () => {
    const sound = await sample();
    await fuzz({ samples: [sound], runs: 300, seal: sealDocument, decode: isTaken });
  });

  test('fields missing, added, repeated or of other types: the same when written again, or damage', async () => {
    const sound = decodeSealedJson(await sample()) as Record<string, unknown>;
    const counts = { taken: 0, refused: 0 };
    const property = fc.asyncProperty(edits, async (list) => {
      let body = structuredClone(sound);
      for (const edit of list) body = edited(body, edit) as Record<string, unknown>;
      if (typeof body !== 'object' || body === null || Array.isArray(body)) return;
      if (await isTaken(encodeSealedJson(body))) counts.taken++;
      else counts.refused++;
    });
    await fc.assert(property, fuzzParameters(300));
    expect(counts.taken).toBeGreaterThan(0);
    expect(counts.refused).toBeGreaterThan(0);
  });
});

describe('the mark of a claimed store', () => {
  test('changed anywhere: one of the errors of the engine says so', async () => {
    const claim = { storeId: storeText, by: 'cd'.repeat(16), dir: '/other' };
    const sound = await written((fs) => markClaimed(fs, '/d', claim), '/d/CLAIMED');
    const body = decodeSealedJson(sound) as Record<string, unknown>;
    const property = fc.asyncProperty(edits, async (list) => {
      let changed: unknown = structuredClone(body);
      for (const edit of list) changed = edited(changed, edit);
      const bytes = encodeSealedJson(Object(changed) as object);
      const fs = await holding('/d/CLAIMED', bytes);
      await expect(readIdentity(fs, '/d')).rejects.toBeInstanceOf(TidemarkError);
    });
    await fc.assert(property, fuzzParameters(300));
  });
});

describe('fields that were taken for something else', () => {
  test.each<[string, string, (body: Record<string, unknown>) => unknown]>([
    ['a savepoint whose name is a number', 'record-v1.json', (body) => ({ ...body, savepoint: 5 })],
    [
      'a savepoint whose name is an object',
      'record-v1.json',
      (body) => ({ ...body, savepoint: {} }),
    ],
  ])('%s: damage, and not a checkpoint that retention may drop', (_, name, change) => {
    const body = decodeSealedJson(golden(name)) as Record<string, unknown>;
    const bytes = encodeSealedJson(change(body) as object);
    expect(() => decodeRecord(bytes, name)).toThrow(/has a bad savepoint/);
  });

  test.each([
    ['a name that is none', { name: '../other' }],
    ['the name of a record', { name: 'checkpoints/0000000001.json' }],
    ['the name of another digest', { sha256: 'ff'.repeat(32) }],
  ])('a link with %s: damage, and no path that is followed', (_, change) => {
    const body = decodeSealedJson(golden('record-v1.json')) as { chain: object[] };
    const chain = body.chain.map((link) => ({ ...link, ...change }));
    const bytes = encodeSealedJson({ ...body, chain });
    expect(() => decodeRecord(bytes, 'record')).toThrow(/names no snapshot/);
  });

  test.each([0, 3, 96, 131_072, 0.5])('%s key groups: CORRUPT_STORE', async (keyGroups) => {
    const bytes = await written(
      (fs) => writeIdentity(fs, '/d', { ...identity, keyGroups }),
      '/d/store.json',
    );
    const reading = readAt('/d/store.json', bytes, (fs) => readIdentity(fs, '/d'));
    await expect(reading).rejects.toMatchObject({ code: 'CORRUPT_STORE' });
  });

  test('who claimed a store, as an object that is no text: CORRUPT_RECORD', async () => {
    const claim = { storeId: storeText, by: { toString: 5 } as never, dir: '/other' };
    const bytes = await written((fs) => markClaimed(fs, '/d', claim), '/d/CLAIMED');
    const reading = readAt('/d/CLAIMED', bytes, (fs) => readIdentity(fs, '/d'));
    await expect(reading).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
  });
});

describe('sealed documents', () => {
  test.each([
    ['a name that is repeated', '{"a":1,"a":1}'],
    ['a number without end', '{"a":1e999}'],
    ['a space', '{"a": 1}'],
    ['another spelling of a number', '{"a":1.0}'],
    ['another spelling of a text', '{"a":"\\u0061"}'],
  ])('%s, under its own checksum: a text says so', (_, text) => {
    const bytes = Buffer.from(`{"body":${text},"crc32":"00000000"}\n`);
    expect(decodeSealedJson(sealDocument(bytes))).toBe('is not as it is written');
  });

  test('bytes mutated, checksum mended: encoded again to the same bytes, or a text', async () => {
    const samples = [{ a: [1, 'é', null] }, { b: { c: -1.5e300 } }].map(encodeSealedJson);
    await fuzz({
      samples,
      runs: 800,
      seal: sealDocument,
      decode: (bytes) => {
        const body = decodeSealedJson(bytes);
        if (typeof body === 'string') return false;
        expect(Buffer.compare(encodeSealedJson(body), bytes)).toBe(0);
        return true;
      },
    });
  });

  test('nested deeper than any stack: an object, or a text', () => {
    const text = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    const bytes = sealDocument(Buffer.from(`{"body":${text},"crc32":"00000000"}\n`));
    const outcome: Outcome<unknown> = outcomeOf(() => decodeSealedJson(bytes));
    expect(outcome).toBeDefined();
  });

  test('text that is not UTF-8, whatever its checksum: a text says so', () => {
    const bytes = Buffer.from('{"body":{"a":"x"},"crc32":"00000000"}\n');
    bytes[14] = 0xff;
    expect(decodeSealedJson(sealDocument(bytes))).toBe('is not as it is written');
  });
});

/** One change of a JSON value: where, and what stands there afterwards. */
interface Edit {
  readonly path: readonly number[];
  readonly act: 'replace' | 'remove' | 'add' | 'swap';
  readonly value: unknown;
}

const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', 'x', [], {}, [[]], [null], -1, 0, 1, 2, 0.5, 1e300),
  fc.constantFrom<unknown>(2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 64, -(2 ** 53)),
  fc.constantFrom<unknown>(
    JSON.parse('{"__proto__":{"lsn":5}}'),
    { toString: 5, valueOf: null },
    { length: 2 ** 32 },
    'ab'.repeat(16),
    'f'.repeat(16),
    'a'.repeat(70_000),
    ['a', 'a'],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.record({
    path: fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }),
    act: fc.constantFrom('replace', 'replace', 'remove', 'add', 'swap'),
    value: odd,
  }),
  { minLength: 1, maxLength: 2 },
);

/** The value after an edit; the path goes as deep as there is something. */
function edited(value: unknown, { path, act, value: next }: Edit, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return next;
  const names = Object.keys(value);
  const isLast = depth === path.length - 1 || names.length === 0;
  if (names.length === 0 && act !== 'add') return next;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  const name = names[(path[depth] ?? 0) % names.length] ?? 'extra';
  if (!isLast) {
    put(copy, name, edited(copy[name], { path, act, value: next }, depth + 1));
    return copy;
  }
  if (act === 'replace') put(copy, name, next);
  else if (act === 'add') put(copy, ['extra', '__proto__', 'constructor'][depth % 3]!, next);
  else if (act === 'swap') put(copy, name, copy[names.at(-1)!]);
  else if (Array.isArray(copy)) copy.splice(Number(name), 1);
  else Reflect.deleteProperty(copy, name);
  return copy;
}

/** Own properties only: `__proto__` is a name like any other in JSON. */
function put(object: object, name: string, value: unknown): void {
  const flags = { enumerable: true, writable: true, configurable: true };
  Object.defineProperty(object, name, { value, ...flags });
}

/** Mends the checksum of a document whose end is where it was. */
function sealDocument(bytes: Uint8Array): Uint8Array {
  const end = bytes.length - ',"crc32":"00000000"}\n'.length;
  if (end < 8) return bytes;
  const crc = checksum(bytes, 8, end).toString(16).padStart(8, '0');
  bytes.set(Buffer.from(`,"crc32":"${crc}"}\n`), end);
  return bytes;
}

async function emptyDirectory(): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem();
  await fs.makeDirectory('/d');
  return fs;
}

async function written(
  write: (fs: MemoryFileSystem) => Promise<void>,
  path: string,
): Promise<Uint8Array> {
  const fs = await emptyDirectory();
  await write(fs);
  return readFile(fs, path);
}

async function holding(path: string, bytes: Uint8Array): Promise<MemoryFileSystem> {
  const fs = await emptyDirectory();
  await writeFile(fs, path, bytes);
  return fs;
}

async function readAt<T>(
  path: string,
  bytes: Uint8Array,
  read: (fs: MemoryFileSystem) => Promise<T>,
): Promise<T> {
  return read(await holding(path, bytes));
}
