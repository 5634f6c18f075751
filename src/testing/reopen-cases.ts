/*
 * Cases about what outlives an instance, for stores that say how to open one again.
 */
import type { ObjectStore } from '../store/object-store.ts';
import { check, checkBytesEqual, checkListEqual, chunksOf, patternBytes } from './expectations.ts';
import { namesOf, type StoreCheck } from './read-cases.ts';

/** Makes a new instance over the objects of one that has been closed; it is not open yet. */
export type ReopenStore = (closed: ObjectStore) => Promise<ObjectStore>;

/** The cases, for stores that the function opens again. */
export function reopenCases(reopenStore: ReopenStore): readonly StoreCheck[] {
  const checkReopened = async (store: ObjectStore, check: StoreCheck[1]): Promise<void> => {
    await store.close();
    const reopened = await reopenStore(store);
    await reopened.open();
    try {
      await check(reopened);
    } finally {
      await reopened.close();
    }
  };
  return [
    ['open again: every object is there with its bytes', (store) => keep(store, checkReopened)],
    ['open again: what was deleted stays deleted', (store) => forget(store, checkReopened)],
    ['open again: putIfAbsent knows what is there', (store) => refuse(store, checkReopened)],
    ['open again after a put that failed: nothing of it', (store) => fail(store, checkReopened)],
  ];
}

type CheckReopened = (store: ObjectStore, check: StoreCheck[1]) => Promise<void>;

async function keep(store: ObjectStore, checkReopened: CheckReopened): Promise<void> {
  const bytes = patternBytes(100_000, 1);
  await store.put('put', bytes);
  await store.put('a/chunks', chunksOf(bytes, [999]));
  await store.putIfAbsent('a/b/record', bytes);
  await store.put('empty', new Uint8Array(0));
  await checkReopened(store, async (reopened) => {
    const names = ['a/b/record', 'a/chunks', 'empty', 'put'];
    checkListEqual(await namesOf(reopened, ''), names, 'list after opening again');
    for (const name of names) {
      const expected = name === 'empty' ? new Uint8Array(0) : bytes;
      checkBytesEqual(await reopened.get(name), expected, `${name} after opening again`);
    }
  });
}

async function forget(store: ObjectStore, checkReopened: CheckReopened): Promise<void> {
  await store.put('gone', patternBytes(10, 1));
  await store.delete('gone');
  await checkReopened(store, async (reopened) => {
    check((await reopened.get('gone')) === undefined, 'a deleted object is back');
    checkListEqual(await namesOf(reopened, ''), [], 'list after opening again');
  });
}

async function refuse(store: ObjectStore, checkReopened: CheckReopened): Promise<void> {
  const bytes = patternBytes(10, 1);
  await store.putIfAbsent('record', bytes);
  await checkReopened(store, async (reopened) => {
    const written = await reopened.putIfAbsent('record', patternBytes(20, 2));
    check(!written, 'putIfAbsent wrote a name that was there before opening again');
    checkBytesEqual(await reopened.get('record'), bytes, 'record after opening again');
  });
}

async function fail(store: ObjectStore, checkReopened: CheckReopened): Promise<void> {
  async function* throwing(): AsyncGenerator<Uint8Array> {
    yield patternBytes(1000, 1);
    throw new Error('no more chunks');
  }
  await store.put('broken', throwing()).catch(() => undefined);
  await checkReopened(store, async (reopened) => {
    checkListEqual(await namesOf(reopened, ''), [], 'list after a put that failed');
  });
}
