/*
 * Cases about reading: get, ranges, list.
 */
import type { ByteRange, ObjectStore } from '../store/object-store.ts';
import {
  check,
  checkBytesEqual,
  checkListEqual,
  checkRejects,
  patternBytes,
} from './expectations.ts';

/** A name, and what it checks on an open store without objects. */
export type StoreCheck = readonly [name: string, check: (store: ObjectStore) => Promise<void>];

export const readCases: readonly StoreCheck[] = [
  ['kind and location: texts that are not empty, or no location', checkKind],
  ['get of an absent object: undefined, with a range too', checkAbsent],
  ['get: the bytes that were put, of every size', checkSizes],
  ['get with a range: exactly that part', checkRanges],
  ['get with a range past the end: what there is of it', checkRangesPastEnd],
  ['get with what is no range: INVALID_CALL', checkBadRanges],
  ['get: the bytes belong to the caller', checkOwnership],
  ['get of many at once: each its own bytes', checkParallelReads],
  ['list of an empty store: nothing', checkEmptyList],
  ['list: every object once, with its size, in order of code units', checkListOrder],
  ['list with a prefix: names that start with it, cut anywhere', checkPrefixes],
  ['list of many objects: all of them', checkLongList],
  ['list: what is returned belongs to the caller', checkListOwnership],
];

