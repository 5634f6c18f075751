/*
 * Cases about writing: put, putIfAbsent, delete, and what readers see meanwhile.
 */
import type { ObjectStore } from '../store/object-store.ts';
import {
  check,
  checkBytesEqual,
  checkListEqual,
  checkRejects,
  chunksOf,
  patternBytes,
} from './expectations.ts';
import { namesOf, type StoreCheck } from './read-cases.ts';

const racers = 16;

export const writeCases: readonly StoreCheck[] = [
  ['put of chunks in odd sizes: the object is all of them, in order', checkChunks],
  ['put of no chunk or of empty chunks: an empty object', checkEmptyChunks],
  ['put of chunks whose buffer is used again: each chunk as it was', checkReusedChunk],
  ['put of chunks that throw: that error, and nothing is written', checkThrowingChunks],
  ['put of chunks: readers see nothing or all of it', checkVisibility],
  ['put of what is there: replaced whole, a longer one by a shorter one too', checkReplacement],
  ['put: later changes of the given bytes change nothing', checkPutCopies],
  ['put of a view: only the bytes that the view shows', checkViews],
  ['puts of one name at once: one of them, whole', checkRacingPuts],
  ['putIfAbsent of a new name: true, and it is there', checkPutIfAbsent],
  ['putIfAbsent of a name that is there: false, and the object stays', checkPutIfPresent],
  ['putIfAbsent: later changes of the given bytes change nothing', checkPutIfAbsentCopies],
  ['putIfAbsent of one name at once: one winner, and its bytes', checkRacingPutIfAbsent],
  ['putIfAbsent after delete: true', checkPutIfAbsentAfterDelete],
  ['delete: the object is gone, others stay', checkDelete],
  ['delete of an absent object: no error', checkDeleteAbsent],
  ['delete of one name at once: no error', checkRacingDeletes],
  ['close: every later call rejects', checkClosed],
];

async function checkChunks(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(300_001, 1);
  await store.put('odd', chunksOf(bytes, [1, 0, 65_536, 3, 65_537, 7]));
  checkBytesEqual(await store.get('odd'), bytes, 'object put in odd chunks');
  await store.put('tiny', chunksOf(bytes.slice(0, 500), [1]));
  checkBytesEqual(await store.get('tiny'), bytes.slice(0, 500), 'object put byte by byte');
  await store.put('one', chunksOf(bytes, [bytes.byteLength]));
  checkBytesEqual(await store.get('one'), bytes, 'object put in one chunk');
}

async function checkEmptyChunks(store: ObjectStore): Promise<void> {
  await store.put('none', chunksOf(new Uint8Array(0), [1]));
  checkBytesEqual(await store.get('none'), new Uint8Array(0), 'object put in no chunk');
  await store.put('empty', emptyChunks());
  checkBytesEqual(await store.get('empty'), new Uint8Array(0), 'object put in empty chunks');
}

async function* emptyChunks(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(0);
  yield new Uint8Array(0);
}

async function checkReusedChunk(store: ObjectStore): Promise<void> {
  await store.put('object', reusedChunks());
  const expected = Uint8Array.of(1, 1, 2, 2, 3, 3);
  checkBytesEqual(await store.get('object'), expected, 'object put in one buffer used again');
}

async function* reusedChunks(): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(2);
  for (const value of [1, 2, 3]) yield chunk.fill(value);
  chunk.fill(0);
}

async function checkThrowingChunks(store: ObjectStore): Promise<void> {
  const before = patternBytes(10, 2);
  await store.put('before', before);
  for (const name of ['before', 'new']) {
    const put = (): Promise<void> => store.put(name, throwingChunks());
    await checkRejects(put, 'CHUNKS_FAILED', `put of ${name} in chunks that throw`);
  }
  checkBytesEqual(await store.get('before'), before, 'object after a put that failed');
  check((await store.get('new')) === undefined, 'a put that failed has left an object');
  checkListEqual(await namesOf(store, ''), ['before'], 'list after a put that failed');
}

async function* throwingChunks(): AsyncGenerator<Uint8Array> {
  yield patternBytes(1000, 3);
  throw Object.assign(new Error('no more chunks'), { code: 'CHUNKS_FAILED' });
}

async function checkVisibility(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(200_000, 4);
  const reads: Promise<Uint8Array | undefined>[] = [];
  const sizes: Promise<number | undefined>[] = [];
  // The reads are not awaited between chunks, so that a store may also let them wait.
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(bytes, [20_000])) {
      yield chunk;
      reads.push(store.get('object'));
      sizes.push(store.list('').then((objects) => objects[0]?.bytes));
    }
  }
  await store.put('object', watched());
  for (const read of await Promise.all(reads)) {
    if (read) checkBytesEqual(read, bytes, 'object read while it was put');
  }
  for (const size of await Promise.all(sizes)) {
    const whole = size === undefined || size === bytes.byteLength;
    check(whole, `list while an object was put: ${size} bytes of ${bytes.byteLength}`);
  }
}

async function checkReplacement(store: ObjectStore): Promise<void> {
  for (const size of [10, 1000, 3, 0, 5]) {
    const bytes = patternBytes(size, size);
    await store.put('object', bytes);
    checkBytesEqual(await store.get('object'), bytes, `object replaced by ${size} bytes`);
    checkListEqual(await namesOf(store, ''), ['object'], 'list after a replacement');
  }
}

