/*
 * Copies that must not end quietly: at damage of the log that openings pass over, at what a fork does
 * not take along while a claim gives the source up, and where a fork looks into its parent's past.
 */
import { describe, expect, test } from 'vitest';
import { backupWith } from '../../src/engine/backup-store.ts';
import { forkWith } from '../../src/engine/fork-store.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { keepStore } from '../../src/recovery/given-up.ts';
import { systemRandom } from '../../src/std/random.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import { segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import { errorOf } from '../engine/engine-fixture.ts';
import { dir, fill, TestStore } from './reader-store.ts';

const to = '/copy';
const oneSegment = { segmentBytesMax: 1024 * 1024, undurableBytesMax: 65_536 } as const;

function on(store: TestStore): CopyComponents {
  return { ...store.components, random: systemRandom, threads: false };
}

async function filledOnce(): Promise<TestStore> {
  const store = new TestStore();
  const engine = await store.open(oneSegment);
  await fill(engine, 30);
  await engine.close();
  return store;
}

async function segmentsIn(store: TestStore): Promise<string[]> {
  const names = await store.fs.list(`${dir}/wal`);
  return names.filter((name) => name.endsWith('.wal')).map((name) => `${dir}/wal/${name}`);
}

async function lsnOf(store: TestStore, where: string): Promise<number> {
  const engine = await openEngineWith({ dir: where, ...oneSegment }, on(store));
  const { lsn } = engine.recovery;
  await engine.close();
  return lsn;
}

describe('damage of the log below the newest checkpoint, in the segment that a copy ends in', () => {
  const ways = [
    ['a fork', (store: TestStore) => forkWith({ from: { dir }, to }, on(store))],
    [
      'a fork that claims',
      (store: TestStore) => forkWith({ from: { dir }, to, ownership: 'claim' }, on(store)),
    ],
    ['a backup', (store: TestStore) => backupWith({ from: { dir }, to }, on(store))],
  ] as const;

  test.each(ways)('%s: CORRUPT_FRAME, and the source opens with everything', async (_, copy) => {
    const store = await filledOnce();
    const [segment] = await segmentsIn(store);
    await store.flip(segment!, segmentHeaderBytes + 80);
    expect((await errorOf(copy(store))).code).toBe('CORRUPT_FRAME');
    expect(await lsnOf(store, dir)).toBe(30);
  });
});

describe('a store that went back', () => {
  async function rewound(): Promise<TestStore> {
    const store = await filledOnce();
    const engine = await store.open({ ...oneSegment, recoverTo: { lsn: 20 } });
    await fill(engine, 2);
    await engine.close();
    return store;
  }

  test('a fork that claims: refused, since it would leave a timeline out; nothing is given up', async () => {
    const store = await rewound();
    const claiming = forkWith({ from: { dir }, to, ownership: 'claim' }, on(store));
    const error = await errorOf(claiming);
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'ownership']);
    expect(error.details['leftOut']).toEqual(expect.arrayContaining(['timeline 1']));
    expect(await store.fs.stat(`${to}/store.json`)).toBeUndefined();
    expect(await lsnOf(store, dir)).toBe(22);
  });

  test('the copy that is kept before anything is given up: its timelines too', async () => {
    const store = await rewound();
    const objects = new FileObjectStore(store.fs, dir, systemRandom);
    await objects.open();
    const kept = await keepStore({ fs: store.fs, dir, objects }, {});
    expect(await store.fs.list(`${dir}/${kept}/timelines`)).toEqual(
      await store.fs.list(`${dir}/timelines`),
    );
    await objects.close();
  });
});

test('an open fork: views of moments that only its parent was at', async () => {
  const store = await filledOnce();
  await forkWith({ from: { dir }, to }, on(store));
  const engine = await openEngineWith({ dir: to, ...oneSegment }, on(store));
  await fill(engine, 2);
  const view = await engine.viewAt({ lsn: 7 });
  expect(view.lsn).toBe(7);
  await view.close();
  await engine.close();
});