async function checkKind(store: ObjectStore): Promise<void> {
  const { kind, location } = store;
  check(typeof kind === 'string' && kind !== '', 'kind is empty or not a text');
  check(kind.length <= 64, 'kind has more than 64 characters');
  check(location === undefined || isText(location), 'location is neither absent nor a text');
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

async function checkAbsent(store: ObjectStore): Promise<void> {
  await store.put('there/object', patternBytes(3, 1));
  for (const name of ['absent', 'there/absent', 'absent/object', 'there', 'there/object/below']) {
    check((await store.get(name)) === undefined, `get of the absent ${name} is not undefined`);
    const part = await store.get(name, { start: 0, end: 1 });
    check(part === undefined, `get of a range of the absent ${name} is not undefined`);
    const nothing = await store.get(name, { start: 0, end: 0 });
    check(nothing === undefined, `get of an empty range of the absent ${name} is not undefined`);
  }
}

async function checkSizes(store: ObjectStore): Promise<void> {
  for (const size of [0, 1, 2, 255, 4096, 65_537, 3 * 1024 * 1024 + 1]) {
    const bytes = patternBytes(size, size);
    await store.put(`size-${size}`, bytes);
    checkBytesEqual(await store.get(`size-${size}`), bytes, `object of ${size} bytes`);
  }
}

async function checkRange(
  store: ObjectStore,
  whole: Uint8Array,
  { start, end }: ByteRange,
): Promise<void> {
  const part = await store.get('object', { start, end });
  checkBytesEqual(part, whole.slice(start, end), `range ${start} to ${end}`);
}

async function checkRanges(store: ObjectStore): Promise<void> {
  const whole = patternBytes(200_000, 7);
  await store.put('object', whole);
  const ends = [0, 1, 65_535, 65_536, 131_073, 199_999, 200_000];
  for (const start of ends) {
    for (const end of ends.filter((end) => end >= start)) {
      await checkRange(store, whole, { start, end });
    }
  }
}

async function checkRangesPastEnd(store: ObjectStore): Promise<void> {
  const whole = patternBytes(100, 8);
  await store.put('object', whole);
  for (const start of [0, 99, 100, 101, 5_000_000_000]) {
    for (const end of [101, 5_000_000_000, Number.MAX_SAFE_INTEGER]) {
      if (end >= start) await checkRange(store, whole, { start, end });
    }
  }
  await store.put('object', new Uint8Array(0));
  await checkRange(store, new Uint8Array(0), { start: 0, end: 10 });
}

async function checkBadRanges(store: ObjectStore): Promise<void> {
  await store.put('object', patternBytes(100, 9));
  const bad: ByteRange[] = [
    { start: -1, end: 5 },
    { start: 5, end: 4 },
    { start: 0.5, end: 4 },
    { start: 0, end: Number.NaN },
    { start: 0, end: Number.POSITIVE_INFINITY },
  ];
  for (const range of bad) {
    const what = `range ${range.start} to ${range.end}`;
    await checkRejects(() => store.get('object', range), 'INVALID_CALL', what);
  }
}

async function checkOwnership(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(100, 10);
  await store.put('object', bytes);
  const first = await store.get('object');
  const part = await store.get('object', { start: 10, end: 20 });
  first?.fill(0);
  part?.fill(0);
  checkBytesEqual(await store.get('object'), bytes, 'object after what get returned was changed');
}

async function checkParallelReads(store: ObjectStore): Promise<void> {
  const objects = Array.from({ length: 20 }, (_, i) => patternBytes(1000 + i, i));
  await Promise.all(objects.map((bytes, i) => store.put(`object-${i}`, bytes)));
  const read = await Promise.all(objects.map((_, i) => store.get(`object-${i}`)));
  for (const [i, bytes] of objects.entries()) checkBytesEqual(read[i], bytes, `object-${i}`);
}

async function checkEmptyList(store: ObjectStore): Promise<void> {
  checkListEqual(await namesOf(store, ''), [], 'list of an empty store');
  checkListEqual(await namesOf(store, 'a/b'), [], 'list of an empty store with a prefix');
}

async function checkListOrder(store: ObjectStore): Promise<void> {
  // No two of them are the same text but for case, which some file systems ignore.
  // `-` and `.` come before `/`, digits after it, upper case before `_` before lower case.
  const names = [
    'b',
    'a/b',
    'a-b',
    'a.b',
    'a0',
    'A',
    '_',
    'ab',
    'a/B',
    'a/b.c/d',
    'Z/z',
    '10',
    '9',
  ];
  for (const [size, name] of names.entries()) await store.put(name, patternBytes(size, size));
  checkListEqual(await namesOf(store, ''), names.toSorted(), 'list of everything');
  for (const { name, bytes } of await store.list('')) {
    const size = names.indexOf(name);
    check(bytes === size, `list: ${name} has ${bytes} bytes instead of ${size}`);
  }
}

async function checkPrefixes(store: ObjectStore): Promise<void> {
  const names = ['a', 'ab', 'abc/d', 'abc/de', 'abc/e/f', 'abcd', 'b', 'x.y', 'x/y'];
  for (const name of names) await store.put(name, patternBytes(1, 1));
  const prefixes = [
    'a',
    'ab',
    'abc',
    'abc/',
    'abc/d',
    'abc/e/',
    'abc/e/f',
    'x',
    'x.',
    'c',
    'abc/x/',
  ];
  for (const prefix of prefixes) {
    const expected = names.filter((name) => name.startsWith(prefix)).toSorted();
    checkListEqual(await namesOf(store, prefix), expected, `list of prefix ${prefix}`);
  }
}

async function checkLongList(store: ObjectStore): Promise<void> {
  // More than one page of the object storages that answer in pages of 1000.
  const names = Array.from({ length: 1100 }, (_, i) => `many/${String(i).padStart(5, '0')}`);
  for (let at = 0; at < names.length; at += 50) {
    await Promise.all(names.slice(at, at + 50).map((name) => store.put(name, new Uint8Array(1))));
  }
  checkListEqual(await namesOf(store, 'many/'), names, 'list of 1100 objects');
}

async function checkListOwnership(store: ObjectStore): Promise<void> {
  await store.put('a', patternBytes(1, 1));
  const listed = await store.list('');
  listed.length = 0;
  checkListEqual(await namesOf(store, ''), ['a'], 'list after what list returned was emptied');
}

/** The names that a store lists. */
export async function namesOf(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await store.list(prefix)).map(({ name }) => name);
}