async function checkPutCopies(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(1000, 5);
  // The `slice` of a Buffer shares its memory, which a store may overlook.
  for (const given of [bytes.slice(), Buffer.from(bytes)]) {
    await store.put('object', given);
    given.fill(0);
    checkBytesEqual(await store.get('object'), bytes, 'object after the given bytes were changed');
  }
}

async function checkPutIfAbsentCopies(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(1000, 6);
  for (const [i, given] of [bytes.slice(), Buffer.from(bytes)].entries()) {
    await store.putIfAbsent(`object-${i}`, given);
    given.fill(0);
    const stored = await store.get(`object-${i}`);
    checkBytesEqual(stored, bytes, 'object after the given bytes were changed');
  }
}

async function checkViews(store: ObjectStore): Promise<void> {
  const whole = patternBytes(1000, 7);
  const view = whole.subarray(100, 200);
  await store.put('put', view);
  await store.putIfAbsent('put-if-absent', view);
  for (const name of ['put', 'put-if-absent']) {
    checkBytesEqual(await store.get(name), whole.slice(100, 200), `view written by ${name}`);
  }
}

async function checkRacingPuts(store: ObjectStore): Promise<void> {
  const objects = Array.from({ length: racers }, (_, i) => patternBytes(50_000 + i, i));
  await Promise.all(objects.map((bytes) => store.put('object', bytes)));
  const stored = await store.get('object');
  const winner = objects.find((bytes) => bytes.byteLength === stored?.byteLength);
  check(winner !== undefined, 'after racing puts the object is none of them');
  checkBytesEqual(stored, winner, 'object after racing puts');
}

async function checkPutIfAbsent(store: ObjectStore): Promise<void> {
  for (const size of [0, 1, 100_000]) {
    const bytes = patternBytes(size, size);
    const written = await store.putIfAbsent(`records/${size}`, bytes);
    check(written, `putIfAbsent of a new name is ${String(written)} instead of true`);
    checkBytesEqual(await store.get(`records/${size}`), bytes, `object of ${size} bytes`);
  }
}

async function checkPutIfPresent(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(100, 8);
  await store.put('put', bytes);
  await store.putIfAbsent('put-if-absent', bytes);
  for (const name of ['put', 'put-if-absent']) {
    const written = await store.putIfAbsent(name, patternBytes(7, 9));
    check(!written, `putIfAbsent of what is there is ${String(written)}, not false`);
    checkBytesEqual(await store.get(name), bytes, `object that was there by ${name}`);
  }
}

async function checkRacingPutIfAbsent(store: ObjectStore): Promise<void> {
  for (let round = 0; round < 4; round++) {
    const name = `records/${round}`;
    const objects = Array.from({ length: racers }, (_, i) => patternBytes(1000 + i, i));
    const won = await Promise.all(objects.map((bytes) => store.putIfAbsent(name, bytes)));
    const winners = won.filter(Boolean).length;
    check(winners === 1, `${winners} of ${racers} racing putIfAbsent won instead of one`);
    const winner = objects[won.indexOf(true)] ?? new Uint8Array(0);
    checkBytesEqual(await store.get(name), winner, 'object after racing putIfAbsent');
  }
}

async function checkPutIfAbsentAfterDelete(store: ObjectStore): Promise<void> {
  await store.putIfAbsent('record', patternBytes(10, 1));
  await store.delete('record');
  const bytes = patternBytes(20, 2);
  check(await store.putIfAbsent('record', bytes), 'putIfAbsent of a deleted name is not true');
  checkBytesEqual(await store.get('record'), bytes, 'object written again');
}

async function checkDelete(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(10, 1);
  for (const name of ['a', 'b/c', 'b/cd']) await store.put(name, bytes);
  await store.delete('b/c');
  check((await store.get('b/c')) === undefined, 'get of a deleted object is not undefined');
  checkListEqual(await namesOf(store, ''), ['a', 'b/cd'], 'list after delete');
  checkBytesEqual(await store.get('b/cd'), bytes, 'object beside a deleted one');
}

async function checkDeleteAbsent(store: ObjectStore): Promise<void> {
  await store.put('a/b', patternBytes(10, 1));
  for (const name of ['absent', 'absent/below', 'a', 'a/b/c', 'a/absent']) await store.delete(name);
  await store.delete('a/b');
  await store.delete('a/b');
  checkListEqual(await namesOf(store, ''), [], 'list after delete');
}

async function checkRacingDeletes(store: ObjectStore): Promise<void> {
  await store.put('object', patternBytes(10, 1));
  await Promise.all(Array.from({ length: racers }, () => store.delete('object')));
  check((await store.get('object')) === undefined, 'get of a deleted object is not undefined');
}

async function checkClosed(store: ObjectStore): Promise<void> {
  await store.put('object', patternBytes(10, 1));
  await store.close();
  const bytes = patternBytes(1, 1);
  await checkRejects(() => store.get('object'), undefined, 'get after close');
  await checkRejects(() => store.put('object', bytes), undefined, 'put after close');
  await checkRejects(() => store.putIfAbsent('new', bytes), undefined, 'putIfAbsent after close');
  await checkRejects(() => store.list(''), undefined, 'list after close');
  await checkRejects(() => store.delete('object'), undefined, 'delete after close');
}
