import { expect, test } from 'vitest';

import { MemoryObjectStore } from '../../src/store/memory-store.ts';

test('data that is no bytes: INVALID_CALL, and nothing is written', async () => {
  const store = new MemoryObjectStore();
  async function* texts(): AsyncGenerator<Uint8Array> {
    yield 'text' as unknown as Uint8Array;
  }
  const text = 'text' as unknown as Uint8Array;
  await expect(store.put('a', texts())).rejects.toMatchObject({ code: 'INVALID_CALL' });
  await expect(store.putIfAbsent('a', text)).rejects.toMatchObject({ code: 'INVALID_CALL' });
  expect(await store.list('')).toEqual([]);
});

test('bytes in shared memory: copied into memory of the store', async () => {
  const store = new MemoryObjectStore();
  const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(5);
  await store.put('a', shared);
  shared.fill(0);
  const read = await store.get('a');
  expect(read).toEqual(Uint8Array.of(5, 5, 5));
  expect(read?.buffer).toBeInstanceOf(ArrayBuffer);
});

test('closed while chunks come: the put rejects with CLOSED', async () => {
  const store = new MemoryObjectStore();
  async function* closing(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1);
    await store.close();
  }
  await expect(store.put('a', closing())).rejects.toMatchObject({ code: 'CLOSED' });
});
