/*
 * One store as several: which key groups each gets, that all are of one moment, and what is refused.
 */
import { expect, test } from 'vitest';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { splitWith, type SplitOptions } from '../../src/engine/split-store.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import type { RestoreReport } from '../../src/recovery/restore-run.ts';
import { systemRandom } from '../../src/std/random.ts';
import { errorOf } from '../engine/engine-fixture.ts';
import { dir, TestStore } from './reader-store.ts';

const small = { segmentBytesMax: 16_384, keyGroups: 8, checkpointing: false } as const;

async function filled(): Promise<{ store: TestStore; on: CopyComponents }> {
  const store = new TestStore();
  const engine = await store.open(small);
  for (let i = 0; i < 40; i++) engine.operator('op').value('v').set(i, i);
  engine.operator('other').value('v').set(1, 1);
  await engine.commit({ positions: { rows: 1 } });
  await engine.close();
  return { store, on: { ...store.components, random: systemRandom, threads: false } };
}

function groupsOf(reports: readonly RestoreReport[]): string[] {
  return reports.map(({ sources: [source] }) => {
    const { from, to } = source!.keyGroups;
    return `${from}..${to}`;
  });
}

async function keysIn(on: CopyComponents, where: string, operator?: string): Promise<number> {
  const reader = await openReaderWith({ dir: where }, on);
  const count = [...reader.entries(operator)].length;
  expect(reader.positions()).toEqual({ rows: 1 });
  await reader.close();
  return count;
}

test('directories alone: as many key groups each as can be, and together everything', async () => {
  const { on } = await filled();
  const to = ['/a', '/b', '/c'];
  const reports = await splitWith({ from: { dir }, to }, on);
  expect(groupsOf(reports)).toEqual(['0..2', '2..5', '5..8']);
  let sum = 0;
  for (const where of to) sum += await keysIn(on, where);
  expect(sum).toBe(41);
  const joined = await restoreWith({ from: to.map((each) => ({ dir: each })), to: '/all' }, on);
  expect(joined.partial).toBe(false);
  expect(await keysIn(on, '/all')).toBe(41);
});

test('some of the parts together, or one alone: the report says which key groups nobody gave', async () => {
  const { on } = await filled();
  const to = ['/a', '/b', '/c'];
  await splitWith({ from: { dir }, to }, on);
  const one = await restoreWith({ from: [{ dir: '/b' }], to: '/one' }, on);
  expect([groupsOf([one]), one.missingKeyGroups]).toEqual([
    ['2..5'],
    [
      { from: 0, to: 2 },
      { from: 5, to: 8 },
    ],
  ]);
  const from = [{ dir: '/a' }, { dir: '/c' }];
  const two = await restoreWith({ from, to: '/two', gaps: true }, on);
  expect(two.missingKeyGroups).toEqual([{ from: 2, to: 5 }]);
  const all = to.map((each) => ({ dir: each }));
  expect((await restoreWith({ from: all, to: '/all' }, on)).missingKeyGroups).toEqual([]);
});

test('parts with key groups of their own, of some operators: these', async () => {
  const { on } = await filled();
  const to = [
    { dir: '/a', keyGroups: { from: 7, to: 8 } },
    { dir: '/b', keyGroups: { from: 0, to: 7 } },
  ];
  const reports = await splitWith({ from: { dir }, to, operators: ['op'] }, on);
  expect(groupsOf(reports)).toEqual(['7..8', '0..7']);
  expect((await keysIn(on, '/a')) + (await keysIn(on, '/b'))).toBe(40);
});

test('while a writer goes on: all parts are of the moment of the first', async () => {
  const { store, on } = await filled();
  const engine = await store.open(small);
  let isWritten = false;
  const onProgress: SplitOptions['onProgress'] = ({ phase }) => {
    if (phase !== 'write' || isWritten) return;
    isWritten = true;
    engine.operator('op').value('v').set('new', 1);
    void engine.commit();
  };
  const reports = await splitWith({ from: { dir }, to: ['/a', '/b'], onProgress }, on);
  await engine.close();
  expect(reports.map(({ lsn }) => lsn)).toEqual([1, 1]);
  const { lsn } = await restoreWith({ from: { dir }, to: '/later' }, on);
  expect(lsn).toBe(2);
});

test('of an older moment: that one', async () => {
  const { store, on } = await filled();
  const engine = await openEngineWith({ dir, ...small }, on);
  engine.operator('op').value('v').set('new', 1);
  await engine.commit();
  await engine.close();
  const options = { from: { dir }, to: ['/a', '/b'], target: { lsn: 1 } };
  expect((await splitWith(options, on)).map(({ lsn }) => lsn)).toEqual([1, 1]);
  expect((await store.fs.list('/a')).includes('store.json')).toBe(true);
});

test('of a timeline that was left: all parts are of that one', async () => {
  const { store, on } = await filled();
  let engine = await store.open(small);
  engine.operator('op').value('v').set('left', 1);
  await engine.commit();
  await engine.close();
  engine = await store.open({ ...small, recoverTo: { lsn: 1 } });
  engine.operator('op').value('v').set('other', 1);
  await engine.commit();
  await engine.close();
  const to = ['/a', '/b'];
  const reports = await splitWith({ from: { dir }, to, target: { timeline: 1 } }, on);
  expect(reports.map(({ sources: [source] }) => source!.timeline)).toEqual([1, 1]);
  await restoreWith({ from: to.map((each) => ({ dir: each })), to: '/all' }, on);
  const reader = await openReaderWith({ dir: '/all' }, on);
  expect(reader.get('op', 'v', 'left')?.value).toBe(1);
  expect(reader.get('op', 'v', 'other')).toBeUndefined();
  await reader.close();
});

test('a directory that is not empty: STATE_EXISTS, before any part is made', async () => {
  const { store, on } = await filled();
  await store.fs.makeDirectory('/b');
  await (await store.fs.open('/b/notes', 'create')).close();
  const error = await errorOf(splitWith({ from: { dir }, to: ['/a', '/b'] }, on));
  expect(error).toMatchObject({ code: 'STATE_EXISTS', details: { path: '/b' } });
  expect(await store.fs.stat('/a')).toBeUndefined();
});

const half = { dir: '/a', keyGroups: { from: 0, to: 4 } };
const wrong: readonly (readonly [string, Record<string, unknown>])[] = [
  ['to', { to: [] }],
  ['to', { to: '/a' }],
  ['to', { to: ['/1', '/2', '/3', '/4', '/5', '/6', '/7', '/8', '/9'] }],
  ['to[1]', { to: ['/a', ''] }],
  ['to[1]', { to: ['/a', '/a'] }],
  ['to[1]', { to: [half, '/b'] }],
  ['to[1].keyGroups', { to: [half, { dir: '/b' }] }],
  ['to[1].keyGroups', { to: [half, { dir: '/b', keyGroups: { from: 3, to: 8 } }] }],
  ['to[1].other', { to: [half, { dir: '/b', keyGroups: { from: 4, to: 8 }, other: 1 }] }],
  ['gaps', { to: [half, { dir: '/b', keyGroups: { from: 5, to: 8 } }] }],
  ['from.other', { from: { dir, other: 1 } }],
  ['other', { other: 1 }],
  ['threadsMax', { threadsMax: 0 }],
];
test.each(wrong)('a bad %s: INVALID_OPTION', async (option, options) => {
  const { on } = await filled();
  const given = { from: { dir }, to: ['/a', '/b'], ...options } as unknown as SplitOptions;
  const error = await errorOf(splitWith(given, on));
  expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
});
